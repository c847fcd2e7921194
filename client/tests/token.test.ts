/** Access tokens: asked for, rejected, refreshed. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { createApi, UploadError } from "../src/index.js";
import { MIB, pdf } from "./support/content.js";
import { type Bench, CREATE, file, PUT_PART, startBench } from "./support/harness.js";
import { accessToken } from "./support/token.js";

const SECRET = "a-secret-of-these-tests-and-of-nothing-else";

let bench: Bench;
beforeAll(async () => {
  bench = await startBench({ jwt_secret: SECRET });
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

test("a token that has expired is refreshed once for all parts under way", async () => {
  const asked: boolean[] = [];
  const token = ({ refresh }: { refresh: boolean }) => {
    asked.push(refresh);
    return accessToken(SECRET);
  };
  // As if the first token were over as soon as the parts begin.
  const aging: typeof fetch = (url, init) => {
    const headers = new Headers(init?.headers);
    if (init?.method === "PUT" && asked.length === 1) {
      headers.set("authorization", `Bearer ${accessToken(SECRET, "dev-user", -120)}`);
    }
    return fetch(url, { ...init, headers });
  };
  const upload = bench.upload({ files: [file(pdf(32 * MIB), "castle.pdf")], token, fetch: aging });
  const moc = await upload.start();
  expect(moc.userId).toBe("dev-user");
  expect(asked).toEqual([false, true]);
  const responses = bench.proxy.matching(PUT_PART).map(({ status }) => status);
  expect(responses.filter((status) => status === 401)).toHaveLength(4);
  expect(responses.filter((status) => status === 200)).toHaveLength(7);
});

test("a token that is rejected again fails, with all that the problem says", async () => {
  const asked: boolean[] = [];
  const token = ({ refresh }: { refresh: boolean }) => {
    asked.push(refresh);
    return accessToken("another secret", "dev-user");
  };
  const failed = await bench
    .upload({ files: [file(pdf(100), "castle.pdf")], token })
    .start()
    .catch((error) => error);
  expect(failed).toBeInstanceOf(UploadError);
  expect(failed).toMatchObject({
    name: "UploadError",
    code: "UNAUTHORIZED",
    status: 401,
    retryable: false,
    message: "The signature of the token is not valid. Send a valid token in the Authorization header, as Bearer.",
    requestId: expect.stringMatching(/./),
    problem: { code: "UNAUTHORIZED", status: 401, instance: "/api/mocs/uploads/sessions" },
  });
  expect(failed.requestId).toBe(failed.problem.requestId);
  expect(asked).toEqual([false, true]);
  expect(bench.proxy.count(CREATE)).toBe(2);
});

test("without a callback a rejection is final", async () => {
  await expect(createApi({ baseUrl: bench.proxy.url }).getMoc("none")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(bench.proxy.requests).toHaveLength(1);
});

test("a callback that fails is the error's cause, and is asked again when the upload starts again", async () => {
  let fails = true;
  const cause = new Error("signed out");
  const token = () => {
    if (fails) {
      throw cause;
    }
    return accessToken(SECRET);
  };
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")], token });
  await expect(upload.start()).rejects.toMatchObject({ code: "UNAUTHORIZED", cause });
  expect(bench.proxy.requests).toEqual([]);
  fails = false;
  await upload.start();
});

test("responds 404 to resources of other users", async () => {
  const files = [file(pdf(100), "castle.pdf")];
  const moc = await bench.upload({ files, token: () => accessToken(SECRET, "somebody") }).start();
  const other = createApi({ baseUrl: bench.proxy.url, token: () => accessToken(SECRET, "somebody-else") });
  await expect(other.getMoc(moc.id)).rejects.toMatchObject({ code: "NOT_FOUND", status: 404 });
});
