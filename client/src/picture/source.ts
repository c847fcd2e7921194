/** Bytes that are read at once, and in memory at once. */
const WINDOW_BYTES = 256 * 1024;
/** Most bytes of a block of EXIF that are read; behind that is a thumbnail at most. */
export const EXIF_MAX_BYTES = 1024 * 1024;
/** Most edits of a picture: cameras and editors need some dozens. */
const EDITS_MAX = 1_000;

/** The bytes from `start` to `end` are left out, or replaced. */
export interface Edit {
  start: number;
  end: number;
  bytes?: Uint8Array<ArrayBuffer>;
}

/** Reads a blob piece by piece. */
export class Source {
  readonly size: number;
  readonly #blob: Blob;
  #window = new Uint8Array();
  #windowAt = 0;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
  }

  /** So many bytes from here on; fewer where the blob ends. */
  async bytes(at: number, length: number): Promise<Uint8Array> {
    const isThere = at >= this.#windowAt && at + length <= this.#windowAt + this.#window.length;
    if (!isThere) {
      const slice = this.#blob.slice(at, at + Math.max(length, WINDOW_BYTES));
      this.#window = new Uint8Array(await slice.arrayBuffer());
      this.#windowAt = at;
    }
    return this.#window.subarray(at - this.#windowAt, at - this.#windowAt + length);
  }
}

/** The edits of a picture, in the order of their places. */
export class Edits {
  readonly list: Edit[] = [];

  /** Leaves a range out, or puts other bytes in its place. */
  add(edit: Edit): void {
    const last = this.list.at(-1);
    if (last && last.end === edit.start && !last.bytes && !edit.bytes) {
      last.end = edit.end;
    } else if (edit.end > edit.start) {
      this.list.push(edit);
    }
    if (this.list.length > EDITS_MAX) {
      throw new RangeError(`The picture has more than ${EDITS_MAX} blocks of metadata.`);
    }
  }
}

/** Bytes as text, each a character. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A view of these bytes, for their numbers. */
export function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** Whether they are the same. */
export function areEqual(some: Uint8Array, others: Uint8Array): boolean {
  return some.length === others.length && some.every((byte, index) => byte === others[index]);
}
