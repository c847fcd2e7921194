import { bytes, duration, percent, printable } from "./format.js";
import type { ErrorReport, FileReport, ProgressReport, Report, View } from "./report.js";

/** Where text is shown to people: standard error. */
export interface Screen {
  /** Adds a line that stays. */
  say(line: string): void;
  /** Shows what the upload is doing. */
  phase(phase: string): void;
  /** Shows how far the upload is. */
  progress(progress: ProgressReport): void;
  /** Shows that a file has been uploaded. */
  completed(file: FileReport): void;
  /** Ends what changes in place. */
  close(): void;
}

const PHASES: Readonly<Record<string, string>> = {
  preparing: "Preparing",
  uploading: "Uploading",
  active: "Uploading",
  finalizing: "Publishing",
};

const ENDS: Readonly<Record<string, string>> = {
  cancelled: "The upload was cancelled.",
  expired: "The upload has expired.",
};

/** Sentences for people on a screen, and for scripts the id of the MOC, or a list, on standard output. */
export class TextView implements View {
  readonly #screen: Screen;
  /** By category and name: what was said of a file. */
  readonly #said = new Map<string, FileReport["state"]>();
  #waiting: string | undefined;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show(report: Report): void {
    const screen = this.#screen;
    switch (report.type) {
      case "state":
        if (PHASES[report.state]) {
          screen.phase(PHASES[report.state]!);
        }
        break;
      case "progress":
        this.#progress(report);
        break;
      case "warning":
        screen.say(`Warning: ${printable(report.message)}`);
        break;
      case "published":
        screen.close();
        screen.say(report.moc ? `Published “${printable(report.moc.title)}”:` : "Published:");
        process.stdout.write(`${report.mocId}\n`);
        break;
      case "ended":
        screen.close();
        screen.say(ENDS[report.status ?? ""] ?? "The upload has ended without a MOC.");
        break;
      case "error":
        screen.close();
        screen.say(`moc-uploads: ${sentence(report)}`);
        report.errors?.forEach(({ pointer, message }) =>
          screen.say(printable(`${pointer.replace(/^\//, "")}: ${message}`)),
        );
        if (report.code === "UNAUTHORIZED") {
          screen.say("Set MOC_TOKEN to an access token that is valid now.");
        }
        this.#resume(report.resume);
        break;
      case "interrupted":
        screen.close();
        if (report.command === "watch") {
          screen.say("Stopped watching. The upload itself continues.");
        } else {
          screen.say(report.resume ? "Interrupted. What has been uploaded is kept." : "Interrupted.");
          this.#resume(report.resume);
        }
        break;
      case "upload": {
        const size = bytes(report.files.reduce((sum, file) => sum + file.sizeBytes, 0));
        const [first, ...more] = report.files.map(({ name }) => name);
        const files = more.length > 0 ? `${first} and ${more.length} more` : first;
        const isOver = Date.parse(report.expiresAt) <= Date.now();
        const end = `${isOver ? "expired" : "expires"} ${report.expiresAt}`;
        const fields = [report.sessionId, report.title, `${files} (${size})`, report.baseUrl, end];
        process.stdout.write(`${fields.map((field) => printable(field)).join("  ")}\n`);
        break;
      }
      case "cancelled":
        screen.say(`Cancelled ${report.sessionId}.`);
        break;
    }
  }

  close(): void {
    this.#screen.close();
  }

  #progress(report: ProgressReport): void {
    for (const file of report.files) {
      const key = `${file.category}/${file.name}`;
      if (this.#said.get(key) !== file.state) {
        this.#said.set(key, file.state);
        if (file.state === "completed") {
          this.#screen.completed(file);
        } else if (file.state === "failed" && file.error) {
          this.#screen.say(`${printable(file.name)}: ${sentence({ ...file.error, fileName: undefined })}`);
        }
      }
    }
    const waiting = report.waiting && sentence(report.waiting);
    if (waiting !== undefined && waiting !== this.#waiting) {
      this.#screen.say(`Waiting to retry: ${waiting}`);
    }
    this.#waiting = waiting;
    this.#screen.progress(report);
  }

  #resume(sessionId: string | undefined): void {
    if (sessionId !== undefined) {
      this.#screen.say(`Resume with: moc-uploads resume ${sessionId}`);
    }
  }
}

/** How far an upload is, in one line. */
export function summary({ totalBytes, storedBytes, bytesPerSecond, secondsLeft }: ProgressReport): string {
  const parts = [`${percent(storedBytes, totalBytes)} %`, `${bytes(storedBytes)} of ${bytes(totalBytes)}`];
  if (bytesPerSecond > 0) {
    parts.push(`${bytes(bytesPerSecond)}/s`);
  }
  if (secondsLeft !== undefined && storedBytes < totalBytes) {
    parts.push(`${duration(secondsLeft)} left`);
  }
  return parts.join(", ");
}

function sentence({ code, fileName, message, reason, requestId }: ErrorReport): string {
  const details = [code, ...(reason ? [reason] : []), ...(requestId ? [`request ${requestId}`] : [])].join(", ");
  return printable(`${fileName ? `${fileName}: ` : ""}${message} (${details})`);
}
