/** JPEG (ITU-T T.81): segments, between them the compressed picture, and after its end whatever somebody has appended. */

import { withoutPosition } from "./exif.js";
import { areEqual, type Edit, Edits, latin1, type Source, viewOf } from "./source.js";

const CODE = {
  /** From here on: before are escaped bytes of the compressed picture. */
  first: 0xc0,
  /** From here to the start: between bytes of the compressed picture. */
  restart: 0xd0,
  start: 0xd8,
  end: 0xd9,
  firstApp: 0xe0,
  exif: 0xe1,
  lastApp: 0xef,
  comment: 0xfe,
};
/** The segments of applications that a picture needs, by how they begin. */
const KEPT = new Map([
  [0xe0, "JFIF\0"],
  [CODE.exif, "Exif\0"],
  [0xe2, "ICC_PROFILE\0"],
  [0xee, "Adobe"],
]);

/** Bytes that are searched at once. */
const SCAN_BYTES = 64 * 1024;

/**
 * What has to be changed in a JPEG. Removes the segments of applications (XMP, IPTC, C2PA, …) and comments, but not
 * JFIF, colour profile and Adobe's; keeps of EXIF what can have no position. What follows the picture, such as a video
 * or further pictures, is removed too.
 */
export async function jpegEdits(source: Source): Promise<Edit[]> {
  const edits = new Edits();
  for (let at = 2; ; ) {
    const marker = await findMarker(source, at);
    const [, code = CODE.end, high = 0, low = 0] = await source.bytes(marker, 4);
    if (code === CODE.end) {
      edits.add({ start: marker + 2, end: source.size });
      return edits.list;
    }
    if (code === CODE.start) {
      at = marker + 2;
      continue;
    }
    at = marker + 2 + Math.max(2, 256 * high + low);
    if ((code >= CODE.firstApp && code <= CODE.lastApp) || code === CODE.comment) {
      const content = await source.bytes(marker + 4, at - marker - 4);
      const kept = keptOf(code, content);
      if (!kept) {
        edits.add({ start: marker, end: at });
      } else if (!areEqual(kept, content)) {
        edits.add({ start: marker + 2, end: at, bytes: withLength(kept) });
      }
    }
  }
}

/** What is kept of the content of a segment. */
function keptOf(code: number, content: Uint8Array): Uint8Array | undefined {
  const start = KEPT.get(code);
  if (start === undefined || !latin1(content.subarray(0, start.length)).startsWith(start)) {
    return undefined;
  }
  return code === CODE.exif ? withoutPosition(content) : content;
}

function withLength(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 + content.length);
  viewOf(bytes).setUint16(0, bytes.length);
  bytes.set(content, 2);
  return bytes;
}

/** Where the next marker is; the end of the source if there is none. */
async function findMarker(source: Source, from: number): Promise<number> {
  for (let at = from; ; ) {
    const bytes = await source.bytes(at, SCAN_BYTES);
    for (let index = bytes.indexOf(0xff); index >= 0; index = bytes.indexOf(0xff, index + 1)) {
      const code = bytes[index + 1] ?? 0;
      const isRestart = code >= CODE.restart && code < CODE.start;
      if (code >= CODE.first && code !== 0xff && !isRestart) {
        return at + index;
      }
    }
    if (bytes.length < SCAN_BYTES) {
      return source.size;
    }
    // The last byte may be the first one of a marker.
    at += bytes.length - 1;
  }
}
