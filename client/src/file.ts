import type { UploadError } from "./error.js";
import type { Input } from "./input.js";
import type { Digests, FileProgress, FileUploadState, StoredFile } from "./types.js";
import type { Checksums, FileDeclaration, FileState } from "./wire.js";

/** What is known of a file of an upload. */
export class UploadFile {
  readonly input: Input;
  /** The server's id, once it is registered. */
  fileId: string | undefined;
  state: FileUploadState = "waiting";
  error: UploadError | undefined;
  /** Of the parts that were sent, or are about to be: by their numbers, the first of which is 1. */
  digests: Digests = [];
  /** Whether its bytes are those to be sent. */
  isPrepared = false;
  /** Whether it has changed since the upload began. */
  isChanged = false;
  checksums: Checksums | undefined;
  /** Bytes that have left this machine; never less than those that are stored. */
  sentBytes = 0;
  /** Bytes that the server has confirmed. */
  storedBytes = 0;
  /** Whether parts may be stored that are not known to be: the server has to be asked. */
  isUnsure = false;
  /** Whether a batch has failed: its parts are sent alone then. */
  hasBatchFailed = false;
  /** Whether the server wants it to be registered anew, and sent again. */
  isRejected = false;

  #partSizeBytes = 0;
  #missing = new Set<number>();
  /** Bytes under way, by the first part of the request. */
  readonly #sending = new Map<number, number>();

  constructor(input: Input) {
    this.input = input;
  }

  /** The parts that are still to be sent, in order. */
  get missing(): number[] {
    return [...this.#missing];
  }

  get missingBytes(): number {
    const last = Math.ceil(this.input.blob.size / this.#partSizeBytes);
    const shorter = this.#missing.has(last) ? last * this.#partSizeBytes - this.input.blob.size : 0;
    return this.#missing.size * this.#partSizeBytes - shorter;
  }

  get progress(): FileProgress {
    const { error, fileId, isChanged, sentBytes, state, storedBytes } = this;
    const { blob, category, name, type } = this.input;
    return { name, category, type, fileId, state, sizeBytes: blob.size, sentBytes, storedBytes, isChanged, error };
  }

  /** As declared to the server. */
  get declaration(): FileDeclaration {
    const { blob, category, name, type } = this.input;
    return { category, name, size: blob.size, type };
  }

  /** As it is remembered. */
  record(isPublished: boolean): StoredFile {
    const { digests, fileId } = this;
    const { blob, category, name, type } = this.input;
    return { name, category, type, sizeBytes: blob.size, fileId, digests: isPublished ? undefined : digests };
  }

  /** The bytes of a part. */
  part(number: number, partSizeBytes = this.#partSizeBytes): Blob {
    const start = (number - 1) * partSizeBytes;
    return this.input.blob.slice(start, start + partSizeBytes);
  }

  /** Forgets what the server had stored: the file is sent from its beginning. */
  startAnew(): void {
    this.fileId = undefined;
    this.state = "waiting";
    this.error = this.checksums = undefined;
    this.isUnsure = this.isRejected = this.hasBatchFailed = false;
    this.digests = [];
    this.#sending.clear();
    this.sentBytes = this.storedBytes = 0;
  }

  /** Records the registration: all its parts are to be sent. */
  registered(fileId: string, partSizeBytes: number): void {
    this.fileId = fileId;
    this.#partSizeBytes = partSizeBytes;
    const total = Math.ceil(this.input.blob.size / partSizeBytes);
    this.#missing = new Set(Array.from({ length: total }, (_, index) => index + 1));
  }

  /** Takes over the server's state of the file. */
  found(state: FileState, partSizeBytes: number): void {
    this.registered(state.fileId, partSizeBytes);
    this.error = undefined;
    this.state = "waiting";
    this.isUnsure = state.partsCompleted > 0;
    this.confirmed(state.bytesCompleted);
    if (state.status === "completed") {
      this.completed();
    }
  }

  /** Records how many bytes of the request that begins with this part were sent. */
  sent(firstPart: number, bytes: number): void {
    this.#sending.set(firstPart, bytes);
    this.#count();
  }

  /** A request that began with this part has ended. */
  ended(firstPart: number): void {
    this.#sending.delete(firstPart);
  }

  /** The server has these parts. */
  stored(numbers: Iterable<number>): void {
    for (const number of numbers) {
      this.#missing.delete(number);
      this.#sending.delete(number);
    }
    this.#count();
  }

  /** The server lacks these parts after all. */
  lacks(numbers: readonly number[]): void {
    this.#missing = new Set(numbers);
  }

  /** Records how many bytes the server has; older messages may arrive later. */
  confirmed(bytes: number): void {
    this.storedBytes = Math.max(this.storedBytes, Math.min(bytes, this.input.blob.size));
    this.sentBytes = Math.max(this.sentBytes, this.storedBytes);
  }

  completed(): void {
    this.state = "completed";
    this.#missing.clear();
    this.confirmed(this.input.blob.size);
  }

  failed(error: UploadError): void {
    this.state = "failed";
    this.error = error;
  }

  #count(): void {
    const { size } = this.input.blob;
    const stored = size - this.missingBytes;
    this.confirmed(stored);
    const sending = [...this.#sending.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.sentBytes = Math.max(this.sentBytes, Math.min(size, stored + sending));
  }
}
