import { createParser } from "eventsource-parser";
import { parseRetryAfter } from "../retry.js";
import { abortable } from "../signal.js";
import type { StateOfSession } from "./session.js";
import type { Ending } from "./way.js";

/** Longest event, in characters: 1,000 files need less than 1 MiB. */
const EVENT_MAX_CHARS = 4 * 1024 * 1024;

/** What {@link readStream} takes. */
export interface StreamOptions {
  fetch: typeof globalThis.fetch;
  /** Up to which everything is known already. */
  lastEventId: number | undefined;
  /** Longest time without a byte, in milliseconds. */
  silenceMs: number;
  /** A stream that ends sooner did not end because its time was over. */
  streamMinMs: number;
  /** Called with the first bytes. */
  onOpen(): void;
  onState(state: StateOfSession): void;
  signal: AbortSignal;
}

/** Reads the server-sent events of a session until they end; resolves with how they did, also when `signal` aborts. */
export async function readStream(url: string, options: StreamOptions): Promise<Ending> {
  const { fetch, lastEventId, silenceMs, streamMinMs, onOpen, onState, signal } = options;
  const closing = new AbortController();
  const close = () => closing.abort();
  let timer = setTimeout(close, silenceMs);
  let openedMs: number | undefined;
  signal.addEventListener("abort", close);
  try {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (lastEventId !== undefined) {
      headers["last-event-id"] = String(lastEventId);
    }
    const init: RequestInit = { headers, credentials: "same-origin", cache: "no-store", signal: closing.signal };
    const response = await fetch(url, init);
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !type.startsWith("text/event-stream") || !response.body) {
      const retryAfterMs = parseRetryAfter((name) => response.headers.get(name));
      return response.status === 403 ? { how: "stale" } : { how: "failed", retryAfterMs };
    }
    const parser = createParser({
      maxBufferSize: EVENT_MAX_CHARS,
      onEvent: ({ event, data }) => {
        const state = event === "state" || event === "end" ? stateIn(data) : undefined;
        if (state && !signal.aborted) {
          onState(state);
        }
      },
    });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      // In Node.js 20 a read may stay pending where the request is aborted just when the response has ended.
      const { done, value } = await abortable(reader.read(), closing.signal);
      if (done) {
        const isRegular = openedMs !== undefined && performance.now() - openedMs >= streamMinMs;
        return { how: isRegular ? "ended" : "broken" };
      }
      clearTimeout(timer);
      timer = setTimeout(close, silenceMs);
      if (openedMs === undefined) {
        openedMs = performance.now();
        onOpen();
      }
      // Throws after an event that was too long.
      parser.feed(decoder.decode(value, { stream: true }));
    }
  } catch {
    // After a silence, either a proxy buffers the stream, or the connection is lost without notice.
    return { how: openedMs === undefined || closing.signal.aborted ? "failed" : "broken" };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", close);
    // Also ends a response that was not read.
    close();
  }
}

/** What an event says. Anything else than a state is skipped. */
function stateIn(data: string): StateOfSession | undefined {
  try {
    const state = JSON.parse(data) as Partial<StateOfSession> | null;
    const isState = typeof state?.status === "string" && Array.isArray(state.files ?? []);
    return isState ? (state as StateOfSession) : undefined;
  } catch {
    return undefined;
  }
}
