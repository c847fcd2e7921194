import { expect } from "vitest";
import type { FaultProxy } from "../../../client/tests/support/fault-proxy.ts";

/** Requests that have left the browser as a whole, and that the stack does not see before they are released. */
export class Hold {
  readonly #proxy: FaultProxy;
  readonly #matches: RegExp;
  #release!: () => void;

  /** Holds what matches, for example `/^PUT .*\/parts\/2$/`, from now on. */
  constructor(proxy: FaultProxy, matches: RegExp) {
    this.#proxy = proxy;
    this.#matches = matches;
    const hold = new Promise<void>((resolve) => (this.#release = resolve));
    proxy.fail(matches, { hold }, Infinity);
  }

  /** Waits until there are so many of them, given up ones not counted. */
  async has(count: number): Promise<void> {
    const held = () =>
      this.#proxy
        .matching(this.#matches)
        .filter(({ isOver, bodyBytes, headers }) => !isOver && bodyBytes === Number(headers["content-length"] ?? 0));
    await expect.poll(() => held().length, { timeout: 15_000, message: `${this.#matches}` }).toBe(count);
  }

  /** Releases them, and later ones. */
  release(): void {
    this.#release();
  }
}
