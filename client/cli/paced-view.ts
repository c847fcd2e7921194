import type { ProgressReport, Report, View } from "./report.js";

/** Has progress shown once in an interval at most, and always what it was last. */
export class PacedView implements View {
  readonly #view: View;
  readonly #intervalMs: number;
  #waiting: ProgressReport | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(view: View, intervalMs: number) {
    this.#view = view;
    this.#intervalMs = intervalMs;
  }

  show(report: Report): void {
    if (this.#isClosed) {
      return;
    }
    if (report.type !== "progress") {
      this.#flush();
      this.#view.show(report);
    } else if (this.#timer) {
      this.#waiting = report;
    } else {
      this.#view.show(report);
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#flush();
      }, this.#intervalMs);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#flush();
    this.#isClosed = true;
    this.#view.close();
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) {
      this.#view.show(waiting);
    }
  }
}
