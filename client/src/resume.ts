import { digestOf } from "./digest.js";
import { type ErrorParams, UploadError } from "./error.js";
import type { UploadFile } from "./file.js";
import type { StoredUpload } from "./types.js";
import type { FileState } from "./wire.js";

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
 * `FILE_MISMATCH` if there is none.
 */
export function matchSession(files: readonly UploadFile[], states: readonly FileState[]): Map<UploadFile, FileState> {
  const matches = states.map((state): [UploadFile, FileState] => {
    const file = files.find(({ input }) => input.category === state.category && input.name === state.name);
    if (!file) {
      throw mismatch(state.name, "missing");
    }
    return [file, state];
  });
  return new Map(matches);
}

/**
 * Whether a file can continue what the server has of it: it has the bytes of every part that was sent, and each part of
 * a completed file is known. `next` is awaited before each part that is read.
 */
export async function isContinued(
  file: UploadFile,
  { bytesTotal, partsTotal, status }: FileState,
  partSizeBytes: number,
  next: () => Promise<void>,
): Promise<boolean> {
  const { digests } = file;
  file.isChanged = file.input.blob.size !== bytesTotal;
  for (let number = 1; number <= digests.length && !file.isChanged; number += 1) {
    const digest = digests[number - 1];
    if (digest) {
      await next();
      file.isChanged = (await digestOf(file.part(number, partSizeBytes))) !== digest;
    }
  }
  return !file.isChanged && (status !== "completed" || digests.filter(Boolean).length === partsTotal);
}

function mismatch(fileName: string, what: NonNullable<ErrorParams["mismatch"]>): UploadError {
  return new UploadError("FILE_MISMATCH", `File ${what}: ${fileName}`, { fileName, params: { mismatch: what } });
}
