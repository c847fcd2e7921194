/** What went wrong, in words for the person at the page. */

import type { Category, UploadError } from "moc-uploads";
import { bytes, isolated, timeAfter } from "./format.ts";

/** A failure explained: what happened, and what to do about it. */
export interface Explanation {
  happened: string;
  advice: string;
  /** Whether the same upload, tried again, can succeed. */
  tryAgain: boolean;
}

/** What is known of the file that a failure is about. */
export interface FileFacts {
  name: string;
  category?: Category | undefined;
  sizeBytes?: number | undefined;
}

/** The files that are taken, in a sentence. */
export const TAKEN =
  "Instructions are PDF files, parts lists CSV, XML, TXT or JSON, and pictures JPEG, PNG, WebP or GIF.";

/** What files of a category are called. */
export const CATEGORIES: Record<Category, string> = {
  instruction: "Instructions",
  "parts-list": "Parts list",
  image: "Picture",
  thumbnail: "Thumbnail",
};

/** The kinds of file that a category takes. */
const KINDS: Record<Category, string> = {
  instruction: "a PDF",
  "parts-list": "a CSV, XML, TXT or JSON file",
  image: "a JPEG, PNG, WebP or GIF picture",
  thumbnail: "a JPEG, PNG, WebP or GIF picture",
};

/** The form's fields by the JSON Pointers of the server's answers. */
const FIELDS: [pointer: RegExp, label: string][] = [
  [/^\/title/, "Title"],
  [/^\/description/, "Description"],
  [/^\/tags/, "Tags"],
  [/\/name$/, "File name"],
  [/\/size$/, "File size"],
  [/\/type$/, "File type"],
];

/** Says what it knows; whether to try again is the error's own `retryable` otherwise. */
type Explain = (error: UploadError, file?: FileFacts) => Omit<Explanation, "tryAgain"> & Partial<Explanation>;

const EXPLANATIONS: Record<string, Explain> = {
  NETWORK_ERROR: () => ({
    happened: "The server cannot be reached.",
    advice: "Check your connection and try again. What has arrived stays there.",
    tryAgain: true,
  }),
  UNEXPECTED_ANSWER: () => ({
    happened: "Something between you and the server stands in the way.",
    advice: "A proxy or a firewall may refuse large files. Try again, from another network if there is one.",
    tryAgain: true,
  }),
  REQUEST_TIMEOUT: () => ({
    happened: "Your connection is too slow for the time that a piece of a file may take.",
    advice: "Try again, on a faster connection if there is one. What has arrived stays there.",
    tryAgain: true,
  }),
  UNAUTHORIZED: () => ({
    happened: "You are not signed in, or your access token is no longer valid.",
    advice: "Try again and give a valid access token.",
    tryAgain: true,
  }),
  FILE_MISMATCH: (error) => ({
    happened: error.message,
    advice: "Choose the same files again, unchanged.",
  }),
  FILE_UNREADABLE: (_, file) => ({
    happened: `${quoted(file)} can no longer be read.`,
    advice: "It may have been changed, moved or deleted since you chose it. Choose it again.",
  }),
  UNSUPPORTED_FILE: unsupported,
  UNSUPPORTED_MEDIA_TYPE: unsupported,
  FILE_TOO_LARGE: ({ problem }, file) => {
    const limitBytes = problem?.code === "FILE_TOO_LARGE" ? problem.limitBytes : undefined;
    return {
      happened: `${quoted(file)} is too large${tooLarge(file?.sizeBytes, limitBytes)}.`,
      advice: "Choose a smaller file instead of it.",
    };
  },
  INSTRUCTION_FILE_REQUIRED: () => ({
    happened: "The building instructions are missing.",
    advice: "Add them as a PDF file.",
  }),
  FILE_COUNT_EXCEEDED: ({ problem }) => ({
    happened: "These are too many files.",
    advice: `Choose ${problem?.code === "FILE_COUNT_EXCEEDED" ? `${problem.limit} at most` : "fewer"}.`,
  }),
  VALIDATION_ERROR: (error) => ({ happened: "Something in the form is not as it should be.", advice: invalid(error) }),
  TITLE_CONFLICT: () => ({
    happened: "You already have a MOC with this title.",
    advice: "Give this one another title. All of its files have arrived and stay there.",
    tryAgain: true,
  }),
  CHECKSUM_MISMATCH: (_, file) => ({
    happened: `${quoted(file)} arrived damaged.`,
    advice: "Try again: it is sent once more.",
    tryAgain: true,
  }),
  FILE_VALIDATION_FAILED: (error, file) => invalidFile(error, file),
  SESSION_EXPIRED: () => ({
    happened: "The time for this upload is over.",
    advice: "Try again: it starts from the beginning.",
    tryAgain: true,
  }),
  SESSION_NOT_ACTIVE: () => ({
    happened: "This upload was cancelled, or it is finished already.",
    advice: "Start a new one.",
  }),
  NOT_FOUND: () => ({
    happened: "The server does not know this upload.",
    advice: "It was deleted, or it belongs to somebody else. Start a new one.",
  }),
  FINALIZE_IN_PROGRESS: () => ({
    happened: "Your MOC is being published at this moment.",
    advice: "Try again shortly to see it.",
    tryAgain: true,
  }),
  RATE_LIMIT_EXCEEDED: (error) => ({
    happened: "You have started too many uploads in a short time.",
    advice: error.retryAfterMs ? `Try again after ${timeAfter(error.retryAfterMs)}.` : "Try again later.",
    tryAgain: true,
  }),
  S3_UNAVAILABLE: unavailable,
  STORE_UNAVAILABLE: unavailable,
  INTERNAL_ERROR: () => ({
    happened: "Something is wrong on the server.",
    advice: "Try again later. If it happens again, tell support the number below.",
    tryAgain: true,
  }),
};

