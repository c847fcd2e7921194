import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type Reply, send } from "./support/http.ts";
import { useStage } from "./support/stage.ts";

const stage = useStage();

/** The files that the page asks for at once. */
async function assets(): Promise<string[]> {
  const { body } = await send(`${stage.origin}/`);
  return [...body.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? "");
}

test("the page may load and call nothing that it does not need, and is asked for anew each time", async () => {
  const { status, headers } = await send(`${stage.origin}/`);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    vary: "accept-encoding",
  });
  const policy = new Map(
    headers["content-security-policy"]
      ?.toString()
      .split(";")
      .map((directive) => {
        const [name = "", ...sources] = directive.trim().split(" ");
        return [name, sources.sort()];
      }),
  );
  expect(Object.fromEntries(policy)).toEqual({
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "font-src": ["'self'"],
    "img-src": ["'self'", "blob:", stage.bucketOrigin],
    "connect-src": ["'self'", stage.broadcasterOrigin],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  });
});

test("assets are kept for ever, each as what it is", async () => {
  const paths = await assets();
  const types = new Map([
    [".js", "text/javascript; charset=utf-8"],
    [".css", "text/css; charset=utf-8"],
    [".svg", "image/svg+xml"],
  ]);
  for (const path of paths) {
    const { status, headers } = await send(stage.origin + path);
    expect(path).toMatch(/^\/assets\/.+-[\w-]{8,}\.\w+$/);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": types.get(path.slice(path.lastIndexOf("."))),
      "cache-control": "public, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
    });
  }
  expect(new Set(paths.map((path) => path.slice(path.lastIndexOf("."))))).toEqual(new Set(types.keys()));
});

test("each client gets the smallest encoding that it takes, of the same bytes", async () => {
  for (const path of ["/", ...(await assets())]) {
    const as = (encodings?: string) =>
      send(stage.origin + path, encodings === undefined ? {} : { "accept-encoding": encodings });
    const plain = await as();
    expect(plain.headers["content-encoding"]).toBeUndefined();

    const decoded: [string, string, (body: Buffer) => Buffer][] = [
      ["gzip, deflate, br, zstd", "br", brotliDecompressSync],
      ["gzip, deflate", "gzip", gunzipSync],
      ["br;q=0, gzip;q=0.5", "gzip", gunzipSync],
    ];
    for (const [accepted, encoding, decode] of decoded) {
      const reply = await as(accepted);
      expect(reply.headers["content-encoding"], `${path} for ${accepted}`).toBe(encoding);
      expect(decode(reply.body).equals(plain.body), `${path} by ${encoding}`).toBe(true);
      expect(reply.headers["content-length"]).toBe(String(reply.body.length));
      expect(reply.body.length).toBeLessThan(plain.body.length);
    }
    expect((await as("identity")).body.equals(plain.body)).toBe(true);
  }
});

test("what a client has already is not sent again", async () => {
  for (const path of ["/", ...(await assets())]) {
    const { headers } = await send(stage.origin + path, { "accept-encoding": "br" });
    const etag = headers.etag ?? "";
    expect(etag).toMatch(/^W\/"[\w-]+"$/);
    const known = await send(stage.origin + path, { "if-none-match": `"other", ${etag}` });
    expect([known.status, known.body.length]).toEqual([304, 0]);
    expect(known.headers).toMatchObject({ etag, "cache-control": headers["cache-control"], vary: "accept-encoding" });
    const changed = await send(stage.origin + path, { "if-none-match": 'W/"other"' });
    expect(changed.status).toBe(200);
  }
});

test("HEAD has the same headers and no body; other methods and paths are problems", async () => {
  const about = ({ headers }: Reply) => {
    const { date: _, "x-request-id": __, ...same } = headers;
    return same;
  };
  const [got, head] = await Promise.all([send(`${stage.origin}/`), send(`${stage.origin}/`, {}, "HEAD")]);
  expect([head.status, head.body.length]).toEqual([200, 0]);
  expect(about(head)).toEqual(about(got));

  const posted = await send(`${stage.origin}/`, { "content-length": "0" }, "POST");
  expect(posted.status).toBe(405);
  expect(posted.headers).toMatchObject({ allow: "GET, HEAD", "content-type": "application/problem+json" });
  for (const path of ["/assets/none.js", "/assets/", "/assets/../spin.toml", "/index.html.map"]) {
    const missing = await send(stage.origin + path);
    expect(missing.status, path).toBe(404);
    expect(JSON.parse(missing.body.toString())).toMatchObject({ code: "NOT_FOUND" });
  }
});
