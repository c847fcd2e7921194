import { type RetryPolicy, retryDelayMs } from "../retry.js";
import type { WatchTransport } from "../types.js";

/** So many connections in a row may break before another way is taken. */
const BREAKS_MAX = 3;
/** How often the time that a way is left alone is doubled. */
const DOUBLINGS_MAX = 4;
/** Shortest `Retry-After`, in milliseconds. */
const RETRY_AFTER_MIN_MS = 1_000;

/** In which way a connection ended. */
export type EndingKind =
  /** Its time was over: the next one may follow at once. */
  | "ended"
  /** It was made, and then lost. */
  | "broken"
  /** It was rejected because its URL is too old. */
  | "stale"
  /** It was not made, or brings nothing. */
  | "failed";

/** How a connection ended. */
export interface Ending {
  how: EndingKind;
  /** How long the server asks to wait, in milliseconds. */
  retryAfterMs?: number | undefined;
}

/** A kind of connections by which progress comes, and when the next one may be made. */
export interface Way {
  readonly transport: WatchTransport;
  /** How often the session is requested while it is connected, in milliseconds; `Infinity` for never. */
  readonly checkMs: number;
  readonly rest: Rest;
  /** Where to connect; `undefined` if that is not possible. */
  url(): string | undefined;
  /** Follows one connection until it ends, or `signal` aborts; `onOpen` is called once something comes. */
  follow(url: string, onOpen: () => void, signal: AbortSignal): Promise<Ending>;
}

/** For how long a way is left alone that has failed. */
export class Rest {
  readonly #restMs: number;
  readonly #policy: RetryPolicy;
  #breaks = 0;
  #isStale = false;
  /** How many rests there were since it last worked. */
  #rests = 0;
  #endMs = 0;
  #isAskedFor = false;

  /** `restMs`: the first rest, in milliseconds. */
  constructor(restMs: number, policy: RetryPolicy) {
    this.#restMs = restMs;
    this.#policy = policy;
  }

  /** Milliseconds until the way may be used; 0 if it may be now. */
  get leftMs(): number {
    return Math.max(0, this.#endMs - performance.now());
  }

  /**
   * Takes note of how a connection ended that had been open for so long; returns how long to wait before the next
   * connection of any kind, in milliseconds.
   */
  after({ how, retryAfterMs }: Ending, openMs: number): number {
    if (openMs >= this.#restMs) {
      this.#breaks = this.#rests = 0;
    }
    const wasStale = this.#isStale;
    this.#isStale = how === "stale";
    if (how === "ended") {
      this.#breaks = this.#rests = 0;
      return 0;
    }
    if (how === "stale" && !wasStale) {
      return 0;
    }
    this.#breaks += 1;
    if (how === "broken" && this.#breaks < BREAKS_MAX) {
      return retryDelayMs(this.#policy, this.#breaks);
    }
    this.#begin(retryAfterMs);
    return 0;
  }

  /** Ends it because the network may be another one, unless the server has asked for it. */
  end(): void {
    if (!this.#isAskedFor) {
      this.#endMs = 0;
    }
  }

  #begin(retryAfterMs: number | undefined): void {
    this.#isAskedFor = retryAfterMs !== undefined;
    const restMs =
      retryAfterMs === undefined
        ? this.#restMs * 2 ** Math.min(this.#rests, DOUBLINGS_MAX)
        : retryDelayMs(this.#policy, 1, Math.max(RETRY_AFTER_MIN_MS, retryAfterMs));
    this.#endMs = performance.now() + restMs;
    this.#breaks = 0;
    this.#rests += 1;
  }
}