/** Explains a failure, and names the file that it is about. */
export function explain(error: UploadError, file?: FileFacts): Explanation {
  const facts = file ?? (error.fileName === undefined ? undefined : { name: error.fileName });
  const explanation = EXPLANATIONS[error.code]?.(error, facts) ?? {
    happened: "The upload did not succeed.",
    advice: error.message,
  };
  return { tryAgain: error.retryable, ...explanation };
}

/** Says why an upload stands still for the moment. */
export function explainWaiting(error: UploadError): string {
  return error.code === "NETWORK_ERROR"
    ? "The connection is lost. The upload goes on by itself as soon as it is back."
    : "The server is busy. The upload goes on by itself.";
}

function unsupported(_: UploadError, file: FileFacts | undefined) {
  return { happened: `${quoted(file)} is of a kind that is not taken.`, advice: TAKEN };
}

/** What is known of a size and its limit. Where both read the same, what is between them says why it is too much. */
function tooLarge(sizeBytes: number | undefined, limitBytes: number | undefined): string {
  if (limitBytes === undefined) return sizeBytes === undefined ? "" : `: it is ${bytes(sizeBytes)}`;
  const limit = bytes(limitBytes);
  if (sizeBytes === undefined) return `: the limit is ${limit}`;
  if (bytes(sizeBytes) === limit) return `: it is ${bytes(sizeBytes - limitBytes)} over the limit of ${limit}`;
  return `: it is ${bytes(sizeBytes)}, and the limit is ${limit}`;
}

function unavailable() {
  return {
    happened: "The server cannot store anything for the moment.",
    advice: "Nothing is lost. Try again in a minute.",
    tryAgain: true,
  };
}

function invalidFile(error: UploadError, file: FileFacts | undefined) {
  const failures = error.problem?.code === "FILE_VALIDATION_FAILED" ? error.problem.failures : [];
  const failure = failures.find(({ name }) => name === file?.name) ?? failures[0];
  const name = quoted(failure ?? file);
  if (failure?.reason === "CONTENT_MISMATCH") {
    const kind = file?.category === undefined ? "what its name says" : KINDS[file.category];
    return { happened: `${name} is not ${kind} inside.`, advice: "Choose another file instead of it." };
  }
  return { happened: `${name} did not arrive whole.`, advice: "Try again: it is sent once more.", tryAgain: true };
}

function invalid(error: UploadError): string {
  const errors = error.problem?.code === "VALIDATION_ERROR" ? error.problem.errors : [];
  const sentences = errors.map(({ pointer, message }) => {
    const label = FIELDS.find(([pattern]) => pattern.test(pointer))?.[1];
    return `${label ?? "A value"} ${message}.`;
  });
  return sentences.length > 0 ? sentences.join(" ") : error.message;
}

function quoted(file: { name: string } | undefined): string {
  return file === undefined ? "A file" : `“${isolated(file.name)}”`;
}
