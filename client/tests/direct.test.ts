/** Parts that go straight to the bucket. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Upload, UploadWarning } from "../src/index.js";
import { PartRecorder } from "../src/recorder.js";
import { UrlSupply } from "../src/urls.js";
import type { DirectPart } from "../src/wire.js";
import { noise } from "./support/content.js";
import { BUCKET, FakeService, failedToFetch, hanging } from "./support/fake-service.js";
import { BATCH, latch, memoryStorage } from "./support/harness.js";

const PUT_DIRECT = /^PUT https:\/\/bucket/;
const PUT_THROUGH = /^PUT https:\/\/service/;
const URLS = /^POST .*\/parts\/urls$/;
const STORED = /^POST .*\/parts\/stored$/;
const LIST = /^GET .*\/parts$/;
const COMPLETE = /^POST .*\/complete$/;

/** Ten parts of the fake. */
const BYTES = noise(39, 7);
/** Two parts, which go through a service as a batch. */
const SMALL = noise(7, 1);

let service: FakeService;
const warned = vi.spyOn(console, "warn");
beforeEach(() => {
  service = new FakeService();
  warned.mockReset().mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
});

/** The numbers of the parts that were sent to the bucket, in order. */
function sentParts(): number[] {
  return service.matching(PUT_DIRECT).map(({ url }) => Number(new URL(url).searchParams.get("partNumber")));
}

/** All ten parts, in one request or several: one that takes long is not the last. */
function expectEachRecordedOnce(): void {
  const parts = service.matching(STORED).flatMap(({ json }) => json.parts as DirectPart[]);
  parts.sort((one, other) => one.partNumber - other.partNumber);
  const numbers = Array.from({ length: 10 }, (_, index) => index + 1);
  expect(parts).toEqual(
    numbers.map((partNumber) => ({ partNumber, etag: `"etag-${partNumber}"`, sizeBytes: partNumber === 10 ? 3 : 4 })),
  );
}

function expectWhole(upload: Upload): void {
  expect(Buffer.compare(service.stored, BYTES)).toBe(0);
  expect(upload.progress).toMatchObject({ sentBytes: BYTES.length, storedBytes: BYTES.length });
  expect(upload.state).toBe("finalized");
}

