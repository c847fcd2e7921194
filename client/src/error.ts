import type { Problem, ProblemCode } from "./wire.js";

/** Codes that come from the client itself, next to those of the server's problems. */
export type ClientErrorCode =
  /** No response: the network or the service is unreachable. */
  | "NETWORK_ERROR"
  /** A response that is not the service's, for example a proxy's. */
  | "UNEXPECTED_RESPONSE"
  /** Cancelled by `cancel()` or a signal. */
  | "ABORTED"
  /** A file that the upload began with is missing, or another one is there. */
  | "FILE_MISMATCH"
  /** A file cannot be read, or has changed since it was chosen. */
  | "FILE_UNREADABLE"
  /** Neither name nor type of a file is one that a MOC can have. */
  | "UNSUPPORTED_FILE"
  /** A fault of the client's own; `cause` says which. */
  | "CLIENT_ERROR";

/** Parameters of a code of the client itself. */
export interface ErrorParams {
  /** For `FILE_MISMATCH`: what is wrong with the file `fileName`. */
  mismatch?: "missing" | "unknown";
}

/** What an {@link UploadError} is made of. */
export interface UploadErrorInit {
  status?: number | undefined;
  retryable?: boolean | undefined;
  requestId?: string | undefined;
  retryAfterMs?: number | undefined;
  problem?: Problem | undefined;
  fileName?: string | undefined;
  params?: ErrorParams | undefined;
  cause?: unknown;
}

/** Why something failed. */
export class UploadError extends Error {
  override readonly name = "UploadError";
  /** The server's, or the client's own. */
  readonly code: ProblemCode | ClientErrorCode;
  /** The HTTP status, where there was a response. */
  readonly status: number | undefined;
  /** Whether the same again may succeed later. */
  readonly retryable: boolean;
  /** The id that the server's log has, too. */
  readonly requestId: string | undefined;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The whole problem (RFC 9457), with the fields of its code. */
  readonly problem: Problem | undefined;
  /** The file that it is about. */
  readonly fileName: string | undefined;
  readonly params: ErrorParams | undefined;

  constructor(code: UploadError["code"], message: string, init: UploadErrorInit = {}) {
    super(message, { cause: init.cause });
    this.code = code;
    this.status = init.status;
    this.retryable = init.retryable ?? false;
    this.requestId = init.requestId;
    this.retryAfterMs = init.retryAfterMs;
    this.problem = init.problem;
    this.fileName = init.fileName;
    this.params = init.params;
  }
}

/** The same error, of this file. */
export function inFile(error: UploadError, fileName: string): UploadError {
  return new UploadError(error.code, error.message, { ...error, cause: error.cause, fileName });
}

/** What was thrown as an `UploadError`. */
export function toUploadError(thrown: unknown): UploadError {
  return thrown instanceof UploadError
    ? thrown
    : new UploadError("CLIENT_ERROR", "Something is wrong in the client.", { cause: thrown });
}

/** The error of a cancellation. */
export function aborted(): UploadError {
  return new UploadError("ABORTED", "The upload was cancelled.");
}

/** The error of a file that cannot be read. */
export function unreadable(cause: unknown): UploadError {
  const message = "The file cannot be read. It may have been changed, moved or deleted since it was chosen.";
  return new UploadError("FILE_UNREADABLE", message, { cause });
}

/** Whether an error has one of these codes. */
export function hasCode(error: unknown, ...codes: UploadError["code"][]): error is UploadError {
  return error instanceof UploadError && codes.includes(error.code);
}

/** Turns a rejection with `NOT_FOUND` into `undefined`. */
export function orMissing(error: unknown): undefined {
  if (!hasCode(error, "NOT_FOUND")) {
    throw error;
  }
  return undefined;
}

/** The problem of an error that has this code. */
export function problemOf<Code extends ProblemCode>(
  error: unknown,
  code: Code,
): Extract<Problem, { code: Code }> | undefined {
  return hasCode(error, code) ? (error.problem as Extract<Problem, { code: Code }> | undefined) : undefined;
}
