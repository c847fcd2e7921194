/** What goes wrong on the way, and is put right. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { createApi, UploadError } from "../src/index.js";
import { MIB, pdf, png } from "./support/content.js";
import {
  BATCH,
  type Bench,
  COMPLETE,
  CREATE,
  FINALIZE,
  file,
  LIST_PARTS,
  PUT_PART,
  REGISTER,
  startBench,
} from "./support/harness.js";

let bench: Bench;
let seeded: Record<string, string>;
beforeAll(async () => {
  bench = await startBench();
  // The database has its tables after the first request.
  await createApi({ baseUrl: bench.stack.baseUrl })
    .getMoc("none")
    .catch(() => {});
  seeded = await bench.stack.seed();
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

/** Four parts, so that none goes as a batch. */
const LARGE = pdf(17 * MIB);

async function expectWhole(moc: { files: { url: string }[] }, bytes: Uint8Array): Promise<void> {
  expect(Buffer.compare(await bench.object(moc.files[0]!.url), bytes)).toBe(0);
}

test("a connection that breaks in a part costs that part alone", async () => {
  bench.proxy.fail(/^PUT .*\/parts\/2$/, { cutAfterBytes: MIB });
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")] });
  await expectWhole(await upload.start(), LARGE);
  expect(
    bench.proxy
      .matching(PUT_PART)
      .map(({ path }) => path.at(-1))
      .sort(),
  ).toEqual(["1", "2", "2", "3", "4"]);
});

test("waits out two 503s for as long as they say, and reports them", async () => {
  const unavailable = { status: 503, headers: { "retry-after": "1" }, body: "<html>unreachable</html>" };
  bench.proxy.fail(/^PUT .*\/parts\/1$/, { response: unavailable }, 2);
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")] });
  const waiting = new Set<number | undefined>();
  upload.on("progress", (progress) => waiting.add(progress.waiting?.status));
  await expectWhole(await upload.start(), LARGE);
  expect([...waiting].sort()).toEqual([503, undefined]);
  expect(upload.progress.waiting).toBeUndefined();
  const attempts = bench.proxy.matching(/^PUT .*\/parts\/1$/).map(({ atMs }) => atMs);
  expect(attempts).toHaveLength(3);
  expect(attempts[1]! - attempts[0]!).toBeGreaterThanOrEqual(1_000);
  expect(attempts[2]! - attempts[1]!).toBeGreaterThanOrEqual(1_000);
});

test("fails if the service stays unreachable, and continues when started again", async () => {
  bench.proxy.fail(/^PUT .*\/parts\/3$/, { response: { status: 503 } }, 2);
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], retry: { attempts: 2, baseDelayMs: 1 } });
  await expect(upload.start()).rejects.toMatchObject({ code: "UNEXPECTED_RESPONSE", status: 503, retryable: true });
  expect(upload.state).toBe("failed");
  const sent = bench.proxy.matching(PUT_PART).filter(({ status }) => status === 200).length;
  bench.proxy.reset();
  await expectWhole(await upload.start(), LARGE);
  expect(upload.error).toBeUndefined();
  expect(bench.proxy.count(CREATE) + bench.proxy.count(REGISTER)).toBe(0);
  expect(bench.proxy.count(PUT_PART) + bench.proxy.count(BATCH)).toBe(sent === 3 ? 1 : 2);
});

test("fails with NETWORK_ERROR if the network is unreachable", async () => {
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], retry: { attempts: 2, baseDelayMs: 1 } });
  await bench.proxy.disconnect();
  try {
    await expect(upload.start()).rejects.toMatchObject({ code: "NETWORK_ERROR", retryable: true });
  } finally {
    await bench.proxy.reconnect();
  }
  await expectWhole(await upload.start(), LARGE);
});

test("a part of a batch that fails goes alone", async () => {
  bench.proxy.fail(BATCH, { cutAfterBytes: 6 * MIB });
  const bytes = pdf(12 * MIB);
  await expectWhole(await bench.upload({ files: [file(bytes, "castle.pdf")] }).start(), bytes);
  expect(bench.proxy.count(BATCH)).toBe(1);
  expect(bench.proxy.count(LIST_PARTS)).toBe(1);
  const alone = bench.proxy.count(PUT_PART);
  expect(alone).toBeGreaterThanOrEqual(2);
  expect(alone).toBeLessThanOrEqual(3);
});

