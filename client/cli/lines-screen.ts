import { bytes, printable } from "./format.js";
import type { FileReport, ProgressReport } from "./report.js";
import { type Screen, summary } from "./text-view.js";

/** One line after another, for logs and pipes. */
export class LinesScreen implements Screen {
  #storedBytes = 0;

  say(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  phase(phase: string): void {
    this.say(`${phase}…`);
  }

  progress(progress: ProgressReport): void {
    if (progress.storedBytes !== this.#storedBytes) {
      this.#storedBytes = progress.storedBytes;
      this.say(summary(progress));
    }
  }

  completed({ name, sizeBytes }: FileReport): void {
    this.say(`${printable(name)}: uploaded, ${bytes(sizeBytes)}`);
  }

  close(): void {}
}
