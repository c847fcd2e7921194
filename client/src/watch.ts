import { createApi } from "./api.js";
import { safely } from "./emitter.js";
import { hasCode, toUploadError } from "./error.js";
import { followEvents, type SessionEvent } from "./events.js";
import { retryPolicy } from "./retry.js";
import { sleep } from "./signal.js";
import { SpeedMeter } from "./speed.js";
import type { FileProgress, WatchOptions } from "./types.js";
import type { FileState, SessionState } from "./wire.js";

/** How often the session is asked for where no events come. */
const POLL_MS = 2_000;
/** Interval while events arrive: one may be lost, and none reports an expiry. */
const POLL_CONNECTED_MS = 30_000;

/** Follows a session that another tab, or another machine of the same user, uploads, until it ends. */
export function watchUpload(options: WatchOptions): { close(): void } {
  const { sessionId, onProgress, onEnd, onError, retry, WebSocket } = options;
  const api = createApi(options);
  const meter = new SpeedMeter();
  const closing = new AbortController();
  const { signal } = closing;
  /** Ends the pause before the session is asked for again. */
  let waking = new AbortController();
  let session: SessionState | undefined;
  let isConnected = false;

  const close = () => {
    closing.abort();
    waking.abort();
  };
  const get = () => api.getSession(sessionId, { signal });

  /** A response that was in flight while events arrived is older than they are. */
  const merge = (next: SessionState): SessionState => {
    for (const file of next.files) {
      const known = session?.files.find(({ fileId }) => fileId === file.fileId);
      file.bytesCompleted = Math.max(file.bytesCompleted, known?.bytesCompleted ?? 0);
    }
    return next;
  };

  const show = ({ files, status }: SessionState) => {
    const totalBytes = files.reduce((sum, file) => sum + file.bytesTotal, 0);
    const storedBytes = files.reduce((sum, file) => sum + file.bytesCompleted, 0);
    meter.add(storedBytes);
    const totals = { totalBytes, sentBytes: storedBytes, storedBytes };
    safely(onProgress, { ...totals, ...meter.rate(totals), status, files: files.map(fileProgress) });
  };

  /** Applies an event; where an event is incomplete, the session is requested. */
  const onEvent = ({ type, fileId, progress }: SessionEvent) => {
    const file = session?.files.find((file) => file.fileId === fileId);
    if (session && file && type === "part_uploaded") {
      file.bytesCompleted = Math.max(file.bytesCompleted, progress?.bytesCompleted ?? 0);
      show(session);
    } else if (/^(file|session)_/.test(type)) {
      waking.abort();
    }
  };

  const follow = (wsUrl: string | undefined) =>
    followEvents({
      wsUrl,
      freshUrl: async () => (await get()).wsUrl,
      onEvent,
      onConnected: (connected) => {
        isConnected = connected;
        waking.abort();
      },
      policy: retryPolicy(retry),
      signal,
      WebSocket,
    });

  /** Asks until the session has ended; returns what it became. */
  const run = async (): Promise<string | undefined> => {
    for (;;) {
      waking = new AbortController();
      try {
        const isFirst = session === undefined;
        session = merge(await get());
        show(session);
        if (session.status !== "active" && session.status !== "finalizing") {
          return session.mocId;
        }
        if (isFirst) {
          void follow(session.wsUrl);
        }
      } catch (error) {
        if (!toUploadError(error).retryable) {
          throw error;
        }
      }
      await sleep(isConnected ? POLL_CONNECTED_MS : POLL_MS, waking.signal).catch(() => {});
    }
  };

  if (options.signal?.aborted) {
    close();
  }
  options.signal?.addEventListener("abort", close, { signal });
  run()
    .then(
      (mocId) => signal.aborted || safely(onEnd, mocId),
      (error: unknown) => hasCode(error, "ABORTED") || safely(onError, toUploadError(error)),
    )
    .finally(close);
  return { close };
}

function fileProgress({ fileId, name, category, type, status, bytesTotal, bytesCompleted }: FileState): FileProgress {
  const begun = bytesCompleted > 0 ? "uploading" : "waiting";
  const state = status === "completed" ? "completed" : begun;
  const shared = { fileId, name, category, type, state, sizeBytes: bytesTotal } as const;
  return { ...shared, sentBytes: bytesCompleted, storedBytes: bytesCompleted };
}
