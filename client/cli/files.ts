/** The files that arguments name. */

import { basename, resolve } from "node:path";

import { type Category, type FileInput, UploadError } from "../src/index.js";
import { DiskBlob, openBlob } from "./disk-blob.js";

const CATEGORIES = ["instruction", "parts-list", "image", "thumbnail"] as const satisfies Category[];

/** A file, by its absolute path. */
export interface FileArgument {
  path: string;
  /** Default: what its name says. */
  category?: Category | undefined;
}

/** Reads `[CATEGORY:]PATH`. */
export function fileArgument(argument: string): FileArgument {
  const category = CATEGORIES.find((category) => argument.startsWith(`${category}:`));
  const path = category ? argument.slice(category.length + 1) : argument;
  return { path: resolve(path), category };
}

/** Opens files to upload. Throws `FILE_UNREADABLE`. */
export async function openFiles(files: readonly FileArgument[], removeLocation: boolean): Promise<FileInput[]> {
  const inputs: FileInput[] = [];
  for (const { path, category } of files) {
    const name = basename(path);
    const blob = await openBlob(path).catch((cause: Error) => {
      throw new UploadError("FILE_UNREADABLE", cause.message, { fileName: name });
    });
    if (removeLocation && blob instanceof DiskBlob) {
      const message = "With --remove-location, files must be smaller than 2 GiB.";
      throw new UploadError("FILE_UNREADABLE", message, { fileName: name });
    }
    inputs.push({ blob, name, category });
  }
  return inputs;
}
