import { type RetryPolicy, retryDelayMs } from "./retry.js";
import { abortable, sleep } from "./signal.js";
import type { WebSocketLike } from "./types.js";

/** Longest time to connect, in milliseconds. */
const CONNECT_MAX_MS = 10_000;

/** An event of a session (README, "Live progress"), as far as it matters here. */
export interface SessionEvent {
  type: string;
  /** The session's counter as of the change; servers of earlier versions send none. */
  sequence?: number;
  fileId?: string;
  progress?: { bytesCompleted?: number };
}

/** What {@link followEvents} takes. */
export interface FollowOptions {
  /** Where to connect first. */
  wsUrl: string | undefined;
  /** A fresh URL, for each connection after the first. */
  freshUrl(): Promise<string | undefined>;
  onEvent(event: SessionEvent): void;
  policy: RetryPolicy;
  signal: AbortSignal;
  WebSocket?: (new (url: string) => WebSocketLike) | undefined;
}

/** What {@link listen} takes. */
export interface ListenOptions {
  onOpen?(): void;
  onEvent(event: SessionEvent): void;
  signal: AbortSignal;
}

/**
 * Receives the events of a session until `signal` aborts. Connections that are lost are made again, with backoff; after
 * several in a row that brought nothing, and if there is no address, it ends: events are advisory.
 */
export async function followEvents(options: FollowOptions): Promise<void> {
  const { policy, signal, WebSocket = globalThis.WebSocket as FollowOptions["WebSocket"] } = options;
  try {
    let url = options.wsUrl;
    for (let failures = 0; url !== undefined && WebSocket && !signal.aborted && failures < policy.attempts; ) {
      const { heard } = await listen(new WebSocket(url), options);
      failures = heard ? 1 : failures + 1;
      await sleep(retryDelayMs(policy, failures), signal);
      url = await options.freshUrl();
    }
  } catch {
    // Aborted, or the session is unreachable.
  }
}

/**
 * Listens to one connection until it ends; returns whether it has opened, and brought anything. Rejects with `ABORTED`
 * once `signal` aborts; the connection is closed then.
 */
export async function listen(
  socket: WebSocketLike,
  { onOpen, onEvent, signal }: ListenOptions,
): Promise<{ isOpen: boolean; heard: boolean }> {
  let [isOpen, heard] = [false, false];
  const timer = setTimeout(() => socket.close(), CONNECT_MAX_MS);
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener("open", () => {
      clearTimeout(timer);
      isOpen = true;
      onOpen?.();
    });
    for (const end of ["close", "error"]) {
      socket.addEventListener(end, () => {
        clearTimeout(timer);
        resolve();
      });
    }
    socket.addEventListener("message", (message: { data?: unknown }) => {
      heard = true;
      // Messages that arrived before the connection was closed may be delivered after that.
      eventsIn(message.data).forEach((event) => signal.aborted || onEvent(event));
    });
  });
  try {
    await abortable(closed, signal);
  } finally {
    // Browsers complain of a connection that is closed before it is there.
    socket.addEventListener("open", () => socket.close());
    if (isOpen) {
      socket.close();
    }
  }
  return { isOpen, heard };
}

/** The events of a message: one event or a list of them, in Centrifugo's frame or not. Anything else is skipped. */
function eventsIn(data: unknown): SessionEvent[] {
  try {
    const message = JSON.parse(String(data));
    const parsed: unknown = message?.pub?.data ?? message;
    return (Array.isArray(parsed) ? parsed : [parsed]).filter(
      (event): event is SessionEvent => typeof (event as Partial<SessionEvent> | null)?.type === "string",
    );
  } catch {
    return [];
  }
}
