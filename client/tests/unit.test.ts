/** What needs no stack. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { digestsOf } from "../src/checksum.js";
import { digestOf } from "../src/digest.js";
import { throttle } from "../src/emitter.js";
import { categoryOf, findUploads, forgetUpload, type Problem, type StoredUpload, UploadError } from "../src/index.js";
import { toHex } from "../src/input.js";
import { parseRetryAfter, retryDelayMs, retrying, retryPolicy } from "../src/retry.js";
import { SpeedMeter } from "../src/speed.js";
import { uploadRecords } from "../src/storage.js";
import { numberedTitle } from "../src/title.js";
import { noise } from "./support/content.js";
import { memoryStorage } from "./support/harness.js";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("waiting before another attempt", () => {
  test("takes a random part of a time that doubles up to a bound, after what the server asks for", () => {
    const policy = retryPolicy({ baseDelayMs: 100, maxDelayMs: 500 });
    const longest = [1, 2, 3, 4, 5].map((attempt) => retryDelayMs(policy, attempt, 0, () => 1));
    expect(longest).toEqual([100, 200, 400, 500, 500]);
    expect(retryDelayMs(policy, 3, 0, () => 0)).toBe(0);
    expect(retryDelayMs(policy, 1, 2_000, () => 0.5)).toBe(2_050);
  });

  test.each([
    ["2", 2_000],
    [" 10 ", 10_000],
    ["Thu, 01 Jan 1970 00:00:31 GMT", 1_000],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 0],
    ["soon", undefined],
    [null, undefined],
  ])("reads Retry-After: %s", (value, ms) => {
    expect(parseRetryAfter((name) => (name === "retry-after" ? value : null), 30_000)).toBe(ms);
  });

  test("counts a date from that of the response: the clocks may differ", () => {
    const headers = new Headers({
      date: "Thu, 01 Jan 1970 00:00:30 GMT",
      "retry-after": "Thu, 01 Jan 1970 00:00:32 GMT",
    });
    expect(parseRetryAfter((name) => headers.get(name), 99_000)).toBe(2_000);
  });

  test("ends after so many attempts", async () => {
    const unreachable = new UploadError("NETWORK_ERROR", "unreachable", { retryable: true });
    const call = vi.fn(() => Promise.reject(unreachable));
    const onWaiting = vi.fn();
    const policy = { attempts: 4, baseDelayMs: 0, maxDelayMs: 0 };
    await expect(retrying(call, policy, undefined, onWaiting)).rejects.toBe(unreachable);
    expect(call).toHaveBeenCalledTimes(4);
    expect(onWaiting.mock.calls).toEqual([[unreachable], [unreachable], [unreachable]]);
  });

  test("is over at once when it is aborted, and leaves no timer", async () => {
    vi.useFakeTimers();
    const controller = new AbortController();
    const unreachable = new UploadError("NETWORK_ERROR", "unreachable", { retryable: true, retryAfterMs: 10_000 });
    const waiting = retrying(
      () => Promise.reject(unreachable),
      retryPolicy(),
      controller.signal,
      () => {},
    );
    const aborted = expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
    await vi.advanceTimersByTimeAsync(9_000);
    controller.abort();
    await aborted;
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits for as long as the browser is offline", async () => {
    const surroundings = new EventTarget();
    const navigator = { onLine: true };
    vi.stubGlobal("navigator", navigator);
    vi.stubGlobal("addEventListener", surroundings.addEventListener.bind(surroundings));
    vi.stubGlobal("removeEventListener", surroundings.removeEventListener.bind(surroundings));
    let calls = 0;
    const call = async () => {
      calls += 1;
      if (calls === 1) {
        navigator.onLine = false;
        throw new UploadError("NETWORK_ERROR", "unreachable", { retryable: true });
      }
      return "there";
    };
    // A single attempt: the one without a network does not count.
    const waiting: (string | undefined)[] = [];
    const policy = { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
    const result = retrying(call, policy, undefined, (error) => waiting.push(error?.code));
    await vi.waitUntil(() => waiting.length === 1);
    expect(calls).toBe(1);
    navigator.onLine = true;
    surroundings.dispatchEvent(new Event("online"));
    expect(await result).toBe("there");
    expect(waiting).toEqual(["NETWORK_ERROR", undefined]);
  });
});

describe("the speed", () => {
  test("is that of the last five seconds", () => {
    const meter = new SpeedMeter();
    meter.reset(1_000, 0);
    for (let second = 1; second <= 10; second += 1) {
      meter.add(1_000 + second * (second <= 5 ? 100 : 200) - (second <= 5 ? 0 : 500), second * 1_000);
    }
    expect(meter.bytesPerSecond(5_000)).toBeGreaterThan(0);
    expect(meter.bytesPerSecond(10_000)).toBe(200);
    expect(meter.bytesPerSecond(12_000)).toBe(120);
    expect(meter.bytesPerSecond(20_000)).toBe(0);
    expect(meter.rate({ totalBytes: 10, storedBytes: 0 })).toEqual({ bytesPerSecond: 0, secondsLeft: undefined });
  });

  test("begins anew where the count does", () => {
    const meter = new SpeedMeter();
    meter.reset(0, 0);
    meter.add(1_000, 1_000);
    meter.add(200, 2_000);
    meter.add(300, 3_000);
    expect(meter.bytesPerSecond(3_000)).toBe(100);
  });
});

test("events come once in a while, and the last one comes", () => {
  vi.useFakeTimers();
  const seen: number[] = [];
  let count = 0;
  const { call, flush } = throttle(() => seen.push(count), 100);
  for (count = 1; count <= 25; count += 1) {
    call();
    vi.advanceTimersByTime(10);
  }
  expect(seen).toEqual([10, 20]);
  flush();
  expect(seen).toEqual([10, 20, 26]);
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["castle.pdf", "", "instruction"],
  ["CASTLE.PDF", "application/octet-stream", "instruction"],
  ["list.csv", "application/vnd.ms-excel", "parts-list"],
  ["list", "application/json; charset=utf-8", "parts-list"],
  ["castle.jpeg", "image/jpeg", "image"],
  ["castle", "image/webp", "image"],
  ["castle.mp4", "video/mp4", undefined],
  ["pdf", "", undefined],
])("%s of type '%s' is for %s", (name, type, category) => {
  expect(categoryOf(name, type)).toBe(category);
});

describe("a title's number", () => {
  const conflict = (suggestedSlug: string, retryStrategy: string) => {
    const problem = { code: "TITLE_CONFLICT", suggestedSlug, retryStrategy } as Problem;
    return new UploadError("TITLE_CONFLICT", "", { problem });
  };

  test("is that of the free slug", () => {
    expect(numberedTitle("The keep", conflict("the-keep-2", "AUTO_APPEND"))).toBe("The keep 2");
    expect(numberedTitle("The keep 2", conflict("the-keep-2-3", "AUTO_APPEND"))).toBe("The keep 2 3");
  });

  test("counts in a slug that is truncated", () => {
    const numbered = numberedTitle("x".repeat(100), conflict(`${"x".repeat(80)}-12`, "AUTO_APPEND"));
    expect(numbered).toBe(`${"x".repeat(77)} 12`);
  });

  test("is not the client's to choose otherwise", () => {
    expect(numberedTitle("The keep", conflict("the-keep-21", "PROMPT_USER"))).toBeUndefined();
    expect(numberedTitle("The keep", new UploadError("NOT_FOUND", ""))).toBeUndefined();
  });
});

describe("the digest of a part", () => {
  const bytes = noise(2 * 1024 * 1024 + 17, 5);

  test("is the same for the same bytes, and another one where any differs", async () => {
    const digest = await digestOf(new Blob([bytes]));
    expect(digest).toMatch(/^[\w+/]{22}$/);
    expect(await digestOf(new Blob([bytes.slice(0, 1_000), bytes.slice(1_000)]))).toBe(digest);
    for (const at of [0, 1024 * 1024 - 1, 1024 * 1024, bytes.length - 1]) {
      const altered = bytes.slice();
      altered[at]! ^= 1;
      expect(await digestOf(new Blob([altered]))).not.toBe(digest);
    }
    expect(await digestOf(new Blob([bytes, "x"]))).not.toBe(digest);
    expect(await digestOf(new Blob([bytes.slice(0, -1)]))).not.toBe(digest);
  });

  test("is the same where there is no Web Crypto", async () => {
    const digest = await digestOf(new Blob([bytes]));
    vi.stubGlobal("crypto", {});
    expect(await digestOf(new Blob([bytes]))).toBe(digest);
  });
});

test("checksums are those that others compute", async () => {
  const { createHash } = await import("node:crypto");
  const bytes = noise(2 * 1024 * 1024 + 17, 9);
  const expected = (name: string) => createHash(name).update(bytes).digest("hex");
  const digests = await digestsOf(new Blob([bytes]), ["sha256", "md5"]);
  expect([toHex(digests.sha256), toHex(digests.md5)]).toEqual([expected("sha256"), expected("md5")]);
});

describe("what is remembered", () => {
  const baseUrl = "https://uploads.example";
  const record = (sessionId: string): StoredUpload => ({
    sessionId,
    title: "Castle",
    createdAt: "2026-01-25T12:00:00.000Z",
    expiresAt: "2026-01-25T12:30:00.000Z",
    metadata: { title: "Castle" },
    files: [],
    status: "active",
  });

  test("are the fifty newest uploads, the newest first", () => {
    const storage = memoryStorage();
    const records = uploadRecords({ storage, baseUrl });
    for (let number = 1; number <= 60; number += 1) {
      records.put(record(String(number)));
    }
    records.put({ ...record("59"), title: "Renamed" });
    const found = findUploads({ storage, baseUrl: `${baseUrl}/` });
    expect(found).toHaveLength(50);
    expect(found.map(({ sessionId }) => sessionId).slice(0, 2)).toEqual(["60", "59"]);
    expect(found[1]!.title).toBe("Renamed");
    forgetUpload("60", { storage, baseUrl });
    expect(findUploads({ storage, baseUrl })).toHaveLength(49);
  });

  test("loses the digests of other uploads first where there is little room", () => {
    const digests = Array.from({ length: 10_000 }, () => "x".repeat(22));
    const file = { name: "a.pdf", category: "instruction", type: "application/pdf", sizeBytes: 1, digests } as const;
    const large = (sessionId: string): StoredUpload => ({
      ...record(sessionId),
      files: [{ ...file, digests: [...digests] }],
    });
    const storage = memoryStorage();
    const { setItem } = storage;
    let room = 300_000;
    storage.setItem = (key, value) => {
      if (value.length > room) {
        throw new Error("QuotaExceededError");
      }
      setItem(key, value);
    };
    const records = uploadRecords({ storage, baseUrl });
    const known = () => records.all().map(({ sessionId, files }) => [sessionId, files[0]?.digests?.length]);
    records.put(large("1"));
    expect(known()).toEqual([["1", 10_000]]);
    records.put(large("2"));
    expect(known()).toEqual([
      ["2", 10_000],
      ["1", undefined],
    ]);
    room = 3_000;
    records.put(large("2"));
    expect(known()).toEqual([
      ["2", undefined],
      ["1", undefined],
    ]);
  });

  test("does not matter where it cannot be read or written", () => {
    const storage = memoryStorage();
    const broken = {
      ...storage,
      setItem: () => {
        throw new Error("QuotaExceededError");
      },
    };
    uploadRecords({ storage: broken, baseUrl }).put(record("1"));
    const bad = [{ title: 1 }, { createdAt: "" }, { expiresAt: "soon" }, { metadata: null }, { files: [null] }];
    const changed = bad.map((fields) => JSON.stringify([{ ...record("1"), ...fields }]));
    for (const text of ["{", "null", "7", '{"a":1}', '[null, 1, {"sessionId": 2}]', ...changed]) {
      storage.setItem(`moc-uploads:${baseUrl}`, text);
      expect(findUploads({ storage, baseUrl }), text).toEqual([]);
    }
    expect(findUploads({ storage: null, baseUrl })).toEqual([]);
    expect(findUploads({ baseUrl })).toEqual([]);
  });
});
