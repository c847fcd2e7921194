import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { HOST } from "../../../client/tests/support/stack.ts";

/** Broadcasters that stand before the application as well. */
export type FrontKind = "nchan" | "pushpin";

/** The program of `tests/` that starts them. */
const PROGRAM = join(dirname(HOST), "moc-front");

/** Whether this broadcaster is installed, without which tests are skipped; not on CI. */
export function isInstalled(kind: FrontKind): boolean {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build the tests`);
  return Boolean(process.env.CI) || spawnSync(PROGRAM, ["is-installed", kind]).status === 0;
}

/** nginx with nchan, or Pushpin, between the browser and the application. */
export class Front {
  readonly #program: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown>;
  readonly #lines: AsyncIterator<string, undefined>;
  /** What the application has to know of it. */
  readonly variables: Record<string, string> = {};
  /** Where browsers reach it. */
  origin = "";

  private constructor(readonly kind: FrontKind) {
    this.#program = spawn(PROGRAM, [kind], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = once(this.#program, "exit");
    this.#lines = createInterface(this.#program.stdout)[Symbol.asyncIterator]();
  }

  /** Reserves its ports. It listens from {@link serve} on. */
  static async reserve(kind: FrontKind): Promise<Front> {
    const front = new Front(kind);
    while (!front.origin) {
      const [name = "", value = ""] = (await front.#line()).split(" ");
      if (name === "origin") front.origin = value;
      else front.variables[name] = value;
    }
    return front;
  }

  /** Starts it before the application at this URL. */
  async serve(applicationUrl: string): Promise<void> {
    this.#program.stdin.write(`${applicationUrl}\n`);
    while ((await this.#line()) !== "ready");
  }

  async stop(): Promise<void> {
    this.#program.stdin.end();
    await this.#ended;
  }

  async #line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error(`${PROGRAM} ${this.kind} has ended`);
    return value;
  }
}
