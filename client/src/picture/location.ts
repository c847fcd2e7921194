/** Removes where a picture was taken. Loaded only if it is needed. */

import { jpegEdits } from "./jpeg.js";
import { pngEdits } from "./png.js";
import { type Edit, latin1, Source } from "./source.js";
import { webpEdits } from "./webp.js";

/** What finds the edits of a picture, by how it begins. */
const FORMATS: readonly [begins: (start: string) => boolean, edits: (source: Source) => Promise<Edit[]>][] = [
  [(start) => start.startsWith("\xff\xd8\xff"), jpegEdits],
  [(start) => start.startsWith("\x89PNG\r\n\x1a\n"), pngEdits],
  [(start) => start.startsWith("RIFF") && start.endsWith("WEBP"), webpEdits],
];
const START_BYTES = 12;

/**
 * The picture without its location, or the same blob if it has nothing that could have one or is not a JPEG, PNG or WebP.
 * Pixels, orientation and colour profile stay as they are, byte for byte; most of the blob is not copied.
 */
export async function withoutLocation(blob: Blob): Promise<Blob> {
  const source = new Source(blob);
  const start = latin1(await source.bytes(0, START_BYTES));
  const edits = await FORMATS.find(([begins]) => begins(start))?.[1](source);
  if (!edits?.length) {
    return blob;
  }
  const parts: BlobPart[] = [];
  let at = 0;
  for (const { start, end, bytes } of edits) {
    parts.push(blob.slice(at, start));
    if (bytes) {
      parts.push(bytes);
    }
    at = end;
  }
  parts.push(blob.slice(at));
  return new Blob(parts, { type: blob.type });
}
