import type { PartUrl, PartUrls } from "./wire.js";

/** How many parts ahead URLs are asked for: all at once, and the last ones would expire. */
const AHEAD_PARTS = 8;
/** How far the parts that are sent at once may be apart: they need URLs in any order. */
const BEHIND_PARTS = 16;
/** A URL is not used for so long before it expires, in milliseconds. */
const EXPIRY_MARGIN_MS = 10_000;

type Supplied = PartUrl & { expiresAtMs: number };

/** Presigned URLs for the parts of a file, asked for several at a time and before they are needed. */
export class UrlSupply {
  readonly #numbers: readonly number[];
  /** Where each part is among them. */
  readonly #positions: ReadonlyMap<number, number>;
  readonly #ask: (numbers: number[]) => Promise<PartUrls>;
  /** By part; `undefined` for parts that need none any more. */
  readonly #urls = new Map<number, Promise<Supplied> | undefined>();

  /** Of these parts, which are sent in about this order. */
  constructor(numbers: readonly number[], ask: (numbers: number[]) => Promise<PartUrls>) {
    this.#numbers = numbers;
    this.#positions = new Map(numbers.map((number, at) => [number, at]));
    this.#ask = ask;
  }

  /** A URL that has not expired. Rejects where the service gives none. */
  async of(number: number): Promise<PartUrl> {
    const isNew = !this.#urls.has(number);
    this.#askAhead(number);
    const url = await this.#urls.get(number)!;
    // This machine's clock may be wrong: a new URL is used whatever it says.
    if (isNew || Date.now() < url.expiresAtMs - EXPIRY_MARGIN_MS) {
      return url;
    }
    this.forget(number);
    return this.of(number);
  }

  /** Has another URL asked for. */
  forget(number: number): void {
    this.#urls.delete(number);
  }

  /** The part needs no URL any more: that of every part of a large file would take megabytes. */
  used(number: number): void {
    this.#urls.set(number, undefined);
  }

  /** Asks where this part has no URL, or few of those near it have. */
  #askAhead(number: number): void {
    const at = this.#positions.get(number)!;
    const near = this.#numbers.slice(Math.max(0, at - BEHIND_PARTS), at + AHEAD_PARTS);
    const lacking = near.filter((next) => !this.#urls.has(next));
    if (this.#urls.has(number) && lacking.length < AHEAD_PARTS / 2) {
      return;
    }
    const response = this.#ask(lacking);
    for (const [index, partNumber] of lacking.entries()) {
      const url = response.then(({ urls, expiresAt }) => ({ ...urls[index]!, expiresAtMs: Date.parse(expiresAt) }));
      // Whoever needs it gets the rejection; it is not unhandled if nobody does.
      url.catch(() => {});
      this.#urls.set(partNumber, url);
    }
  }
}
