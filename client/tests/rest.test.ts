/** How long a way by which progress comes is left alone after it has failed. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { retryPolicy } from "../src/retry.js";
import { Rest } from "../src/watching/way.js";

let rest: Rest;
beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  rest = new Rest(60_000, retryPolicy());
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The rest that follows a failure, in minutes; it is over then. */
function restAfterFailure(openMs = 0): number {
  expect(rest.after({ how: "failed" }, openMs)).toBe(0);
  const { leftMs } = rest;
  vi.advanceTimersByTime(leftMs);
  expect(rest.leftMs).toBe(0);
  return leftMs / 60_000;
}

test("doubles with each failure up to 16 minutes, and is short again after a connection that held", () => {
  expect([1, 2, 3, 4, 5, 6].map(() => restAfterFailure())).toEqual([1, 2, 4, 8, 16, 16]);
  expect(restAfterFailure(60_000)).toBe(1);
  expect(restAfterFailure()).toBe(2);
  rest.after({ how: "ended" }, 5_000);
  expect(restAfterFailure()).toBe(1);
});

test("follows the third connection in a row that broke; before it there are pauses that grow", () => {
  expect([1, 2].map(() => rest.after({ how: "broken" }, 0))).toEqual([1_000, 2_000]);
  expect(rest.leftMs).toBe(0);
  expect(rest.after({ how: "broken" }, 0)).toBe(0);
  expect(rest.leftMs).toBe(60_000);
});

test("does not follow connections that broke between others that held", () => {
  expect([1, 2, 3, 4].map(() => rest.after({ how: "broken" }, 60_000))).toEqual([1_000, 1_000, 1_000, 1_000]);
  expect(rest.leftMs).toBe(0);
});

test("follows the second URL in a row that is too old", () => {
  expect(rest.after({ how: "stale" }, 0)).toBe(0);
  expect(rest.leftMs).toBe(0);
  rest.after({ how: "stale" }, 0);
  expect(rest.leftMs).toBe(60_000);
});

test("is as long as the server asks for, at least a second, and nothing ends it sooner", () => {
  rest.after({ how: "failed", retryAfterMs: 5_000 }, 0);
  rest.end();
  expect(rest.leftMs).toBe(6_000);
  vi.advanceTimersByTime(6_000);
  rest.after({ how: "failed", retryAfterMs: 0 }, 0);
  expect(rest.leftMs).toBe(2_000);
});

test("ends where the network may be another one", () => {
  rest.after({ how: "failed" }, 0);
  rest.end();
  expect(rest.leftMs).toBe(0);
});
