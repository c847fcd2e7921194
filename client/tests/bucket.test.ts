/** Parts that go straight to the bucket of a stack. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { createApi } from "../src/index.js";
import { MIB, pdf, png } from "./support/content.js";
import { BATCH, type Bench, COMPLETE, file, PUT_PART, reached, startBench } from "./support/harness.js";

const ASK = /^POST .*\/parts\/urls$/;
const RECORD = /^POST .*\/parts\/stored$/;

let bench: Bench;
beforeAll(async () => {
  bench = await startBench({ upload_mode: "both" });
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

/** Four parts. */
const LARGE = pdf(17 * MIB);

/** A `fetch` that does something else with what goes to the bucket, by the number of the part. */
function toBucket(instead: (part: number, url: string, init?: RequestInit) => Promise<Response>): typeof fetch {
  return (input, init) => {
    const url = String(input);
    const part = Number(new URL(url).searchParams.get("partNumber"));
    return url.startsWith(bench.stack.s3Url) && part > 0 ? instead(part, url, init) : fetch(url, init);
  };
}

async function expectWhole(moc: { files: { name: string; url: string }[] }, name: string, bytes: Uint8Array) {
  const { url } = moc.files.find((file) => file.name === name)!;
  expect(Buffer.compare(await bench.object(url), bytes)).toBe(0);
  expect(bench.proxy.count(PUT_PART) + bench.proxy.count(BATCH)).toBe(0);
}

test("two files arrive byte for byte, and no part comes to the service", async () => {
  const picture = png(6 * MIB);
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf"), file(picture, "castle.png")] });
  const moc = await upload.start();
  await expectWhole(moc, "castle.pdf", LARGE);
  await expectWhole(moc, "castle.png", picture);
  expect(upload.progress).toMatchObject({ sentBytes: 23 * MIB, storedBytes: 23 * MIB });
  expect(bench.proxy.count(ASK)).toBe(2);
  expect(bench.proxy.count(RECORD)).toBeGreaterThanOrEqual(2);
});

test("through the service where the caller wants that", async () => {
  await bench.upload({ files: [file(LARGE, "castle.pdf")], uploadMode: "through" }).start();
  expect(bench.proxy.count(PUT_PART)).toBe(4);
  expect(bench.proxy.count(ASK)).toBe(0);
});

test("what the bucket has before a pause is not sent again", async () => {
  const sent: number[] = [];
  let isHeld = true;
  const holding = toBucket((part, url, init) => {
    sent.push(part);
    const signal = init!.signal!;
    return isHeld && part > 2
      ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)))
      : fetch(url, init);
  });
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], fetch: holding });
  const done = upload.start();
  await reached(upload, ({ progress }) => progress.storedBytes === 10 * MIB);
  const { files } = await createApi({ baseUrl: bench.stack.baseUrl }).getSession(upload.sessionId!);
  expect(files).toMatchObject([{ partsCompleted: 2, bytesCompleted: 10 * MIB }]);
  upload.pause();
  isHeld = false;
  upload.resume();
  await expectWhole(await done, "castle.pdf", LARGE);
  expect(sent.sort()).toEqual([1, 2, 3, 3, 4, 4]);
});

test("a URL that the bucket rejects is replaced", async () => {
  const sent: string[] = [];
  const breaking = toBucket((part, url, init) => {
    sent.push(`${part}`);
    const isFirst = part === 3 && sent.filter((part) => part === "3").length === 1;
    return fetch(isFirst ? url.replace(/(X-Amz-Signature=)\w/, "$1x") : url, init);
  });
  const moc = await bench.upload({ files: [file(LARGE, "castle.pdf")], fetch: breaking }).start();
  await expectWhole(moc, "castle.pdf", LARGE);
  expect(sent.sort()).toEqual(["1", "2", "3", "3", "4"]);
  expect(bench.proxy.count(ASK)).toBe(2);
});

test("parts that were reported, and that the bucket lacks, are sent again", async () => {
  let isFirst = true;
  const losing = toBucket(async (part, url, init) => {
    if (part === 2 && isFirst) {
      isFirst = false;
      return new Response(null, { headers: { etag: '"d41d8cd98f00b204e9800998ecf8427e"' } });
    }
    return fetch(url, init);
  });
  const moc = await bench.upload({ files: [file(LARGE, "castle.pdf")], fetch: losing }).start();
  await expectWhole(moc, "castle.pdf", LARGE);
  expect(bench.proxy.matching(COMPLETE).map(({ status }) => status)).toEqual([400, 200]);
});
