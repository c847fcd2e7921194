import { hasCode, inFile, problemOf, toUploadError, type UploadError } from "./error.js";
import type { UploadFile } from "./file.js";
import type { FileDeclaration } from "./wire.js";

/** Which of the files an error to create their session is about, as far as it says so. */
export function rejectedFile<File extends FileDeclaration>(error: unknown, files: readonly File[]): File | undefined {
  const pointer = problemOf(error, "VALIDATION_ERROR")?.errors[0]?.pointer;
  const index = /^\/files\/(\d+)/.exec(pointer ?? "")?.[1];
  if (index !== undefined) {
    return files[Number(index)];
  }
  // The limit is that of one category; the problem does not say which.
  const limitBytes = problemOf(error, "FILE_TOO_LARGE")?.limitBytes ?? Infinity;
  const suspects = files.filter(({ size }) => size > limitBytes);
  return suspects.length === 1 ? suspects[0] : undefined;
}

/** Marks the files that a finalize has rejected. */
export function rejectFiles(error: unknown, files: readonly UploadFile[]): void {
  const mismatch = problemOf(error, "CHECKSUM_MISMATCH");
  const { failures } = problemOf(error, "FILE_VALIDATION_FAILED") ?? { failures: mismatch ? [mismatch] : [] };
  for (const { fileId } of failures) {
    const file = files.find((file) => file.fileId === fileId);
    if (file) {
      failFile(file, toUploadError(error));
    }
  }
}

/** Records why a file has failed, and whether the server wants it to be registered anew. */
export function failFile(file: UploadFile, error: UploadError): void {
  file.isRejected = hasCode(error, "CHECKSUM_MISMATCH", "FILE_VALIDATION_FAILED");
  file.failed(inFile(error, file.input.name));
}
