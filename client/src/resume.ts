import { digestOf } from "./digest.js";
import { type ErrorParams, inFile, UploadError, unreadable } from "./error.js";
import type { UploadFile } from "./file.js";
import type { StoredUpload } from "./types.js";
import type { FileState, SessionState } from "./wire.js";

/**
 * Finds the files that an upload began with, in any order, and takes over what is remembered of them. Throws
 * `FILE_MISMATCH` if one is missing, or another one is there.
 */
export function matchRecord(files: readonly UploadFile[], record: StoredUpload): void {
  const left = new Set(files);
  for (const { category, digests, name } of record.files) {
    const named = [...left].filter(({ input }) => input.name === name);
    const file = named.find(({ input }) => input.category === category) ?? named[0];
    if (!file) {
      throw mismatch(name, "missing");
    }
    left.delete(file);
    file.input.category = category;
    // Whoever can write to the storage may have written anything.
    file.digests = Array.isArray(digests) ? [...digests] : [];
  }
  for (const { input } of left) {
    throw mismatch(input.name, "unknown");
  }
}

/**
 * Which file the server means by each of its own: by category and name, which are unique in a session. Throws
 * `FILE_MISMATCH` if no file fits, unless they are only `some`.
 */
export function matchSession(
  files: readonly UploadFile[],
  states: readonly FileState[],
  some?: boolean,
): Map<UploadFile, FileState> {
  const matches = new Map<UploadFile, FileState>();
  for (const state of states) {
    const file = files.find(({ input }) => input.category === state.category && input.name === state.name);
    if (file) {
      matches.set(file, state);
    } else if (!some) {
      throw mismatch(state.name, "missing");
    }
  }
  return matches;
}

/** Takes files out of a session's state, and has the server `remove` those that it has of them. */
export async function takeOut(
  files: readonly UploadFile[],
  session: SessionState,
  remove: (fileId: string) => Promise<void>,
): Promise<void> {
  for (const state of matchSession(files, session.files, true).values()) {
    if (session.status === "active") {
      await remove(state.fileId);
    }
    session.files = session.files.filter((other) => other !== state);
  }
}

/**
 * Whether files continue what a session has of them: each has the bytes of every part that was sent of it, and all parts
 * of a completed file are known. Marks files that were changed. `next` is awaited before each part that is read.
 */
export async function areContinuedBy(
  files: readonly UploadFile[],
  session: SessionState,
  next: () => Promise<void>,
): Promise<boolean> {
  let areContinued = true;
  for (const [file, state] of matchSession(files, session.files)) {
    file.state = "hashing";
    try {
      await compare(file, state, session.partSizeBytes, next);
    } catch (error) {
      throw inFile(error instanceof UploadError ? error : unreadable(error), file.input.name);
    } finally {
      file.state = "waiting";
    }
    const isKnown = state.status !== "completed" || file.digests.filter(Boolean).length === state.partsTotal;
    areContinued &&= isKnown && !file.isChanged;
  }
  return areContinued;
}

async function compare(
  file: UploadFile,
  { bytesTotal }: FileState,
  partSizeBytes: number,
  next: () => Promise<void>,
): Promise<void> {
  file.isChanged = file.input.blob.size !== bytesTotal;
  for (const [index, digest] of file.digests.entries()) {
    if (digest && !file.isChanged) {
      await next();
      file.isChanged = (await digestOf(file.part(index + 1, partSizeBytes))) !== digest;
    }
  }
}

function mismatch(fileName: string, what: NonNullable<ErrorParams["mismatch"]>): UploadError {
  return new UploadError("FILE_MISMATCH", `File ${what}: ${fileName}`, { fileName, params: { mismatch: what } });
}
