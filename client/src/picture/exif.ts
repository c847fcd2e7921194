/** EXIF (CIPA DC-008), a block of TIFF: directories of entries, whose values stand in them or elsewhere in the block. */

import { latin1, viewOf } from "./source.js";

/** Most bytes of a block that is written: a segment of a JPEG can have no more. */
const BLOCK_MAX_BYTES = 0xffff - 8;

const HEADER_BYTES = 8;
const TIFF_VERSION = 42;
const ENTRY_BYTES = 12;
/** Values of more bytes stand elsewhere. */
const INLINE_MAX_BYTES = 4;
/** Bytes of a directory without its entries. */
const DIRECTORY_BYTES = 6;
/** Entries of a directory that are looked at. */
const ENTRIES_MAX = 1_000;

/** Bytes of a value by its type, 1 to 12; that of 129, UTF-8, is a byte. */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
const [LONG, UTF8] = [4, 129];

/** What is kept of a directory. */
interface Directory {
  keeps(tag: number): boolean;
  /** The directories that it points to, by the pointers' tags. */
  directories: Record<number, Directory>;
}

/** Says how colours are to be read. */
const INTEROPERABILITY: Directory = { keeps: (tag) => tag === 1 || tag === 2, directories: {} };

/** When and how the picture was taken: what the standard defines, with some exceptions. */
const EXIF: Directory = {
  keeps: (tag) =>
    (tag >= 0x829a && tag <= 0x8835 && tag !== TAGS.position) ||
    (tag >= 0x9000 && tag <= 0x9292 && tag !== TAGS.makerNote && tag !== TAGS.userComment) ||
    (tag >= 0xa000 && tag <= 0xa500),
  directories: { 40965: INTEROPERABILITY },
};
/** Only its maker knows what is in a maker's note, and cameras write comments too. */
const TAGS = { position: 0x8825, makerNote: 0x927c, userComment: 0x9286 };

/** The image and its author. A directory with a thumbnail may follow, and is left out. */
const IMAGE: Directory = {
  keeps: (tag) => IMAGE_TAGS.includes(tag),
  directories: { 34665: EXIF },
};
const IMAGE_TAGS = [
  0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010e, 0x010f, 0x0110, 0x0112, 0x0115, 0x011a, 0x011b, 0x011c, 0x0128,
  0x012d, 0x0131, 0x0132, 0x013b, 0x013e, 0x013f, 0x0211, 0x0212, 0x0213, 0x0214, 0x8298,
];

interface Entry {
  tag: number;
  type: number;
  count: number;
  value: Uint8Array | Entry[];
}

/**
 * The block with those entries alone that can have no position, or `undefined` if there are none. What is malformed is
 * left out. `Exif\0\0` may come before the block.
 */
export function withoutPosition(exif: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const start = latin1(exif.subarray(0, 5)) === "Exif\0" ? 6 : 0;
  const header = exif.slice(0, start + HEADER_BYTES);
  const isLittle = header[start] === "I".charCodeAt(0);
  try {
    const view = viewOf(header);
    if (view.getUint16(start + 2, isLittle) !== TIFF_VERSION) {
      return undefined;
    }
    const entries = entriesOf(exif.subarray(start), view.getUint32(start + 4, isLittle), isLittle);
    view.setUint32(start + 4, HEADER_BYTES, isLittle);
    return entries.length > 0 ? join([header, directoryOf(entries, HEADER_BYTES, isLittle)]) : undefined;
  } catch (error) {
    // An offset leads out of the block.
    if (error instanceof RangeError) {
      return undefined;
    }
    throw error;
  }
}

/** What is kept of the directory at this offset of a block. */
function entriesOf(tiff: Uint8Array, offset: number, isLittle: boolean): Entry[] {
  const view = viewOf(tiff);
  // Values may overlap: without a limit, a small block could become a large one.
  let room = BLOCK_MAX_BYTES - HEADER_BYTES - DIRECTORY_BYTES;
  const read = (at: number, { directories, keeps }: Directory): Entry[] => {
    const entries: Entry[] = [];
    const first = at + 2;
    const wanted = Math.min(view.getUint16(at, isLittle), ENTRIES_MAX);
    const end = Math.min(first + wanted * ENTRY_BYTES, tiff.length - ENTRY_BYTES + 1);
    for (let entry = first; entry < end; entry += ENTRY_BYTES) {
      const [tag, type] = [view.getUint16(entry, isLittle), view.getUint16(entry + 2, isLittle)];
      const [count, pointer] = [view.getUint32(entry + 4, isLittle), view.getUint32(entry + 8, isLittle)];
      const directory = directories[tag];
      const bytes = directory ? DIRECTORY_BYTES : (type === UTF8 ? 1 : (TYPE_BYTES[type] ?? 0)) * count;
      const start = bytes > INLINE_MAX_BYTES ? pointer : entry + 8;
      // A value with an odd length is followed by a byte.
      const needed = ENTRY_BYTES + bytes + 1;
      if (bytes === 0 || start + bytes > tiff.length || needed > room || !(directory || keeps(tag))) {
        continue;
      }
      room -= needed;
      const value = directory ? read(pointer, directory) : tiff.subarray(start, start + bytes);
      if (value.length > 0) {
        entries.push(directory ? { tag, type: LONG, count: 1, value } : { tag, type, count, value });
      }
    }
    return entries;
  };
  return read(offset, IMAGE);
}

/** A directory at this offset of a block, with its values behind it. */
function directoryOf(entries: Entry[], offset: number, isLittle: boolean): Uint8Array<ArrayBuffer> {
  const directory = new Uint8Array(DIRECTORY_BYTES + entries.length * ENTRY_BYTES);
  const view = viewOf(directory);
  const parts: Uint8Array[] = [directory];
  let end = offset + directory.length;
  view.setUint16(0, entries.length, isLittle);
  entries.forEach(({ tag, type, count, value }, index) => {
    const at = 2 + index * ENTRY_BYTES;
    view.setUint16(at, tag, isLittle);
    view.setUint16(at + 2, type, isLittle);
    view.setUint32(at + 4, count, isLittle);
    const isDirectory = Array.isArray(value);
    if (!isDirectory && value.length <= INLINE_MAX_BYTES) {
      directory.set(value, at + 8);
      return;
    }
    view.setUint32(at + 8, end, isLittle);
    const bytes = isDirectory ? directoryOf(value, end, isLittle) : value;
    parts.push(bytes, new Uint8Array(bytes.length % 2));
    end += bytes.length + (bytes.length % 2);
  });
  return join(parts);
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
