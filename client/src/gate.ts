import { aborted } from "./error.js";

/** Thrown by {@link Gate.once} where a pause has ended a request. */
export class Paused extends Error {}

/** Lets requests pass, holds them while paused, and ends those that are under way. */
export class Gate {
  /** Requests under way, each with a signal of its own: Node takes many listeners to one for a leak. */
  readonly #underWay = new Set<AbortController>();
  /** Settles at the end of the pause. */
  #reopened: Promise<void> | undefined;
  #reopen = () => {};
  #closed = false;

  /** Holds all requests. */
  pause(): void {
    if (!this.#reopened && !this.#closed) {
      this.#reopened = new Promise((resolve) => (this.#reopen = resolve));
      this.#endAll();
    }
  }

  /** Lets requests pass again. */
  resume(): void {
    this.#reopened = undefined;
    this.#reopen();
  }

  /** Ends everything with `ABORTED`, for good. */
  close(): void {
    this.#closed = true;
    this.resume();
    this.#endAll();
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
    if (this.#closed || this.#reopened) {
      throw this.#closed ? aborted() : new Paused();
    }
    const controller = new AbortController();
    const { signal } = controller;
    this.#underWay.add(controller);
    try {
      return await request(signal);
    } catch (error) {
      throw signal.aborted && !this.#closed ? new Paused() : error;
    } finally {
      this.#underWay.delete(controller);
    }
  }

  #endAll(): void {
    this.#underWay.forEach((controller) => controller.abort());
  }
}
