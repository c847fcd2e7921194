import type { Report, View } from "./report.js";

/** One JSON object a line on standard output. */
export class JsonView implements View {
  show(report: Report): void {
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }

  close(): void {}
}
