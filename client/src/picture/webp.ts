/** WebP (RFC 9649): chunks in a RIFF container. */

import { withoutPosition } from "./exif.js";
import { areEqual, type Edit, Edits, EXIF_MAX_BYTES, latin1, type Source, viewOf } from "./source.js";

const CONTAINER_BYTES = 12;
const HEADER_BYTES = 8;
const EXIF = "EXIF";
const KEPT = ["VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP"];
/** In the first byte of `VP8X`: whether there is EXIF, or XMP. */
const FLAGS = { exif: 8, xmp: 4 };

/** What has to be changed in a WebP. Removes XMP and chunks of programs; keeps of EXIF what can have no position. */
export async function webpEdits(source: Source): Promise<Edit[]> {
  const container = viewOf(await source.bytes(0, CONTAINER_BYTES));
  const end = Math.min(source.size, HEADER_BYTES + container.getUint32(4, true));
  const edits = new Edits();
  let hasExif = false;
  let extended: { at: number; flags: number } | undefined;
  for (let at = CONTAINER_BYTES; at + HEADER_BYTES <= end; ) {
    const header = await source.bytes(at, HEADER_BYTES);
    const [type, length] = [latin1(header.subarray(0, 4)), viewOf(header).getUint32(4, true)];
    const [start, data] = [at, at + HEADER_BYTES];
    at = Math.min(end, data + length + (length % 2));
    if (type === EXIF) {
      const content = await source.bytes(data, Math.min(length, EXIF_MAX_BYTES));
      const exif = withoutPosition(content);
      hasExif ||= exif !== undefined;
      if (!exif) {
        edits.add({ start, end: at });
      } else if (!areEqual(exif, content)) {
        edits.add({ start, end: at, bytes: chunk(type, exif) });
      }
    } else if (!KEPT.includes(type)) {
      edits.add({ start, end: at });
    } else if (type === "VP8X") {
      extended = { at: data, flags: (await source.bytes(data, 1))[0] ?? 0 };
    }
  }
  const removed = edits.list.reduce((sum, { start, end, bytes }) => sum + end - start - (bytes?.length ?? 0), 0);
  if (edits.list.length > 0) {
    const size = new Uint8Array(4);
    viewOf(size).setUint32(0, end - HEADER_BYTES - removed, true);
    edits.add({ start: 4, end: HEADER_BYTES, bytes: size });
  }
  if (edits.list.length > 0 && extended) {
    const flags = extended.flags & ~(FLAGS.xmp | (hasExif ? 0 : FLAGS.exif));
    edits.add({ start: extended.at, end: extended.at + 1, bytes: Uint8Array.of(flags) });
  }
  edits.add({ start: end, end: source.size });
  return edits.list.sort((one, other) => one.start - other.start);
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + data.length + (data.length % 2));
  bytes.set(new TextEncoder().encode(type));
  viewOf(bytes).setUint32(4, data.length, true);
  bytes.set(data, HEADER_BYTES);
  return bytes;
}
