import { problemOf } from "./error.js";
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
