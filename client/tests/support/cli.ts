/** The program, as the package has it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const CONFIGS = ["vite.config.ts", "vite.cli.config.ts"];

/** Builds the program in `folder/dist`; gives its path. */
export async function buildCli(folder: string): Promise<string> {
  const outDir = join(folder, "dist");
  for (const name of CONFIGS) {
    const configFile = join(PACKAGE, name);
    await build({ root: PACKAGE, configFile, logLevel: "warn", build: { outDir, emptyOutDir: false } });
  }
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  return join(outDir, "cli.js");
}

/** A process of the program. */
export interface CliProcess {
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The JSON objects that it has written so far. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at fields of many kinds of lines.
  lines(): any[];
  kill(signal: NodeJS.Signals): void;
  /** Writes to the terminal, as the keyboard does. */
  type(text: string): void;
  /** Nobody reads its standard output any more. */
  closeStdout(): void;
  /** The exit status, once it has ended. */
  status: Promise<number | null>;
}

/** Processes of the program with one service and one folder of uploads. */
export interface Cli {
  folder: string;
  /** The folder with what is remembered. */
  state: string;
  run(args: string[], env?: NodeJS.ProcessEnv): CliProcess;
  /** The same in a terminal of 100 columns and 30 rows. */
  runInTerminal(args: string[], env?: NodeJS.ProcessEnv): CliProcess;
  /** Writes a file to upload; gives its path. */
  write(name: string, bytes: Uint8Array): Promise<string>;
  remove(): Promise<void>;
}

/** Builds the program for the tests of one file. */
export async function startCli(baseUrl: string): Promise<Cli> {
  const folder = await mkdtemp(join(tmpdir(), "moc-uploads-cli-"));
  const program = await buildCli(folder);
  const state = join(folder, "state", "moc-uploads");
  const start = (command: string, args: string[], env: NodeJS.ProcessEnv = {}): CliProcess => {
    const { CI: _, NO_COLOR: __, MOC_TOKEN: ___, ...inherited } = process.env;
    const own = { MOC_BASE_URL: baseUrl, XDG_STATE_HOME: join(folder, "state"), TERM: "xterm" };
    const child = spawn(command, args, { cwd: folder, env: { ...inherited, ...own, ...env } });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    return {
      stdout: () => stdout,
      stderr: () => stderr,
      lines: () =>
        stdout
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line)),
      kill: (signal) => void child.kill(signal),
      type: (text) => void child.stdin.write(text),
      closeStdout: () => void child.stdout.destroy(),
      status: once(child, "close").then(([status]) => status as number | null),
    };
  };
  return {
    folder,
    state,
    run: (args, env) => start(program, args, env),
    runInTerminal: (args, env) => {
      const quoted = [program, ...args].map((arg) => `'${arg}'`).join(" ");
      const command = `stty cols 100 rows 30; exec ${quoted}`;
      const isMac = process.platform === "darwin";
      return start("script", isMac ? ["-q", "/dev/null", "sh", "-c", command] : ["-qefc", command, "/dev/null"], env);
    },
    write: async (name, bytes) => {
      const path = join(folder, name);
      await writeFile(path, bytes);
      return path;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
