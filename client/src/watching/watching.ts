import { type Api, originOf } from "../api.js";
import { safely } from "../emitter.js";
import { aborted, toUploadError } from "../error.js";
import { listen, type SessionEvent } from "../events.js";
import { retryPolicy } from "../retry.js";
import { abortable, sleep } from "../signal.js";
import { SpeedMeter } from "../speed.js";
import type { FileProgress, WatchOptions, WatchTransport } from "../types.js";
import type { FileState, SessionState } from "../wire.js";
import { type StateOfSession, WatchedSession } from "./session.js";
import { readStream } from "./stream.js";
import { type Ending, Rest, type Way } from "./way.js";

/** Most streams of a page at once: over HTTP/1.1 a browser has six connections to an origin, and uploads need them. */
const PAGE_STREAMS_MAX = 2;
/** Interval of progress while the speed falls. */
const TICK_MS = 1_000;
/** Longest `Retry-After` that is waited for before the session is requested again, in milliseconds. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** How much longer a pause is than the one before. */
const PAUSE_GROWTH = 1.5;

/** Times, in milliseconds. */
export interface Pace {
  /** Pause before the session is requested again where nothing else brings progress, after a change. */
  pollMs: number;
  /** The pause grows up to that while nothing changes. */
  pollMaxMs: number;
  /** Interval of requests next to a WebSocket: an event may be lost, and none reports an expiry. */
  checkMs: number;
  /** After so long without a byte a stream is broken: comments are due every 15 seconds. */
  silenceMs: number;
  /** A stream that ends sooner is broken, too. */
  streamMinMs: number;
  /** How long a way that is broken is left alone; the time doubles if it is broken again, up to 16 times of that. */
  restMs: number;
}

const PACE: Pace = {
  pollMs: 2_000,
  pollMaxMs: 30_000,
  checkMs: 30_000,
  silenceMs: 30_000,
  streamMinMs: 1_000,
  restMs: 60_000,
};

/** What a response says of a session. Servers of earlier versions know neither streams nor the counter. */
type StateOfWatched = SessionState & { eventsUrl?: string; sequence?: number };

/** Streams of all sessions that are watched. */
let openStreams = 0;

/** Follows one session, by the best way that works. */
export class Watching {
  readonly #options: WatchOptions;
  readonly #api: Api;
  readonly #signal: AbortSignal;
  readonly #pace: Pace;
  readonly #session = new WatchedSession();
  readonly #meter = new SpeedMeter();
  /** The best one first. */
  readonly #ways: readonly Way[];
  #urls: Pick<StateOfWatched, "wsUrl" | "eventsUrl"> = {};
  /** The way by which progress comes. */
  #transport: WatchTransport = "polling";
  /** Whether the last request for the session has succeeded. */
  #isReachable = false;
  /** Whether there is more to know than what was received. */
  #isStale = false;
  /** Whether an event has come by WebSocket since the session was last requested. */
  #hasHeard = false;
  #pollMs: number;
  /** Ends the pause. */
  #waking = new AbortController();

  constructor(options: WatchOptions, api: Api, signal: AbortSignal, pace: Pace = PACE) {
    this.#options = options;
    this.#api = api;
    this.#signal = signal;
    this.#pace = pace;
    this.#pollMs = pace.pollMs;
    this.#ways = [this.#webSocket(), this.#stream()];
  }

