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
export const HOST = process.env.MOC_LOCAL_BIN ?? join(PROJECT, "target/release/moc-local");

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

/** What the application needs to find the local S3 server where it runs alone. */
const S3_ALONE = {
  s3_region: "us-east-1",
  s3_bucket: "moc-uploads",
  s3_access_key_id: "local",
  s3_secret_access_key: "local-secret",
};

/**
 * Starts a stack with these variables, their names in lower case; everyone is `dev-user` if there is no key. With
 * `front`, everyone finds the bucket's server at the URL that it makes of the real one, for example a proxy's.
 */
export async function startStack(
  variables: Record<string, string> = {},
  front?: (s3Url: string) => Promise<string>,
): Promise<Stack> {
  const state = await mkdtemp(join(tmpdir(), "moc-uploads-"));
  const hosts: Host[] = [];
  const start = async (command: string[], variables: Record<string, string>, last: string) => {
    const host = startHost([...command, "--state", state], variables);
    hosts.push(host);
    return host.said(last);
  };
  const stop = async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    await rm(state, { recursive: true, force: true });
  };
  try {
    const bucket: Record<string, string> = {};
    if (front) {
      const lines = await start(["s3", "--listen", "127.0.0.1:0"], {}, "s3");
      Object.assign(bucket, S3_ALONE, { s3_endpoint: await front(lines.get("s3")!) });
    }
    const addresses = ["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"];
    const lines = await start(["up", ...addresses], { ...bucket, ...variables }, "ready");
    const [baseUrl = "", broadcasterUrl = ""] = ["ready", "broadcaster"].map((name) => lines.get(name));
    const s3Url = bucket.s3_endpoint ?? lines.get("s3") ?? "";
    const objects = async (prefix: string) => {
      const bucket = join(state, "s3", "moc-uploads");
      const entries = await readdir(bucket, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      return files
        .map((file) => relative(bucket, join(file.parentPath, file.name)))
        .filter((key) => key.startsWith(prefix));
    };
    const seed = () => seedStack(state, s3Url);
    const log = () => hosts.map((host) => host.log()).join("");
    return { baseUrl, s3Url, broadcasterUrl, stateDir: state, log, objects, seed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A process of the local host. */
interface Host {
  /** What it has said by the time that it says `last`: URLs by what is there. Rejects if it ends before. */
  said(last: string): Promise<Map<string, string>>;
  log(): string;
  stop(): Promise<void>;
}

function startHost(command: string[], variables: Record<string, string>): Host {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SPIN_VARIABLE_"));
  const given = Object.entries(variables).map(([name, value]) => [`SPIN_VARIABLE_${name.toUpperCase()}`, value]);
  const keeper = spawn("sh", ["-c", KEEPER, "sh", HOST, ...command], {
    cwd: PROJECT,
    env: Object.fromEntries([...inherited, ...given]),
    stdio: "pipe",
  });
  const ended = once(keeper, "exit");
  let log = "";
  keeper.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  return {
    said: async (last) => {
      const timer = setTimeout(() => keeper.stdin.end(), START_LIMIT_MS);
      const lines = new Map<string, string>();
      for await (const line of createInterface(keeper.stdout)) {
        const [name = "", url = ""] = line.split(" ");
        lines.set(name, url);
        if (name === last) {
          clearTimeout(timer);
          return lines;
        }
      }
      clearTimeout(timer);
      throw new Error(`${HOST} did not become ready:\n${log}`);
    },
    log: () => log,
    stop: async () => {
      keeper.stdin.end();
      await ended;
    },
  };
}

async function seedStack(state: string, s3Url: string): Promise<Record<string, string>> {
  const seed = join(dirname(HOST), "moc-seed");
  const { stdout } = await promisify(execFile)(seed, ["--state", state, "--s3", s3Url]);
  const rows = [...stdout.matchAll(/^\W*(\w+)\W+([0-9a-f-]{36})\b/gm)];
  return Object.fromEntries(rows.map(([, name, id]) => [name, id]));
}
