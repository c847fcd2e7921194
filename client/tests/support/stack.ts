/** A stack: the application on its local host, with a database and a bucket of its own. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROJECT = fileURLToPath(new URL("../../../", import.meta.url));
/** `MOC_LOCAL_BIN`, or what the build has made. */
const HOST = process.env.MOC_LOCAL_BIN ?? join(PROJECT, "target/release/moc-local");

/** The first start compiles every component. */
const START_LIMIT_MS = 120_000;

/**
 * Starts a server and ends it with SIGKILL as soon as its own standard input ends, which the operating system sees to
 * however the tests' process ends.
 */
const KEEPER = '"$@" & server=$!; exec >/dev/null 2>&1; read -r _; kill -9 "$server"; wait "$server"';

/** A running stack. */
export interface Stack {
  /** Where the application listens. */
  readonly baseUrl: string;
  /** Where the bucket's server listens; objects are read without a signature. */
  readonly s3Url: string;
  /** What the host has written to stderr so far. */
  log(): string;
  /** Where its broadcaster takes WebSockets. */
  readonly broadcasterUrl: string;
  /** The directory with its database and its bucket. */
  readonly stateDir: string;
  /** The keys of the bucket's objects that begin with this. */
  objects(prefix: string): Promise<string[]>;
  /** Puts the fixtures of the `http/` requests into the stack; returns their ids by name, for example `expiredSession`. */
  seed(): Promise<Record<string, string>>;
  /** Ends the host and deletes its state. */
  stop(): Promise<void>;
}

/** Starts a stack with these variables, their names in lower case; everyone is `dev-user` if there is no key. */
export async function startStack(variables: Record<string, string> = {}): Promise<Stack> {
  const state = await mkdtemp(join(tmpdir(), "moc-uploads-"));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SPIN_VARIABLE_"));
  const given = Object.entries(variables).map(([name, value]) => [`SPIN_VARIABLE_${name.toUpperCase()}`, value]);
  const addresses = ["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"];
  const keeper = spawn("sh", ["-c", KEEPER, "sh", HOST, "up", ...addresses, "--state", state], {
    cwd: PROJECT,
    env: Object.fromEntries([...inherited, ...given]),
    stdio: "pipe",
  });
  const ended = once(keeper, "exit");
  let log = "";
  keeper.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const stop = async () => {
    keeper.stdin.end();
    await ended;
    await rm(state, { recursive: true, force: true });
  };
  const timer = setTimeout(() => keeper.stdin.end(), START_LIMIT_MS);
  let [s3Url, broadcasterUrl] = ["", ""];
  for await (const line of createInterface(keeper.stdout)) {
    const [name, url = ""] = line.split(" ");
    if (name === "s3") {
      s3Url = url;
    } else if (name === "broadcaster") {
      broadcasterUrl = url;
    } else if (name === "ready") {
      clearTimeout(timer);
      const seed = () => seedStack(state, s3Url);
      const objects = async (prefix: string) => {
        const bucket = join(state, "s3", "moc-uploads");
        const entries = await readdir(bucket, { recursive: true, withFileTypes: true });
        const files = entries.filter((entry) => entry.isFile());
        return files
          .map((file) => relative(bucket, join(file.parentPath, file.name)))
          .filter((key) => key.startsWith(prefix));
      };
      return { baseUrl: url, s3Url, broadcasterUrl, stateDir: state, log: () => log, objects, seed, stop };
    }
  }
  clearTimeout(timer);
  await stop();
  throw new Error(`${HOST} did not become ready:\n${log}`);
}

async function seedStack(state: string, s3Url: string): Promise<Record<string, string>> {
  const seed = join(dirname(HOST), "moc-seed");
  const { stdout } = await promisify(execFile)(seed, ["--state", state, "--s3", s3Url]);
  const rows = [...stdout.matchAll(/^\W*(\w+)\W+([0-9a-f-]{36})\b/gm)];
  return Object.fromEntries(rows.map(([, name, id]) => [name, id]));
}