  /** Resolves once the session has ended, with the id of its MOC. Rejects if it cannot be watched, or is aborted. */
  async run(): Promise<string | undefined> {
    const tick = () => this.#meter.bytesPerSecond() > 0 && this.#show();
    const ticker = setInterval(tick, TICK_MS);
    const wake = () => this.#wake();
    const reconsider = () => {
      this.#ways.forEach(({ rest }) => rest.end());
      this.#pollMs = this.#pace.pollMs;
      this.#wake();
    };
    // Only browsers have these.
    const { document, addEventListener, removeEventListener } = globalThis as Partial<typeof globalThis>;
    this.#signal.addEventListener("abort", wake);
    addEventListener?.("online", reconsider);
    document?.addEventListener("visibilitychange", reconsider);
    try {
      await this.#refresh();
      while (!this.#session.isOver) {
        const way = this.#isReachable ? this.#bestWay() : undefined;
        if (way) {
          await this.#follow(way);
        } else {
          this.#transport = "polling";
          await this.#pause(this.#isReachable ? Math.min(this.#pollMs, this.#untilBetter()) : this.#pollMs);
        }
        if (!this.#session.isOver) {
          await this.#refresh();
        }
      }
      return this.#session.mocId;
    } finally {
      clearInterval(ticker);
      this.#signal.removeEventListener("abort", wake);
      removeEventListener?.("online", reconsider);
      document?.removeEventListener("visibilitychange", reconsider);
    }
  }

  #webSocket(): Way {
    const { WebSocket = globalThis.WebSocket as WatchOptions["WebSocket"], retry } = this.#options;
    const { checkMs, restMs } = this.#pace;
    return {
      transport: "websocket",
      checkMs,
      rest: new Rest(restMs, retryPolicy(retry)),
      url: () => (WebSocket ? this.#urls.wsUrl : undefined),
      follow: async (url, onOpen, signal): Promise<Ending> => {
        const opened = () => {
          onOpen();
          // Requests once more what may have been missed.
          this.#isStale = true;
        };
        const onEvent = (event: SessionEvent) => this.#onEvent(event);
        const { isOpen } = await listen(new WebSocket!(url), { onOpen: opened, onEvent, signal });
        return { how: isOpen ? "broken" : "failed" };
      },
    };
  }

  #stream(): Way {
    const { baseUrl, fetch = globalThis.fetch, retry } = this.#options;
    const { silenceMs, streamMinMs, restMs } = this.#pace;
    const isPage = "document" in globalThis;
    return {
      transport: "server-sent-events",
      checkMs: Infinity,
      rest: new Rest(restMs, retryPolicy(retry)),
      // A tab that nobody sees takes no connection from those that upload.
      url: () => (isPage && document.hidden ? undefined : this.#urls.eventsUrl),
      follow: async (url, onOpen, signal): Promise<Ending> => {
        if (isPage && openStreams >= PAGE_STREAMS_MAX) {
          return { how: "failed" };
        }
        openStreams += 1;
        try {
          return await readStream(url.startsWith("/") ? originOf(baseUrl) + url : url, {
            fetch: (...args) => fetch(...args),
            lastEventId: this.#session.sequence,
            silenceMs,
            streamMinMs,
            onOpen,
            onState: (state) => this.#onState(state),
            signal,
          });
        } finally {
          openStreams -= 1;
        }
      },
    };
  }

