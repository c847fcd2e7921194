import { aborted } from "./error.js";

/** Rejects with `ABORTED` as soon as `signal` aborts, or else settles as `work` does. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  let abort = () => {};
  const aborting = new Promise<never>((_, reject) => (abort = () => reject(aborted())));
  if (signal?.aborted) {
    abort();
  }
  signal?.addEventListener("abort", abort);
  try {
    return await Promise.race([aborting, work]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Waits; rejects with `ABORTED` as soon as `signal` aborts. No timer is left then. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal);
  } finally {
    clearTimeout(timer);
  }
}