describe("a response that is lost", () => {
  test.each([
    ["registering", REGISTER],
    ["a part", /^PUT .*\/parts\/4$/],
    ["completing", COMPLETE],
    ["finalizing", FINALIZE],
  ])("of %s is asked for again, and nothing is done twice", async (_, request) => {
    bench.proxy.fail(request, { loseResponse: true });
    const moc = await bench.upload({ files: [file(LARGE, "castle.pdf")] }).start();
    await expectWhole(moc, LARGE);
    expect(bench.proxy.count(request)).toBe(2);
    expect(moc.files).toHaveLength(1);
  });

  test("of a batch costs nothing", async () => {
    bench.proxy.fail(BATCH, { loseResponse: true });
    const bytes = pdf(12 * MIB);
    await expectWhole(await bench.upload({ files: [file(bytes, "castle.pdf")] }).start(), bytes);
    expect(bench.proxy.count(PUT_PART)).toBe(0);
  });
});

test("a session that expires on the way is followed by another one, once", async () => {
  const files = [file(LARGE, "castle.pdf")];
  const toExpired = (path: string) =>
    path.replace(/sessions\/.*\/parts/, `sessions/${seeded.expiredSession}/files/${seeded.expiredFile}/parts`);
  bench.proxy.fail(/^PUT .*\/parts\/3$/, { path: toExpired });
  const upload = bench.upload({ files });
  const sessions = new Set<string | undefined>();
  upload.on("progress", () => sessions.add(upload.sessionId));
  const moc = await upload.start();
  await expectWhole(moc, LARGE);
  expect(moc.sessionId).toBe(upload.sessionId);

  bench.proxy.fail(/^PUT .*\/parts\/3$/, { path: toExpired }, 2);
  await expect(bench.upload({ files }).start()).rejects.toMatchObject({
    code: "SESSION_EXPIRED",
    status: 410,
    problem: { sessionExpired: true },
  });
});

test("a finalize that another one is in the way of is made again", async () => {
  // The service's own response, from a session in that state.
  const url = `${bench.stack.baseUrl}/api/mocs/uploads/sessions/${seeded.partialSession}/files`;
  const body = JSON.stringify({ category: "image", name: "a.png", size: 1, type: "image/png" });
  const response = await fetch(url, { method: "POST", body });
  const recorded = { status: response.status, headers: { "retry-after": "0" }, body: await response.text() };
  expect(JSON.parse(recorded.body)).toMatchObject({ code: "FINALIZE_IN_PROGRESS" });
  bench.proxy.fail(FINALIZE, { response: recorded });
  await bench.upload({ files: [file(pdf(100), "castle.pdf")] }).start();
  expect(bench.proxy.count(FINALIZE)).toBe(2);
});

test("parts that the server turns out to lack are sent again", async () => {
  const files = [file(LARGE, "castle.pdf")];
  // A response that is not true: the part was not stored.
  const lie = { status: 200, headers: { "content-type": "application/json" }, body: '{"partNumber":2,"etag":"x"}' };
  bench.proxy.fail(/^PUT .*\/parts\/2$/, { response: lie });
  await expectWhole(await bench.upload({ files }).start(), LARGE);
  expect(bench.proxy.count(/^PUT .*\/parts\/2$/)).toBe(2);
});

test("what will not succeed later is not tried again", async () => {
  bench.proxy.fail(/^PUT .*\/parts\/1$/, { response: { status: 403, body: "no" } });
  const failed = await bench
    .upload({ files: [file(LARGE, "castle.pdf")] })
    .start()
    .catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(UploadError);
  expect(failed).toMatchObject({ code: "UNEXPECTED_RESPONSE", status: 403, retryable: false, fileName: "castle.pdf" });
  expect(bench.proxy.count(/^PUT .*\/parts\/1$/)).toBe(1);
});

test("a longer wait than a minute is the caller's to decide", async () => {
  const response = { status: 429, headers: { "retry-after": "61" } };
  bench.proxy.fail(CREATE, { response });
  const upload = bench.upload({ files: [file(png(100), "castle.png"), file(pdf(100), "castle.pdf")] });
  await expect(upload.start()).rejects.toMatchObject({ status: 429, retryAfterMs: 61_000, retryable: true });
  expect(bench.proxy.count(CREATE)).toBe(1);
});
