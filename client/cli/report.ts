/** What commands report; with `--json`, each is a line. */

import {
  type FileProgress,
  type Moc,
  type Progress,
  type SessionStatus,
  UploadError,
  type UploadState,
  type WatchedProgress,
  type WatchTransport,
} from "../src/index.js";

/** An error, as it is reported. */
export interface ErrorReport {
  /** The service's, or the client's own. */
  code: string;
  message: string;
  fileName?: string | undefined;
  status?: number | undefined;
  requestId?: string | undefined;
  /** What the connection failed with. */
  reason?: string | undefined;
  /** Of `VALIDATION_ERROR`: which values are wrong, and how. */
  errors?: { pointer: string; message: string }[] | undefined;
}

/** How far a file is. */
export type FileReport = Omit<FileProgress, "error" | "type"> & { error?: ErrorReport | undefined };

/** How far an upload is. */
export type ProgressReport = Omit<Progress, "files" | "waiting"> & {
  type: "progress";
  waiting?: ErrorReport | undefined;
  /** Of `watch`: the way by which the progress came. */
  transport?: WatchTransport | undefined;
  files: FileReport[];
};

/** An upload that can be resumed. */
export interface SavedReport {
  type: "upload";
  sessionId: string;
  title: string;
  baseUrl: string;
  /** RFC 3339. */
  createdAt: string;
  /** RFC 3339; the server extends the session while it is used. */
  expiresAt: string;
  files: { name: string; path: string | undefined; sizeBytes: number }[];
}

/** What commands report. */
export type Report =
  /** The upload, or the watched session, has entered a state. */
  | { type: "state"; state: UploadState | SessionStatus; sessionId: string | undefined }
  | ProgressReport
  | { type: "warning"; code: string; message: string }
  /** The last one of a successful `upload`, `resume` or `watch`; `watch` does not know the MOC. */
  | { type: "published"; mocId: string; moc?: Moc }
  /** The last one of `watch` if nothing was published. */
  | { type: "ended"; status: SessionStatus | undefined }
  /** The last one of a command that failed. `resume` is the id of the session that can be resumed. */
  | ({ type: "error"; resume?: string | undefined } & ErrorReport)
  /** The last one of a command that a signal has ended. */
  | { type: "interrupted"; signal: string; command: "upload" | "watch"; resume?: string | undefined }
  | SavedReport
  | { type: "cancelled"; sessionId: string };

/** Shows reports. */
export interface View {
  show(report: Report): void;
  /** Leaves the terminal as it should be. Nothing is shown after that. */
  close(): void;
}

/** The report of progress. */
export function progressReport(progress: Progress | WatchedProgress): ProgressReport {
  const { files, waiting, totalBytes, sentBytes, storedBytes, bytesPerSecond, secondsLeft } = progress;
  return {
    type: "progress",
    totalBytes,
    sentBytes,
    storedBytes,
    bytesPerSecond: Math.round(bytesPerSecond),
    secondsLeft: secondsLeft === undefined ? undefined : Math.round(secondsLeft),
    waiting: waiting && errorReport(waiting),
    transport: "transport" in progress ? progress.transport : undefined,
    files: files.map(({ error, type: _, ...file }) => ({ ...file, error: error && errorReport(error) })),
  };
}

/** The report of an error. */
export function errorReport(thrown: unknown): ErrorReport {
  const { message, cause } = thrown instanceof Error ? thrown : new Error(String(thrown));
  const reason = reasonOf(cause);
  if (!(thrown instanceof UploadError)) {
    return { code: "CLIENT_ERROR", message, reason };
  }
  const { code, fileName, status, requestId, problem } = thrown;
  const errors = problem?.code === "VALIDATION_ERROR" ? problem.errors : undefined;
  return { code, message, fileName, status, requestId, reason, errors };
}

/** The message of the innermost error. `fetch` says no more than that it failed; its reason is inside. */
function reasonOf(cause: unknown): string | undefined {
  for (let at = cause; at instanceof Error; at = at.cause) {
    if (!(at.cause instanceof Error)) {
      // An error of several addresses has no message, but a code.
      return at.message || (at as NodeJS.ErrnoException).code;
    }
  }
  return undefined;
}
