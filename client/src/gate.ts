import { aborted } from "./error.js";

/** Thrown by {@link Gate.once} where a pause has ended a request. */
export class Paused extends Error {}

/** Lets requests pass, holds them while paused, and ends those that are under way. */
export class Gate {
  #controller = new AbortController();
  /** Settles at the end of the pause. */
  #reopened: Promise<void> | undefined;
  #reopen = () => {};
  #closed = false;

  /** Holds all requests. */
  pause(): void {
    if (!this.#reopened && !this.#closed) {
      this.#reopened = new Promise((resolve) => (this.#reopen = resolve));
      this.#controller.abort();
    }
  }

  /** Lets requests pass again. */
  resume(): void {
    if (this.#reopened && !this.#closed) {
      this.#controller = new AbortController();
      this.#reopened = undefined;
      this.#reopen();
    }
  }

  /** Ends everything with `ABORTED`, for good. */
  close(): void {
    this.#closed = true;
    this.#controller.abort();
    this.#reopened = undefined;
    this.#reopen();
  }

  /** Waits while paused. */
  async passed(): Promise<void> {
    await this.#reopened;
    if (this.#closed) {
      throw aborted();
    }
  }

  /** Makes a request that a pause ends; it is made again after that. */
  async run<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    for (;;) {
      await this.passed();
      try {
        return await this.once(request);
      } catch (error) {
        if (!(error instanceof Paused)) {
          throw error;
        }
      }
    }
  }

  /** Makes a request; throws {@link Paused} where a pause is or comes. */
  async once<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    if (signal.aborted) {
      throw this.#closed ? aborted() : new Paused();
    }
    try {
      return await request(signal);
    } catch (error) {
      throw signal.aborted && !this.#closed ? new Paused() : error;
    }
  }
}
