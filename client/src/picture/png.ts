/** PNG (https://www.w3.org/TR/png-3): chunks. */

import { withoutPosition } from "./exif.js";
import { areEqual, type Edit, Edits, EXIF_MAX_BYTES, latin1, type Source, viewOf } from "./source.js";

const SIGNATURE_BYTES = 8;
/** Length and type before the data of a chunk; its checksum is behind it. */
const [HEADER_BYTES, CHECKSUM_BYTES] = [8, 4];

/** Chunks that are kept although decoders can do without, which their small first letter says. */
const KEPT = /^(tRNS|cHRM|gAMA|iCCP|sBIT|sRGB|cICP|mDC[vV]|cLL[iI]|bKGD|hIST|pHYs|sPLT|tIME|acTL|fcTL|fdAT)$/;
const TEXT = /^[itz](TXt|EXt)$/;
/** The keywords that the standard defines, but for comments, which programs write. XMP, EXIF and IPTC have others. */
const KEPT_TEXT = /^(Title|Author|Description|Copyright|Creation Time|Software|Disclaimer|Warning|Source)\0/;
const KEYWORD_MAX_BYTES = 80;

/** What has to be changed in a PNG. Removes texts and chunks that can have a position; keeps of EXIF what can have none. */
export async function pngEdits(source: Source): Promise<Edit[]> {
  const edits = new Edits();
  for (let at = SIGNATURE_BYTES; at + HEADER_BYTES <= source.size; ) {
    const header = await source.bytes(at, HEADER_BYTES);
    const [length, type] = [viewOf(header).getUint32(0), latin1(header.subarray(4))];
    const start = at;
    const data = start + HEADER_BYTES;
    at = data + length + CHECKSUM_BYTES;
    if (type === "eXIf") {
      const content = await source.bytes(data, Math.min(length, EXIF_MAX_BYTES));
      const exif = withoutPosition(content);
      if (!exif) {
        edits.add({ start, end: at });
      } else if (!areEqual(exif, content)) {
        edits.add({ start, end: at, bytes: chunk(type, exif) });
      }
    } else if (TEXT.test(type)) {
      const keyword = latin1(await source.bytes(data, Math.min(length, KEYWORD_MAX_BYTES)));
      if (!KEPT_TEXT.test(keyword)) {
        edits.add({ start, end: at });
      }
    } else if (type === "IEND") {
      edits.add({ start: at, end: source.size });
      break;
    } else if (/^[a-z]/.test(type) && !KEPT.test(type)) {
      edits.add({ start, end: at });
    }
  }
  return edits.list;
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + data.length + CHECKSUM_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, HEADER_BYTES);
  view.setUint32(HEADER_BYTES + data.length, crc32(bytes.subarray(4, HEADER_BYTES + data.length)));
  return bytes;
}

/** The checksum of a chunk (annex D of the standard). */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
  }
  return ~crc;
}
