import { hasCode, UploadError } from "./error.js";
import { abortable, sleep } from "./signal.js";
import type { RetryOptions } from "./types.js";

/** Longest `Retry-After` that is waited for, in milliseconds; the caller gets the error if it is longer. */
const RETRY_AFTER_MAX_MS = 60_000;

/** How failed requests are repeated, with every default filled in. */
export type RetryPolicy = Record<keyof RetryOptions, number>;

/** Fills in the defaults. */
export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  const { attempts = 6, baseDelayMs = 1_000, maxDelayMs = 30_000 } = options;
  return { attempts, baseDelayMs, maxDelayMs };
}

/**
 * How long to wait after attempt number `attempt` (from 1) has failed: a random time up to a bound that doubles each
 * time ("full jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A `Retry-After`
 * comes before that.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, retryAfterMs = 0, random = Math.random): number {
  return retryAfterMs + random() * Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempt - 1));
}

/**
 * Reads the `Retry-After` (RFC 9110, section 10.2.3) of a response, seconds or a date, in milliseconds. A date counts
 * from the response's own, where that can be read, because the clocks may differ.
 */
export function parseRetryAfter(header: (name: string) => string | null, now = Date.now()): number | undefined {
  const value = header("retry-after");
  if (value === null) {
    return undefined;
  }
  const ms = /^\s*\d+\s*$/.test(value)
    ? Number(value) * 1_000
    : Date.parse(value) - (Date.parse(header("date") ?? "") || now);
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** Called with the error while nothing is sent, and with nothing afterwards. */
export type OnWaiting = (error?: UploadError) => void;

/** Waits before the next attempt; throws `error` if another attempt cannot help. */
export async function waitToRetry(
  error: unknown,
  attempt: number,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  onWaiting: OnWaiting,
): Promise<void> {
  if (!(error instanceof UploadError) || !error.retryable || attempt >= policy.attempts) {
    throw error;
  }
  const { retryAfterMs = 0 } = error;
  if (retryAfterMs > RETRY_AFTER_MAX_MS) {
    throw error;
  }
  onWaiting(error);
  await sleep(retryDelayMs(policy, attempt, retryAfterMs), signal);
}

/**
 * Calls `call` until it succeeds, or fails for good. A browser that has no network is waited for, which is no attempt: but
 * only once a call has failed, because a service on the same machine needs none.
 */
export async function retrying<T>(
  call: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  onWaiting: OnWaiting,
): Promise<T> {
  for (let attempt = 1; ; ) {
    try {
      const result = await call();
      onWaiting();
      return result;
    } catch (error) {
      if (hasCode(error, "NETWORK_ERROR") && isOffline()) {
        onWaiting(error);
        await online(signal);
      } else {
        await waitToRetry(error, attempt, policy, signal, onWaiting);
        attempt += 1;
      }
    }
  }
}

/** Browsers only: elsewhere there is no `onLine`. */
function isOffline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}

async function online(signal: AbortSignal | undefined): Promise<void> {
  let wake = () => {};
  const woken = new Promise<void>((resolve) => (wake = resolve));
  addEventListener("online", wake);
  try {
    await abortable(woken, signal);
  } finally {
    removeEventListener("online", wake);
  }
}
