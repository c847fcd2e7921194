import { createHmac } from "node:crypto";

/** A user's access token (JWT, HS256), good for so many seconds from now; with fewer than none it is over. */
export function accessToken(secret: string, user = "dev-user", seconds = 300): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = [
    { alg: "HS256", typ: "JWT" },
    { sub: user, exp: Math.floor(Date.now() / 1_000) + seconds },
  ]
    .map(encode)
    .join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
