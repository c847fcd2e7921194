import { type ErrorParams, UploadError } from "./error.js";
import type { UploadFile } from "./file.js";
import type { StoredUpload } from "./types.js";
import type { FileState } from "./wire.js";

/** Compares files with those that an upload began with, in any order. Throws `FILE_MISMATCH` where they differ. */
export function matchRecord(files: readonly UploadFile[], record: StoredUpload): void {
  const left = new Set(files);
  for (const stored of record.files) {
    const file = [...left].find(({ fingerprint }) => fingerprint === stored.fingerprint);
    if (!file) {
      const isThere = [...left].some(({ input }) => input.name === stored.name);
      throw mismatch(stored.name, isThere ? "changed" : "missing");
    }
    left.delete(file);
    file.input.category = stored.category;
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
    if (file.input.blob.size !== state.bytesTotal) {
      throw mismatch(state.name, "changed");
    }
    return [file, state];
  });
  return new Map(matches);
}

function mismatch(fileName: string, what: NonNullable<ErrorParams["mismatch"]>): UploadError {
  return new UploadError("FILE_MISMATCH", `File ${what}: ${fileName}`, { fileName, params: { mismatch: what } });
}
