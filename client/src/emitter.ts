/** Calls listeners, none of which can break what they listen to. */
export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** Adds a listener; returns what removes it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls every listener. */
  emit(value: T): void {
    [...this.#listeners].forEach((listener) => safely(listener, value));
  }
}

/** Calls a listener; what it throws is reported, and breaks nothing. */
export function safely<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}

/** Acts soon after it is called, once for all calls of an interval. */
export interface Throttle {
  /** Has it act when the interval is over. */
  call(): void;
  /** Acts now, and leaves no timer. */
  flush(): void;
}

/** Has `act` called once in `intervalMs` at most. */
export function throttle(act: () => void, intervalMs: number): Throttle {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    act();
  };
  return { call: () => void (timer ??= setTimeout(flush, intervalMs)), flush };
}
