import type { DirectPart } from "./wire.js";

/** Most parts of one request. */
const RECORD_MAX_PARTS = 100;
/** How many parts wait before they are recorded at once. */
const RECORD_PARTS = 16;
/** How long a part waits for others, in milliseconds. */
const RECORD_AFTER_MS = 1_000;

/** Has the service record the parts of a file that the bucket has, some at a time, while others are being sent. */
export class PartRecorder {
  readonly #record: (parts: DirectPart[]) => Promise<void>;
  readonly #waiting = new Map<number, DirectPart>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The request that is under way: there is one at a time. */
  #recording: Promise<void> | undefined;

  constructor(record: (parts: DirectPart[]) => Promise<void>) {
    this.#record = record;
  }

  /** Has a part recorded soon. Waits, and rejects as {@link PartRecorder.flush} does, only if very many parts wait. */
  async add(part: DirectPart): Promise<void> {
    this.#waiting.set(part.partNumber, part);
    if (this.#waiting.size >= RECORD_MAX_PARTS) {
      await this.flush();
    } else if (this.#waiting.size >= RECORD_PARTS) {
      this.#try();
    } else {
      this.#schedule();
    }
  }

  /** Records all parts that wait. Where that fails, they continue to wait. */
  async flush(): Promise<void> {
    while (this.#waiting.size > 0) {
      await this.#recordSome();
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#try(), RECORD_AFTER_MS);
  }

  /** An error shows when the rest is recorded. */
  #try(): void {
    this.#recordSome().catch(() => {});
  }

  #recordSome(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const record = async () => {
      const parts = [...this.#waiting.values()].slice(0, RECORD_MAX_PARTS);
      await this.#record(parts);
      for (const { partNumber } of parts) {
        this.#waiting.delete(partNumber);
      }
      if (this.#waiting.size > 0) {
        this.#schedule();
      }
    };
    this.#recording ??= record().finally(() => (this.#recording = undefined));
    return this.#recording;
  }
}
