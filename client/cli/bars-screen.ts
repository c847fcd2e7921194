import { createLogUpdate } from "log-update";
import sliceAnsi from "slice-ansi";
import stringWidth from "string-width";

import { bytes, percent, printable } from "./format.js";
import type { FileReport, ProgressReport } from "./report.js";
import { type Screen, summary } from "./text-view.js";

const NAME_MAX_COLUMNS = 30;
const BAR_MAX_COLUMNS = 30;
/** ` [] 100 % 1023.9 MiB of 1023.9 MiB`: what is in a line next to name and bar. */
const REST_COLUMNS = 36;

/** A terminal, as far as it matters here. */
export type Terminal = NodeJS.WriteStream;

/** A bar for each file, which change in place. */
export class BarsScreen implements Screen {
  readonly #terminal: Terminal;
  readonly #log: ReturnType<typeof createLogUpdate>;
  #phase = "";
  #last: ProgressReport | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#log = createLogUpdate(terminal);
  }

  say(line: string): void {
    this.#log.persist(line);
  }

  phase(phase: string): void {
    this.#phase = phase;
    this.#draw();
  }

  progress(progress: ProgressReport): void {
    this.#last = progress;
    this.#draw();
  }

  /** Its bar has it. */
  completed(): void {}

  close(): void {
    this.#log.done();
  }

  #draw(): void {
    const { columns, rows } = this.#terminal;
    this.#log(frame(this.#phase, this.#last, columns, rows));
  }
}

/** What the terminal shows: a line for each file if there is space, and one for all of them. */
export function frame(phase: string, progress: ProgressReport | undefined, columns: number, rows: number): string {
  const files = progress?.files ?? [];
  const spaceRows = Math.max(0, rows - 3);
  const isMoving = ({ state }: FileReport) => state === "uploading" || state === "hashing";
  const shown = files.length <= spaceRows ? files : files.filter(isMoving).slice(0, spaceRows);
  const names = shown.map(({ name }) => printable(name));
  const nameColumns = Math.min(NAME_MAX_COLUMNS, Math.max(0, ...names.map((name) => stringWidth(name))));
  const barColumns = Math.max(0, Math.min(BAR_MAX_COLUMNS, columns - nameColumns - REST_COLUMNS));
  const lines = shown.map((file, index) => {
    const name = fit(names[index]!, nameColumns);
    return `${name} ${bar(file, barColumns)}${status(file)}`;
  });
  const total = progress && progress.totalBytes > 0 ? `: ${summary(progress)}` : "…";
  // A line that is as long as the terminal is wide would be wrapped by some.
  return [...lines, `${phase}${total}`].map((line) => sliceAnsi(line, 0, columns - 1)).join("\n");
}

function fit(text: string, columns: number): string {
  const isLong = stringWidth(text) > columns;
  const shown = isLong ? `${sliceAnsi(text, 0, columns - 1)}…` : text;
  return shown + " ".repeat(Math.max(0, columns - stringWidth(shown)));
}

function bar({ storedBytes, sizeBytes }: FileReport, columns: number): string {
  if (columns < 5) {
    return "";
  }
  const filled = Math.floor(columns * (sizeBytes === 0 ? 1 : storedBytes / sizeBytes));
  return `[${"=".repeat(filled)}${" ".repeat(columns - filled)}] `;
}

function status({ state, storedBytes, sizeBytes }: FileReport): string {
  switch (state) {
    case "completed":
      return `done, ${bytes(sizeBytes)}`;
    case "failed":
      return "failed";
    default:
      return `${String(percent(storedBytes, sizeBytes)).padStart(3)} % ${bytes(storedBytes)} of ${bytes(sizeBytes)}`;
  }
}
