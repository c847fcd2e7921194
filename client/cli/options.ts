/** The arguments of the program. */

import { type ParseArgsConfig, parseArgs } from "node:util";

import type { Metadata } from "../src/index.js";
import { type FileArgument, fileArgument } from "./files.js";

/** Where the service is, if neither `--base-url` nor `MOC_BASE_URL` says so: the local host. */
const BASE_URL_DEFAULT = "http://127.0.0.1:3000";

/** The arguments are wrong; the message says how. */
export class UsageError extends Error {}

/** What a command needs is missing on this machine. */
export class CommandError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What every command that makes requests takes. */
export interface Common {
  token: string | undefined;
  /** Most attempts of one request. */
  attempts: number | undefined;
  json: boolean;
}

/** `upload`. */
export interface UploadCommand extends Common {
  name: "upload";
  baseUrl: string;
  files: FileArgument[];
  metadata: Metadata;
  checksums: Checksum[];
  removeLocation: boolean;
  concurrency: number | undefined;
}

/** `resume`. */
export interface ResumeCommand extends Common {
  name: "resume";
  /** Default: the only upload that is not finished. */
  sessionId: string | undefined;
  /** Default: those that the upload began with. */
  files: FileArgument[];
  /** What replaces the metadata of the upload. */
  metadata: Partial<Metadata>;
  concurrency: number | undefined;
}

/** `watch`. */
export interface WatchCommand extends Common {
  name: "watch";
  baseUrl: string;
  sessionId: string;
}

/** `cancel`. */
export interface CancelCommand extends Common {
  name: "cancel";
  sessionId: string;
}

/** `list`. */
export interface ListCommand {
  name: "list";
  json: boolean;
}

/** What the program has to do. */
export type Command =
  | UploadCommand
  | ResumeCommand
  | WatchCommand
  | CancelCommand
  | ListCommand
  | { name: "help" }
  | { name: "version" };

/** A checksum that the client computes of every file. */
export type Checksum = "sha256" | "md5";

const json = { type: "boolean" } as const;
const common = { json, token: { type: "string" }, attempts: { type: "string" } } as const;
const service = { ...common, "base-url": { type: "string" } } as const;
const sending = {
  title: { type: "string" },
  description: { type: "string" },
  tags: { type: "string", multiple: true },
  theme: { type: "string" },
  concurrency: { type: "string" },
} as const;
const upload = {
  ...service,
  ...sending,
  checksums: { type: "string", multiple: true },
  "remove-location": { type: "boolean" },
} as const;

/** Reads the arguments after the program's name. Throws a {@link UsageError}. */
export function parseCommand(args: readonly string[], env: NodeJS.ProcessEnv): Command {
  const [name, ...rest] = args;
  if (args.includes("--help") || args.includes("-h") || name === "help") {
    return { name: "help" };
  }
  switch (name) {
    case "upload":
      return uploadCommand(rest, env);
    case "resume":
      return resumeCommand(rest, env);
    case "watch": {
      const { values, positionals } = parse(rest, service);
      const sessionId = only(positionals, "SESSION_ID");
      return { name, sessionId, baseUrl: baseUrlOf(values["base-url"], env), ...commonOf(values, env) };
    }
    case "cancel": {
      const { values, positionals } = parse(rest, common);
      return { name, sessionId: only(positionals, "SESSION_ID"), ...commonOf(values, env) };
    }
    case "list": {
      const { values, positionals } = parse(rest, { json });
      if (positionals.length > 0) {
        throw new UsageError(`\`list\` takes no arguments, but there is '${positionals[0]}'.`);
      }
      return { name, json: values.json ?? false };
    }
    case "--version":
      return { name: "version" };
    case undefined:
      throw new UsageError("A command is missing.");
    default:
      throw new UsageError(`There is no command '${name}'.`);
  }
}

function uploadCommand(args: string[], env: NodeJS.ProcessEnv): UploadCommand {
  const { values, positionals } = parse(args, upload);
  const { title, ...metadata } = metadataOf(values);
  if (positionals.length === 0) {
    throw new UsageError("`upload` needs at least one file.");
  }
  if (title === undefined) {
    throw new UsageError("`upload` needs a --title.");
  }
  return {
    name: "upload",
    baseUrl: baseUrlOf(values["base-url"], env),
    files: positionals.map(fileArgument),
    metadata: { title, ...metadata },
    checksums: listOf(values.checksums).map(checksumOf),
    removeLocation: values["remove-location"] ?? false,
    concurrency: numberOf("concurrency", values.concurrency, 16),
    ...commonOf(values, env),
  };
}

function resumeCommand(args: string[], env: NodeJS.ProcessEnv): ResumeCommand {
  const { values, positionals } = parse(args, { ...common, ...sending });
  const [sessionId, ...files] = positionals;
  return {
    name: "resume",
    sessionId,
    files: files.map(fileArgument),
    metadata: metadataOf(values),
    concurrency: numberOf("concurrency", values.concurrency, 16),
    ...commonOf(values, env),
  };
}

function parse<const Options extends NonNullable<ParseArgsConfig["options"]>>(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function commonOf(values: { json?: boolean; token?: string; attempts?: string }, env: NodeJS.ProcessEnv): Common {
  return {
    json: values.json ?? false,
    token: (values.token ?? env.MOC_TOKEN)?.trim() || undefined,
    attempts: numberOf("attempts", values.attempts, 100),
  };
}

function metadataOf(values: {
  title?: string;
  description?: string;
  tags?: string[];
  theme?: string;
}): Partial<Metadata> {
  const { title, description, theme } = values;
  const tags = values.tags && listOf(values.tags);
  const given = Object.entries({ title, description, tags, theme }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Partial<Metadata>;
}

/** The values between commas. */
function listOf(values: readonly string[] = []): string[] {
  return values.flatMap((value) => value.split(",").map((item) => item.trim())).filter((item) => item !== "");
}

function only([value, ...more]: readonly string[], what: string): string {
  if (value === undefined || more.length > 0) {
    throw new UsageError(`Exactly one ${what} is needed.`);
  }
  return value;
}

function numberOf(option: string, value: string | undefined, max: number): number | undefined {
  if (value !== undefined && !(/^\d+$/.test(value) && Number(value) >= 1 && Number(value) <= max)) {
    throw new UsageError(`--${option} must be a number from 1 to ${max}, not '${value}'.`);
  }
  return value === undefined ? undefined : Number(value);
}

function checksumOf(value: string): Checksum {
  if (value !== "sha256" && value !== "md5") {
    throw new UsageError(`--checksums must be sha256, md5 or both, not '${value}'.`);
  }
  return value;
}

function baseUrlOf(option: string | undefined, env: NodeJS.ProcessEnv): string {
  const value = option ?? (env.MOC_BASE_URL || BASE_URL_DEFAULT);
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new UsageError(`The base URL must be an http or https URL, not '${value}'.`);
  }
  return url.href.replace(/\/+$/, "");
}
