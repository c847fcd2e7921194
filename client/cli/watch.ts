/** `watch`. */

import { createApi, type SessionStatus, watchUpload } from "../src/index.js";
import type { WatchCommand } from "./options.js";
import { errorReport, progressReport, type View } from "./report.js";
import { onSignal, signalStatus } from "./signals.js";
import { connectionOf } from "./upload.js";

/** Attempts to reach the service before there is anything to follow. Later, it is waited for. */
const FIRST_ATTEMPTS = 3;

/** Follows a session until it ends; returns the exit status. */
export async function watch(command: WatchCommand, view: View): Promise<number> {
  const { baseUrl, sessionId, attempts = FIRST_ATTEMPTS } = command;
  const connection = { ...connectionOf(command), baseUrl };
  const closing = new AbortController();
  const { signal } = closing;
  const fail = (error: unknown): number => {
    view.show({ type: "error", ...errorReport(error) });
    return 1;
  };
  const interrupted = new Promise<number>((resolve) => {
    onSignal((name) => {
      closing.abort();
      view.show({ type: "interrupted", signal: name, command: "watch" });
      resolve(signalStatus(name));
    });
  });
  const ended = new Promise<number>((resolve) => {
    let status: SessionStatus | undefined;
    const follow = () =>
      watchUpload({
        ...connection,
        sessionId,
        signal,
        onProgress: (progress) => {
          if (progress.status !== status) {
            status = progress.status;
            view.show({ type: "state", state: status, sessionId });
          }
          view.show(progressReport(progress));
        },
        onEnd: (mocId) => {
          view.show(mocId === undefined ? { type: "ended", status } : { type: "published", mocId });
          resolve(mocId === undefined ? 1 : 0);
        },
        onError: (error) => resolve(fail(error)),
      });
    createApi({ ...connection, retry: { attempts } })
      .getSession(sessionId, { signal })
      .then(follow, (error: unknown) => signal.aborted || resolve(fail(error)));
  });
  return Promise.race([ended, interrupted]);
}