  /** The best way that is possible and does not rest. */
  #bestWay(): Way | undefined {
    return this.#ways.find((way) => way.url() !== undefined && way.rest.leftMs === 0);
  }

  /** How long until a better way may be possible than this one, or than requests, in milliseconds. */
  #untilBetter(way?: Way): number {
    const better = this.#ways.slice(0, way && this.#ways.indexOf(way)).filter((way) => way.url() !== undefined);
    // A timer may be a little early.
    return Math.min(...better.map(({ rest }) => Math.ceil(rest.leftMs) + 1));
  }

  /** Follows one connection until it ends, the session does, or there is a better way. */
  async #follow(way: Way): Promise<void> {
    const closing = new AbortController();
    const close = () => closing.abort();
    // At once: nothing more is heard of what has come already.
    this.#signal.addEventListener("abort", close);
    let ending: Ending | undefined;
    let openedMs: number | undefined;
    const onOpen = () => {
      openedMs = performance.now();
      this.#transport = way.transport;
      this.#wake();
    };
    const settled = way
      .follow(way.url()!, onOpen, closing.signal)
      // Aborted, or a URL that is malformed.
      .catch((): Ending => ({ how: "failed" }))
      .then((how) => {
        ending ??= how;
        this.#wake();
      });
    try {
      while (!ending && !this.#session.isOver) {
        const checkMs = openedMs === undefined ? this.#pollMs : way.checkMs;
        const isDue = await this.#pause(Math.min(checkMs, this.#untilBetter(way)));
        if (ending || this.#bestWay() !== way) {
          break;
        }
        if (isDue || this.#isStale) {
          ending = await this.#check(isDue && openedMs !== undefined);
        }
      }
    } finally {
      this.#signal.removeEventListener("abort", close);
      close();
    }
    if (ending?.how !== "ended") {
      this.#transport = "polling";
    }
    const openMs = openedMs === undefined ? 0 : performance.now() - openedMs;
    const waitMs = ending ? way.rest.after(ending, openMs) : 0;
    await settled;
    this.#waking = new AbortController();
    if (waitMs > 0 && !this.#session.isOver) {
      await sleep(waitMs, this.#signal);
    }
  }

  /** Requests the session next to a connection, which has failed if that brings parts whose events did not come. */
  async #check(shouldHaveHeard: boolean): Promise<Ending | undefined> {
    const before = this.#session.storedBytes;
    await this.#refresh();
    const isDeaf = shouldHaveHeard && !this.#hasHeard && this.#session.storedBytes > before;
    this.#hasHeard = false;
    return isDeaf ? { how: "failed" } : undefined;
  }

  /** Requests the session. */
  async #refresh(): Promise<void> {
    this.#isStale = false;
    const { pollMs, pollMaxMs } = this.#pace;
    const longer = Math.min(this.#pollMs * PAUSE_GROWTH, pollMaxMs);
    try {
      const state: StateOfWatched = await this.#api.getSession(this.#options.sessionId, { signal: this.#signal });
      this.#pollMs = this.#session.update({ ...state, allFiles: true }) ? pollMs : longer;
      this.#urls = state;
      this.#isReachable = true;
      this.#show();
    } catch (thrown) {
      const { retryable, retryAfterMs = 0 } = toUploadError(thrown);
      if (!retryable) {
        throw thrown;
      }
      this.#isReachable = false;
      this.#pollMs = Math.max(longer, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
    }
  }

  #onEvent(event: SessionEvent): void {
    this.#hasHeard = true;
    const effect = this.#session.apply(event);
    if (effect === "applied") {
      this.#pollMs = this.#pace.pollMs;
      this.#show();
    } else if (effect === "incomplete") {
      this.#isStale = true;
      this.#wake();
    }
  }

  #onState(state: StateOfSession): void {
    if (this.#session.update(state)) {
      this.#pollMs = this.#pace.pollMs;
    }
    this.#show();
    if (this.#session.isOver) {
      this.#wake();
    }
  }

  #show(): void {
    const { files, status, storedBytes } = this.#session;
    const totalBytes = files.reduce((sum, file) => sum + file.bytesTotal, 0);
    this.#meter.add(storedBytes);
    const totals = { totalBytes, sentBytes: storedBytes, storedBytes };
    const shown = { status, transport: this.#transport, files: files.map(fileProgress) };
    safely(this.#options.onProgress, { ...totals, ...this.#meter.rate(totals), ...shown });
  }

  /** Waits; returns whether the time is over. Rejects if the watching was ended. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#waking;
    const waiting = ms === Infinity ? abortable(new Promise<void>(() => {}), signal) : sleep(ms, signal);
    const isOver = await waiting.then(
      () => true,
      () => false,
    );
    this.#waking = new AbortController();
    if (this.#signal.aborted) {
      throw aborted();
    }
    return isOver;
  }

  #wake(): void {
    this.#waking.abort();
  }
}

function fileProgress({ fileId, name, category, type, status, bytesTotal, bytesCompleted }: FileState): FileProgress {
  const begun = bytesCompleted > 0 ? "uploading" : "waiting";
  const state = status === "completed" ? "completed" : begun;
  const shared = { fileId, name, category, type, state, sizeBytes: bytesTotal } as const;
  return { ...shared, sentBytes: bytesCompleted, storedBytes: bytesCompleted };
}
