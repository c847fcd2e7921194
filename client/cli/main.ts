#!/usr/bin/env node
/** The program `moc-uploads`. */

import { BarsScreen } from "./bars-screen.js";
import { HELP } from "./help.js";
import { JsonView } from "./json-view.js";
import { LinesScreen } from "./lines-screen.js";
import { type Command, CommandError, parseCommand, UsageError } from "./options.js";
import { PacedView } from "./paced-view.js";
import type { View } from "./report.js";
import { cancel, list } from "./saved.js";
import { stateFolder, UploadStore } from "./store.js";
import { TextView } from "./text-view.js";
import { resume, upload } from "./upload.js";
import { watch } from "./watch.js";

/** The version of the package, which the build fills in. */
declare const VERSION: string;

/** How often progress is shown, in milliseconds. */
const INTERVAL_MS = { bars: 100, json: 1_000, lines: 5_000 };
const USAGE_STATUS = 2;
/** What a program has that SIGPIPE ended: Node.js ignores that signal. */
const SIGPIPE_STATUS = 141;

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? SIGPIPE_STATUS : 1));
}
// The client writes warnings to the console, too; the views show them.
console.warn = () => {};

const status = await main(process.argv.slice(2));
// Windows writes to pipes in the background.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))));
// Idle connections, and a WebSocket whose other side does not close it, would delay the end.
process.exit(status);

async function main(args: string[]): Promise<number> {
  try {
    const command = parseCommand(args, process.env);
    if (command.name === "help" || command.name === "version") {
      process.stdout.write(command.name === "help" ? HELP : `${VERSION}\n`);
      return 0;
    }
    const view = viewFor(command.json);
    try {
      return await run(command, view);
    } catch (error) {
      if (error instanceof CommandError) {
        view.show({ type: "error", code: error.code, message: error.message });
        return 1;
      }
      throw error;
    } finally {
      view.close();
    }
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`moc-uploads: ${error.message}\nSee \`moc-uploads --help\`.\n`);
      return USAGE_STATUS;
    }
    throw error;
  }
}

function run(command: Exclude<Command, { name: "help" | "version" }>, view: View): number | Promise<number> {
  const store = new UploadStore(stateFolder(process.env));
  switch (command.name) {
    case "upload":
      return upload(command, store, view);
    case "resume":
      return resume(command, store, view);
    case "watch":
      return watch(command, view);
    case "list":
      return list(store, view);
    case "cancel":
      return cancel(command, store, view);
  }
}

/** JSON if it is asked for; bars on a terminal that can draw them, unless CI or NO_COLOR is set; or else lines. */
function viewFor(json: boolean): View {
  if (json) {
    return new PacedView(new JsonView(), INTERVAL_MS.json);
  }
  const { CI, NO_COLOR, TERM } = process.env;
  const isPlain = [CI, NO_COLOR].some(Boolean) || TERM === "dumb";
  // A terminal whose size is unknown has no columns.
  return process.stderr.isTTY && process.stderr.columns > 0 && !isPlain
    ? new PacedView(new TextView(new BarsScreen(process.stderr)), INTERVAL_MS.bars)
    : new PacedView(new TextView(new LinesScreen()), INTERVAL_MS.lines);
}