describe("which way parts go", () => {
  test.each([
    [undefined, undefined, "through"],
    ["through", undefined, "through"],
    ["through", "direct", "through"],
    ["direct", undefined, "direct"],
    ["direct", "through", "direct"],
    ["both", undefined, "direct"],
    ["both", "direct", "direct"],
    ["both", "through", "through"],
  ] as const)("the service says %s and the caller %s: %s", async (offered, uploadMode, way) => {
    service.uploadMode = offered;
    const upload = service.upload(BYTES, { uploadMode });
    await upload.start();
    expectWhole(upload);
    const counts = [PUT_DIRECT, PUT_THROUGH].map((way) => service.matching(way).length);
    expect(counts).toEqual(way === "direct" ? [10, 0] : [0, 10]);
    expect(warned).not.toHaveBeenCalled();
  });

  test("as many parts at once as may be, with URLs for some at a time, and recorded before the completion", async () => {
    const { opened, open } = latch();
    service.onPut = (underWay) => {
      if (underWay === 4) {
        // A fifth one has time to arrive.
        setTimeout(open, 20);
      }
      return opened;
    };
    const upload = service.upload(BYTES);
    await upload.start();
    expectWhole(upload);
    expect(service.mostUnderWay).toBe(4);
    const asked = service.matching(URLS).map(({ json }) => json.partNumbers as number[]);
    expect(asked.flat().sort((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(asked[0]).toHaveLength(8);
    expectEachRecordedOnce();
    expect(service.matching(COMPLETE)).toHaveLength(1);
  });

  test("a large file: a few requests to the service, none with more than 100 parts", async () => {
    const large = noise(1_000, 3);
    await service.upload(large, { concurrency: 16 }).start();
    expect(Buffer.compare(service.stored, large)).toBe(0);
    expect(service.matching(PUT_DIRECT)).toHaveLength(250);
    expect(service.matching(URLS).length).toBeLessThanOrEqual(250 / 4 + 1);
    const recorded = service.matching(STORED).map(({ json }) => json.parts as unknown[]);
    expect(recorded.length).toBeLessThanOrEqual(30);
    expect(recorded.flat()).toHaveLength(250);
    expect(Math.max(...recorded.map(({ length }) => length))).toBeLessThanOrEqual(100);
  });

  test("the bucket gets neither the token nor cookies", async () => {
    await service.upload(BYTES, { token: () => "secret" }).start();
    for (const { headers, credentials } of service.matching(PUT_DIRECT)) {
      expect([...headers]).toEqual([]);
      expect(credentials).toBe("omit");
    }
    expect(service.matching(URLS)[0]!.headers.get("authorization")).toBe("Bearer secret");
  });

  test("headers of a URL go with its part", async () => {
    const headers = { "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==" };
    const urls = [{ partNumber: 1, url: `${BUCKET}/castle?partNumber=1&expires=9e15`, headers }];
    service.fail(URLS, () => Response.json({ urls, expiresAt: "2100-01-01T00:00:00Z" }));
    await service.upload(noise(3, 1)).start();
    expect(service.matching(PUT_DIRECT)[0]!.headers.get("content-md5")).toBe(headers["Content-MD5"]);
  });
});

describe("a bucket that rejects a part", () => {
  const denied = () => new Response("<Error><Code>AccessDenied</Code></Error>", { status: 403 });
  const slowDown = () => new Response("<Error><Code>SlowDown</Code></Error>", { status: 503 });

  test("with 403: another URL is asked for", async () => {
    service.fail(/^PUT .*partNumber=3&/, denied, 2);
    const upload = service.upload(BYTES);
    await upload.start();
    expectWhole(upload);
    expect(sentParts().filter((number) => number === 3)).toHaveLength(3);
    const asked = service.matching(URLS).filter(({ json }) => (json.partNumbers as number[]).includes(3));
    expect(asked).toHaveLength(3);
  });

  test("with 403 every time: the upload fails after all attempts, without a fallback", async () => {
    service.fail(/^PUT .*partNumber=3&/, denied);
    const upload = service.upload(BYTES, { retry: { attempts: 4, baseDelayMs: 1 } });
    await expect(upload.start()).rejects.toMatchObject({ code: "UNEXPECTED_RESPONSE", status: 403, retryable: true });
    expect(sentParts().filter((number) => number === 3)).toHaveLength(4);
    expect(warned).not.toHaveBeenCalled();
    service.heal();
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_THROUGH)).toEqual([]);
  });

  test("with 503: it is sent again to the same URL, and no other way", async () => {
    service.fail(/^PUT .*partNumber=[1-4]&/, slowDown, 12);
    const upload = service.upload(BYTES);
    const waiting = new Set<number | undefined>();
    upload.on("progress", (progress) => waiting.add(progress.waiting?.status));
    await upload.start();
    expectWhole(upload);
    expect(sentParts()).toHaveLength(22);
    expect(service.matching(URLS).flatMap(({ json }) => json.partNumbers)).toHaveLength(10);
    expect(service.matching(PUT_THROUGH)).toEqual([]);
    expect(warned).not.toHaveBeenCalled();
  });

  test("because its session is over: the service says so", async () => {
    const problem = { code: "SESSION_NOT_ACTIVE", detail: "It was cancelled.", retryable: false };
    service.fail(PUT_DIRECT, () => {
      service.fail(URLS, () => Response.json(problem, { status: 409 }));
      return new Response("<Error><Code>NoSuchUpload</Code></Error>", { status: 404 });
    });
    await expect(service.upload(BYTES).start()).rejects.toMatchObject({ code: "SESSION_NOT_ACTIVE" });
    expect(warned).not.toHaveBeenCalled();
  });
});

test("URLs are asked for before they are needed, and not far ahead", async () => {
  const ask = vi.fn(async (numbers: number[]) => ({
    urls: numbers.map((partNumber) => ({ partNumber, url: `${BUCKET}/${partNumber}` })),
    expiresAt: "2100-01-01T00:00:00Z",
  }));
  // The first parts to be read are not always the first in order.
  const few = new UrlSupply([1, 2, 3, 4], ask);
  await Promise.all([4, 2, 1, 3].map((number) => few.of(number)));
  expect(ask.mock.calls.splice(0)).toEqual([[[1, 2, 3, 4]]]);

  const numbers = Array.from({ length: 30 }, (_, index) => index + 1);
  const supply = new UrlSupply(numbers, ask);
  const asked: number[][] = [];
  for (const number of [1, 2, 3, 4, 5]) {
    expect((await supply.of(number)).url).toBe(`${BUCKET}/${number}`);
    asked.push(...ask.mock.calls.splice(0).map(([numbers]) => numbers));
  }
  expect(asked).toEqual([
    [1, 2, 3, 4, 5, 6, 7, 8],
    [9, 10, 11, 12],
  ]);
});

describe("a URL that is about to expire", () => {
  test("is not used: another one is asked for", async () => {
    // Shorter than the margin: only what was asked for just now is used.
    service.urlTtlMs = 5_000;
    const upload = service.upload(BYTES);
    await upload.start();
    expectWhole(upload);
    expect(sentParts()).toHaveLength(10);
    expect(service.matching(URLS).length).toBeGreaterThan(3);
  });

  test("by a clock that is wrong: every part arrives all the same", async () => {
    vi.spyOn(Date, "now").mockReturnValue(4e12);
    try {
      const supply = new UrlSupply([1, 2], async (numbers) => ({
        urls: numbers.map((partNumber) => ({ partNumber, url: `${BUCKET}/${partNumber}` })),
        expiresAt: "2026-01-01T00:00:00Z",
      }));
      expect((await supply.of(1)).url).toBe(`${BUCKET}/1`);
      expect((await supply.of(2)).url).toBe(`${BUCKET}/2`);
    } finally {
      vi.mocked(Date.now).mockRestore();
    }
  });
});

describe("a bucket that a browser may not send to", () => {
  const warnings: UploadWarning[] = [];
  const watched = (upload: Upload): Upload => {
    warnings.length = 0;
    upload.on("warning", (warning) => warnings.push(warning));
    return upload;
  };

  test("parts go through the service, with one warning that names the rule", async () => {
    service.fail(PUT_DIRECT, failedToFetch);
    const upload = watched(service.upload(BYTES));
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_THROUGH)).toHaveLength(10);
    expect(service.matching(PUT_DIRECT).length).toBeLessThanOrEqual(12);
    expect(warnings).toEqual([{ code: "DIRECT_UPLOAD_BLOCKED", message: expect.stringContaining(BUCKET) }]);
    expect(warnings[0]!.message).toMatch(/lack: AllowedMethods: PUT, ExposeHeaders: ETag\. See docs\/buckets\.md /);
    expect(warned.mock.calls).toEqual([[warnings[0]!.message]]);
  });

  test("the parts of a small file go one by one: the host may not let a batch through", async () => {
    service.fail(PUT_DIRECT, failedToFetch);
    const upload = watched(service.upload(SMALL));
    await upload.start();
    expect(Buffer.compare(service.stored, SMALL)).toBe(0);
    expect(service.matching(BATCH)).toEqual([]);
    expect(service.matching(PUT_THROUGH)).toHaveLength(2);
    expect(warnings).toHaveLength(1);
  });

  test("with an ETag that cannot be read: the first response shows it", async () => {
    service.hidesEtags = true;
    const upload = watched(service.upload(BYTES));
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_THROUGH)).toHaveLength(10);
    expect(service.matching(PUT_DIRECT).length).toBeLessThanOrEqual(4);
    expect(service.matching(STORED)).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]!.message).toMatch(/lack: ExposeHeaders: ETag\./);
    expect(warned).toHaveBeenCalledTimes(1);
  });

  test("also after a failure, without a second warning", async () => {
    service.fail(PUT_DIRECT, failedToFetch);
    service.fail(/^PUT https:\/\/service.*\/5$/, () => new Response("", { status: 503 }), 2);
    const upload = watched(service.upload(BYTES, { retry: { attempts: 2, baseDelayMs: 1 } }));
    await expect(upload.start()).rejects.toMatchObject({ status: 503 });
    const before = service.matching(PUT_DIRECT).length;
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_DIRECT)).toHaveLength(before);
    expect(warnings).toHaveLength(1);
  });

  test("is not what a network is that is down for a while", async () => {
    const outage = vi.fn(failedToFetch);
    const begin = () => {
      service.fail(/./, outage, 20);
      return failedToFetch();
    };
    service.fail(PUT_DIRECT, begin, 1);
    const upload = watched(service.upload(BYTES, { retry: { attempts: 30, baseDelayMs: 1, maxDelayMs: 2 } }));
    await upload.start();
    expectWhole(upload);
    expect(outage).toHaveBeenCalledTimes(20);
    expect(service.matching(PUT_THROUGH)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("is not one that has responded: the upload fails, and continues when started again", async () => {
    service.fail(/^PUT .*partNumber=(9|10)&/, failedToFetch);
    const upload = watched(service.upload(BYTES));
    await expect(upload.start()).rejects.toMatchObject({ code: "NETWORK_ERROR", retryable: true });
    service.heal();
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_THROUGH)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("is not one whose errors can be read: they show that it may be sent to", async () => {
    service.fail(PUT_DIRECT, () => new Response("", { status: 503 }), 4);
    service.fail(PUT_DIRECT, failedToFetch);
    const upload = watched(service.upload(BYTES));
    await expect(upload.start()).rejects.toMatchObject({ code: "NETWORK_ERROR" });
    expect(service.matching(PUT_THROUGH)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("is found out with the first parts: the others are not read for nothing", async () => {
    let reads = 0;
    class Counting extends Blob {
      override slice(start?: number, end?: number): Blob {
        reads += 1;
        return super.slice(start, end);
      }
    }
    const counted = async (uploadMode: "through" | "direct") => {
      reads = 0;
      service = new FakeService();
      service.uploadMode = "both";
      service.hidesEtags = true;
      const files = [{ blob: new Counting([BYTES]), name: "castle.pdf" }];
      await service.upload(BYTES, { files, uploadMode }).start();
      return reads;
    };
    const through = await counted("through");
    expect(through).toBeGreaterThan(0);
    expect(await counted("direct")).toBeLessThanOrEqual(through * 1.5);
  });

  test("is not known while the service is unreachable: that error counts", async () => {
    const begin = () => {
      service.fail(/./, failedToFetch);
      return failedToFetch();
    };
    service.fail(PUT_DIRECT, begin);
    const upload = watched(service.upload(BYTES, { retry: { attempts: 1 } }));
    await expect(upload.start()).rejects.toMatchObject({ code: "NETWORK_ERROR" });
    expect(warnings).toEqual([]);
    service.heal();
    await upload.start();
    expectWhole(upload);
    expect(service.matching(PUT_THROUGH)).toEqual([]);
  });
});

describe("pausing and resuming", () => {
  test("a pause ends the requests to the bucket; what it had is recorded, and not sent again", async () => {
    service.fail(/^PUT .*partNumber=([5-9]|10)&/, hanging);
    const upload = service.upload(BYTES);
    const done = upload.start();
    await vi.waitUntil(() => service.matching(/partNumber=[5-8]&/).length === 4);
    expect(upload.progress.sentBytes).toBeGreaterThanOrEqual(16);
    upload.pause();
    service.heal();
    upload.resume();
    await done;
    expectWhole(upload);
    expectEachRecordedOnce();
    expect(sentParts().filter((number) => number <= 4)).toHaveLength(4);
    expect(service.matching(LIST)).toHaveLength(1);
  });

  test("another process sends again what was not recorded, and that alone", async () => {
    const storage = memoryStorage();
    service.fail(/^PUT .*partNumber=([5-9]|10)&/, hanging);
    const before = service.upload(BYTES, { storage });
    before.start().catch(() => {});
    await vi.waitUntil(() => service.recorded.size === 4, { timeout: 3_000 });
    before.pause();
    service.heal();
    service.requests.length = 0;
    const after = service.upload(BYTES, { storage, sessionId: "s" });
    await after.start();
    expectWhole(after);
    expect(sentParts().sort((one, other) => one - other)).toEqual([5, 6, 7, 8, 9, 10]);
  });

  test("cancelling ends the requests to the bucket", async () => {
    let aborted = 0;
    service.fail(PUT_DIRECT, (seen, signal) => hanging(seen, signal).finally(() => (aborted += 1)));
    const upload = service.upload(BYTES);
    const done = upload.start();
    await vi.waitUntil(() => service.matching(PUT_DIRECT).length === 4);
    await upload.cancel();
    await expect(done).rejects.toMatchObject({ code: "ABORTED" });
    expect(aborted).toBe(4);
    expect(service.matching(STORED)).toEqual([]);
    expect(service.matching(PUT_DIRECT)).toHaveLength(4);
  });
});

test.each([
  [10, BYTES],
  [2, SMALL],
])("a module that cannot be loaded: a page may be older than what the server has (%i parts)", async (count, bytes) => {
  vi.doMock("../src/direct.js", () => {
    throw new Error("404");
  });
  try {
    await service.upload(bytes).start();
    expect(Buffer.compare(service.stored, bytes)).toBe(0);
    expect(service.matching(BATCH)).toEqual([]);
    expect(service.matching(PUT_THROUGH)).toHaveLength(count);
  } finally {
    vi.doUnmock("../src/direct.js");
  }
});

test("parts that the bucket turns out to lack are sent again, straight to it", async () => {
  service.fail(/^PUT .*partNumber=2&/, () => new Response(null, { headers: { etag: '"false"' } }), 1);
  const upload = service.upload(BYTES);
  await upload.start();
  expectWhole(upload);
  expect(sentParts().filter((number) => number === 2)).toHaveLength(2);
  expect(service.matching(COMPLETE)).toHaveLength(2);
  expect(service.matching(PUT_THROUGH)).toEqual([]);
});

describe("recording", () => {
  const part = (partNumber: number) => ({ partNumber, etag: `"${partNumber}"`, sizeBytes: 1 });

  test("waits a second for others, and less for many", async () => {
    vi.useFakeTimers();
    const record = vi.fn(async (_: unknown[]) => {});
    const recorder = new PartRecorder(record);
    await recorder.add(part(1));
    await recorder.add(part(2));
    expect(record).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(record.mock.calls).toEqual([[[part(1), part(2)]]]);
    for (let number = 3; number < 19; number += 1) {
      await recorder.add(part(number));
    }
    expect(record).toHaveBeenCalledTimes(2);
    expect(record.mock.calls[1]![0]).toHaveLength(16);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that takes long holds nothing up until very many wait, and goes on one request at a time", async () => {
    const { opened, open } = latch();
    const record = vi.fn(async (_: unknown[]) => opened);
    const recorder = new PartRecorder(record);
    for (let number = 1; number < 100; number += 1) {
      await recorder.add(part(number));
    }
    let isThrough = false;
    const held = recorder.add(part(100)).then(() => (isThrough = true));
    await new Promise((resolve) => setTimeout(resolve));
    expect(isThrough).toBe(false);
    expect(record).toHaveBeenCalledTimes(1);
    open();
    await held;
    expect(record.mock.calls.map(([parts]) => parts.length)).toEqual([16, 84]);
  });

  test("includes parts that came while others were being recorded", async () => {
    vi.useFakeTimers();
    const { opened, open } = latch();
    const record = vi.fn(async (_: unknown[]) => opened);
    const recorder = new PartRecorder(record);
    for (let number = 1; number <= 17; number += 1) {
      await recorder.add(part(number));
    }
    open();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(record.mock.calls.map(([parts]) => parts.length)).toEqual([16, 1]);
  });

  test("that fails is made up for by the next", async () => {
    const record = vi.fn(async (_: unknown[]) => {});
    record.mockRejectedValueOnce(new Error("unreachable"));
    const recorder = new PartRecorder(record);
    for (let number = 1; number <= 16; number += 1) {
      await recorder.add(part(number));
    }
    await new Promise((resolve) => setTimeout(resolve));
    await recorder.flush();
    expect(record.mock.calls.map(([parts]) => parts.length)).toEqual([16, 16]);
    await recorder.flush();
    expect(record).toHaveBeenCalledTimes(2);
  });
});
