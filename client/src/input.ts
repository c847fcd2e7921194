import { categoryOf, mediaTypeOf } from "./category.js";
import { inFile, UploadError, unreadable } from "./error.js";
import { wellFormed } from "./text.js";
import type { FileInput } from "./types.js";
import type { Category } from "./wire.js";

/** A file to upload, with everything about it known. */
export interface Input {
  blob: Blob;
  name: string;
  type: string;
  category: Category;
}

/** Fills in what a file says of itself. Throws `UNSUPPORTED_FILE` or `DUPLICATE_FILE`. */
export function inputsOf(files: readonly (File | FileInput)[]): Input[] {
  const inputs = files.map(inputOf);
  const seen = new Set<string>();
  for (const { category, name } of inputs) {
    const key = `${category}/${name}`;
    if (seen.has(key)) {
      throw new UploadError("DUPLICATE_FILE", "Two files have this name. Rename one of them.", { fileName: name });
    }
    seen.add(key);
  }
  return inputs;
}

/** Removes from a picture where it was taken. Throws `FILE_UNREADABLE`. */
export async function removeLocation(input: Input): Promise<void> {
  if (input.category === "image" || input.category === "thumbnail") {
    const { withoutLocation } = await import("./picture/location.js");
    input.blob = await withoutLocation(input.blob).catch((cause: unknown) => {
      throw inFile(unreadable(cause), input.name);
    });
  }
}

function inputOf(file: File | FileInput): Input {
  const { blob, category: given, type: said }: Omit<FileInput, "name"> = "blob" in file ? file : { blob: file };
  const name = wellFormed(file.name.trim().normalize());
  const type = said ?? mediaTypeOf(name) ?? blob.type;
  const category = given ?? categoryOf(name, type);
  if (category === undefined) {
    const message = "This kind of file is not supported. PDF, CSV, XML, TXT, JSON, JPEG, PNG, WebP and GIF are.";
    throw new UploadError("UNSUPPORTED_FILE", message, { fileName: name });
  }
  return { blob, name, type, category };
}

/** Bytes as hex digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
