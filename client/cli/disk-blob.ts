/** Files of any size as blobs that are read from the disk. */

import { createReadStream, openAsBlob, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";

/**
 * `openAsBlob` computes with 32 bits: from here on it gives wrong sizes and empty slices
 * (https://github.com/nodejs/node/issues/52585).
 */
const NATIVE_MAX_BYTES = 2 ** 31 - 1;

/** Opens a file, of which nothing is read yet. Rejects if it is missing, or is not a regular file. */
export async function openBlob(path: string): Promise<Blob> {
  const stats = await stat(path);
  if (!stats.isFile()) {
    throw new Error(`${path} is not a regular file`);
  }
  return stats.size > NATIVE_MAX_BYTES ? new DiskBlob(path, stats) : openAsBlob(path);
}

/**
 * A range of a file. Requests can send it, but a `FormData` or another `Blob` cannot contain it: they take the bytes
 * from inside the engine, where it has none.
 */
export class DiskBlob extends Blob {
  readonly #path: string;
  readonly #stats: Pick<Stats, "size" | "mtimeMs">;
  readonly #start: number;

  constructor(path: string, stats: Pick<Stats, "size" | "mtimeMs">, start = 0, end = stats.size) {
    super();
    this.#path = path;
    this.#stats = stats;
    this.#start = start;
    Object.defineProperty(this, "size", { value: Math.max(0, end - start) });
  }

  override slice(start = 0, end = this.size): Blob {
    const at = (index: number) =>
      this.#start + (index < 0 ? Math.max(0, this.size + index) : Math.min(index, this.size));
    return new DiskBlob(this.#path, this.#stats, at(start), at(end));
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return Readable.toWeb(Readable.from(this.#chunks())) as ReadableStream<Uint8Array<ArrayBuffer>>;
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await buffer(this.#chunks());
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  }

  /** Fails if the file was changed since it was opened, as a blob of `openAsBlob` does. */
  async *#chunks(): AsyncGenerator<Uint8Array> {
    const { mtimeMs, size } = await stat(this.#path);
    if (mtimeMs !== this.#stats.mtimeMs || size !== this.#stats.size) {
      throw new Error(`${this.#path} was changed`);
    }
    if (this.size > 0) {
      yield* createReadStream(this.#path, { start: this.#start, end: this.#start + this.size - 1 });
    }
  }
}
