/** Limits how much work runs at once; what waits runs in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Does some work as soon as there is a slot. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) {
        next();
      } else {
        this.#free += 1;
      }
    }
  }
}

/**
 * Does `work` for the items in order, at most `atOnce` at once. After an error nothing new begins and `onError` is
 * called; rejects with the first one once all have ended.
 */
export async function forEach<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
  onError = () => {},
): Promise<void> {
  const left = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const lane = async () => {
    for (let next = left.next(); !next.done && errors.length === 0; next = left.next()) {
      await work(next.value).catch((error: unknown) => {
        errors.push(error);
        onError();
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  if (errors.length > 0) {
    throw errors[0];
  }
}
