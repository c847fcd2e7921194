/** How far back the speed looks. */
const WINDOW_MS = 5_000;

/** The speed of a count of bytes over the last seconds. */
export class SpeedMeter {
  #samples: { atMs: number; bytes: number }[] = [];

  /** Starts over: the bytes counted so far were not sent just now. */
  reset(bytes: number, nowMs = performance.now()): void {
    this.#samples = [{ atMs: nowMs, bytes }];
  }

  /** The count as it is now. */
  add(bytes: number, nowMs = performance.now()): void {
    const samples = this.#samples;
    if (bytes < (samples.at(-1)?.bytes ?? 0)) {
      this.reset(bytes, nowMs);
      return;
    }
    samples.push({ atMs: nowMs, bytes });
  }

  /** Bytes a second over the window, 0 where nothing has moved in it. */
  bytesPerSecond(nowMs = performance.now()): number {
    const samples = this.#samples;
    // One sample before the window stays: it says how much there was when the window began.
    while (samples.length > 1 && samples[1]!.atMs <= nowMs - WINDOW_MS) {
      samples.shift();
    }
    const [first, last] = [samples[0], samples.at(-1)];
    return first && last && nowMs > first.atMs ? ((last.bytes - first.bytes) * 1_000) / (nowMs - first.atMs) : 0;
  }

  /** The speed, and how long the rest takes at it. */
  rate({ totalBytes, storedBytes }: { totalBytes: number; storedBytes: number }): {
    bytesPerSecond: number;
    secondsLeft: number | undefined;
  } {
    const bytesPerSecond = this.bytesPerSecond();
    const secondsLeft = bytesPerSecond > 0 ? (totalBytes - storedBytes) / bytesPerSecond : undefined;
    return { bytesPerSecond, secondsLeft };
  }
}
