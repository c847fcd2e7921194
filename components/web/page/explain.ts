/** Explains errors to the person at the page: the catalogue's words by the error's code and parameters. */

import type { Category, UploadError } from "moc-uploads";
import { t } from "./catalogue/index.ts";
import { bytes, timeAfter } from "./format.ts";

/** What happened, and what to do about it. */
interface Words {
  happened: string;
  advice: string;
}

export interface Explanation extends Words {
  /** Whether the same upload can succeed if it is tried again. */
  tryAgain: boolean;
}

/** What is known of the file that an error is about. */
export interface FileFacts {
  name: string;
  category?: Category | undefined;
  sizeBytes?: number | undefined;
}

/** The form's fields by the JSON Pointers of the server's errors. */
const FIELDS: [pointer: RegExp, field: keyof typeof t.errors.fields][] = [
  [/^\/title/, "title"],
  [/^\/description/, "description"],
  [/^\/tags/, "tags"],
  [/\/name$/, "name"],
  [/\/size$/, "size"],
  [/\/type$/, "type"],
];

/** `tryAgain` follows the error's own `retryable`, unless it is given. */
type Explain = (error: UploadError, file: FileFacts | undefined) => Words & { tryAgain?: boolean };

const { errors } = t;
const retry =
  (words: Words): Explain =>
  () => ({ ...words, tryAgain: true });

const EXPLANATIONS: Record<string, Explain> = {
  NETWORK_ERROR: retry(errors.network),
  UNEXPECTED_RESPONSE: retry(errors.unexpectedResponse),
  REQUEST_TIMEOUT: retry(errors.timeout),
  UNAUTHORIZED: retry(errors.unauthorized),
  FILE_MISMATCH: ({ params, fileName = "" }) => ({
    happened: errors.mismatch[params?.mismatch ?? "missing"](fileName),
    advice: errors.mismatch.advice,
  }),
  FILE_UNREADABLE: (_, file) => errors.unreadable(file?.name),
  UNSUPPORTED_FILE: (_, file) => errors.unsupported(file?.name),
  UNSUPPORTED_MEDIA_TYPE: (_, file) => errors.unsupported(file?.name),
  FILE_TOO_LARGE: ({ problem }, file) =>
    tooLarge(file, problem?.code === "FILE_TOO_LARGE" ? problem.limitBytes : undefined),
  INSTRUCTION_FILE_REQUIRED: () => errors.instructionMissing,
  FILE_COUNT_EXCEEDED: ({ problem }) =>
    errors.tooManyFiles(problem?.code === "FILE_COUNT_EXCEEDED" ? problem.limit : undefined),
  VALIDATION_ERROR: ({ problem }) =>
    errors.invalid(problem?.code === "VALIDATION_ERROR" ? problem.errors.map(invalidField).join(" ") : ""),
  TITLE_CONFLICT: retry(errors.titleConflict),
  CHECKSUM_MISMATCH: (_, file) => ({ ...errors.damaged(file?.name), tryAgain: true }),
  FILE_VALIDATION_FAILED: invalidFile,
  SESSION_EXPIRED: retry(errors.expired),
  SESSION_NOT_ACTIVE: () => errors.notActive,
  NOT_FOUND: () => errors.notFound,
  FINALIZE_IN_PROGRESS: retry(errors.publishing),
  RATE_LIMIT_EXCEEDED: (error) => ({ ...limited(error), tryAgain: true }),
  QUOTA_EXCEEDED: ({ problem }) =>
    errors.overQuota(problem?.code === "QUOTA_EXCEEDED" ? bytes(problem.limitBytes) : undefined),
  S3_UNAVAILABLE: retry(errors.unavailable),
  STORE_UNAVAILABLE: retry(errors.unavailable),
  BUSY: retry(errors.unavailable),
  ISSUER_UNAVAILABLE: retry(errors.unavailable),
  INTERNAL_ERROR: retry(errors.server),
};

/** Explains an error, and names the file that it is about. */
export function explain(error: UploadError, file?: FileFacts): Explanation {
  const facts = file ?? (error.fileName === undefined ? undefined : { name: error.fileName });
  const words = EXPLANATIONS[error.code]?.(error, facts) ?? errors.other;
  return { tryAgain: error.retryable, ...words };
}

/** Says why an upload is stalled. */
export function explainWaiting(error: UploadError): string {
  return error.code === "NETWORK_ERROR" ? t.upload.waitingForConnection : t.upload.waitingForServer;
}

/** If size and limit read the same, the difference explains more. */
function tooLarge(file: FileFacts | undefined, limitBytes: number | undefined): Words {
  const sizeBytes = file?.sizeBytes;
  if (limitBytes === undefined || sizeBytes === undefined) return errors.tooLarge(file?.name);
  const [size, limit] = [bytes(sizeBytes), bytes(limitBytes)];
  return size === limit
    ? errors.tooLargeBy(file?.name, bytes(sizeBytes - limitBytes), limit)
    : errors.tooLargeFor(file?.name, size, limit);
}

/** Which quota is used up, and until when. */
function limited({ problem, retryAfterMs }: UploadError): Words {
  const time = retryAfterMs ? timeAfter(retryAfterMs) : undefined;
  if (problem?.code !== "RATE_LIMIT_EXCEEDED") return errors.rateLimit(time);
  switch (problem.quota) {
    case "open-sessions":
      return errors.openSessions(time);
    case "open-uploads":
      return errors.openUploads;
    case "bytes-per-day":
      return errors.bytesPerDay(bytes(problem.limit), time);
    default:
      return errors.rateLimit(time);
  }
}

function invalidFile({ problem }: UploadError, file: FileFacts | undefined) {
  const failures = problem?.code === "FILE_VALIDATION_FAILED" ? problem.failures : [];
  const failure = failures.find(({ name }) => name === file?.name) ?? failures[0];
  const name = failure?.name ?? file?.name;
  return failure?.reason === "CONTENT_MISMATCH"
    ? errors.wrongContent(name, file?.category)
    : { ...errors.incomplete(name), tryAgain: true };
}

function invalidField({ pointer, message }: { pointer: string; message: string }): string {
  const field = FIELDS.find(([pattern]) => pattern.test(pointer))?.[1] ?? "other";
  return errors.invalidField(errors.fields[field], message);
}
