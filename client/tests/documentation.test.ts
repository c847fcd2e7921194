/** Every fenced block of every document: run, or checked by what reads it. */

import { execFile } from "node:child_process";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { text as bodyOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse as parseToml } from "smol-toml";
import { transformWithOxc } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import * as client from "../src/index.js";
import { buildCli } from "./support/cli.js";
import { pdf } from "./support/content.js";
import { file } from "./support/harness.js";
import { type Stack, startStack } from "./support/stack.js";

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const RUN_LIMIT_MS = 60_000;
/** What the documents call the running application. */
const LOCAL_URL = "http://127.0.0.1:3000";
const SECRET = "whsec_bW9jLXVwbG9hZHMgZG9jdW1lbnRhdGlvbg==";
/** Two parts. */
const CASTLE = pdf(6 * 1024 * 1024);

interface Block {
  language: string;
  code: string;
  /** Why it cannot run here, from a comment before it: `<!-- not run: REASON -->`. */
  reason: string | undefined;
}

const documents = await markdownFiles();
const texts = new Map(
  await Promise.all(documents.map(async (path) => [path, await readFile(join(PROJECT, path), "utf8")] as const)),
);

async function markdownFiles(): Promise<string[]> {
  const docs = await readdir(join(PROJECT, "docs"), { recursive: true });
  const top = (await readdir(PROJECT)).filter((name) => name.endsWith(".md"));
  return [
    ...top,
    "client/README.md",
    ...docs.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
  ].sort();
}

function blocksOf(text: string): Block[] {
  const blocks = text.matchAll(/(?:<!-- not run: (.+?) -->\n+)?^```(.*)\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, reason, language = "", code = ""]) => ({ language, code, reason }));
}

/** What a receiver of webhooks has got. */
interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

let stack: Stack;
let receiver: Server;
const received: Received[] = [];
let folder: string;
/** A session whose events a document shows, and what it has shown. */
let watched: { sessionId: string; wsUrl: string };
const shown: object[] = [];
const DECLARED = { category: "instruction", name: "watched.pdf", size: 1, type: "application/pdf" };

async function post<Response>(path: string, body: object): Promise<Response> {
  const url = `${stack.baseUrl}/api/mocs/uploads${path}`;
  return (await (await fetch(url, { method: "POST", body: JSON.stringify(body) })).json()) as Response;
}

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: await bodyOf(request) });
    response.end();
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const origin = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  stack = await startStack({
    moc_finalize_webhook_url: `${origin}/moc-hook`,
    moc_finalize_webhook_origin: origin,
    moc_finalize_webhook_secret: SECRET,
  });
  watched = await post("/sessions", { files: [DECLARED] });
  folder = await mkdtemp(join(tmpdir(), "moc-documentation-"));
  await writeFile(join(folder, "castle.pdf"), CASTLE);
  await mkdir(join(folder, "bin"));
  await symlink(await buildCli(join(folder, "cli")), join(folder, "bin", "moc-uploads"));
});
afterAll(async () => {
  receiver?.close();
  await stack?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Runs a document's shell blocks as one script, so that later blocks see the variables of earlier ones. */
async function runShell(code: string): Promise<void> {
  const script = `set -euo pipefail\n${code.replaceAll(LOCAL_URL, stack.baseUrl)}`;
  // A response that is an error ends the script.
  const path = `${join(folder, "bin")}:${process.env.PATH}`;
  const env = { ...process.env, CURL_HOME: folder, PATH: path, XDG_STATE_HOME: folder };
  await writeFile(join(folder, ".curlrc"), "fail-with-body\n");
  await run("bash", ["-c", script], { cwd: folder, env, timeout: RUN_LIMIT_MS });
}

/** Runs a script with what its surroundings have in a real page; gives what it has declared at its top. */
async function runScript(code: string): Promise<Record<string, unknown>> {
  const bar = { max: 1, value: 0 };
  const status: { textContent?: string } = {};
  const chosen = { files: [file(pdf(1_000), "castle.pdf")] };
  const metadata = { title: `Documentation ${createHash("md5").update(code).digest("hex").slice(0, 8)}` };
  const surroundings: Record<string, unknown> = {
    ...client,
    createUpload: (options: client.UploadOptions) =>
      client.createUpload({ WebSocket, ...options, metadata, baseUrl: stack.baseUrl }),
    watchUpload: (options: client.WatchOptions) => client.watchUpload({ ...options, baseUrl: stack.baseUrl }),
    addEventListener: () => {},
    createHmac,
    timingSafeEqual,
    openAsBlob: async () => new Blob([pdf(1_000) as BlobPart]),
    WebSocket,
    account: { accessToken: () => undefined },
    session: { token: () => undefined, ...watched },
    show: (event: object) => shown.push(event),
    findUploads: () => client.findUploads({ baseUrl: stack.baseUrl, storage: null }),
    fileInput: chosen,
    input: chosen,
    bar,
    left: {},
    link: {},
    pauseButton: {},
    retryButton: {},
    status,
  };
  const { code: plain } = await transformWithOxc(code.replace(/^import .*\n/gm, ""), "block.ts");
  const declared = [...plain.matchAll(/^(?:const|let|function|async function) (\w+)/gm)].map(([, name]) => name);
  const body = `return (async () => {${plain}\nreturn { ${declared.join(", ")} };})();`;
  const result = await new Function(...Object.keys(surroundings), body)(...Object.values(surroundings));
  if (code.includes("= watchUpload(")) await checkFollowing(result as { watching: { close(): void } }, status);
  if (code.includes("Object.assign(bar")) expect(bar.value / bar.max).toBe(1);
  return result as Record<string, unknown>;
}

/** Several JSON documents may follow each other. */
function parseJson(code: string): void {
  JSON.parse(`[${code.trim().replace(/\}\s*\n\{/g, "},{")}]`);
}

/** Debian's nchan. */
const NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** Checks locations of nginx as a part of a whole configuration; gives why it cannot. */
async function checkNginx(code: string): Promise<string | undefined> {
  if (!existsSync(NCHAN) && !process.env.CI) return "needs nginx with nchan";
  const config = `load_module ${NCHAN};\nevents {}\nhttp { server { listen 127.0.0.1:1; ${code} } }\n`;
  await writeFile(join(folder, "nginx.conf"), config);
  await run("nginx", ["-t", "-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr", "-g", "pid nginx.pid;"]);
  return undefined;
}

const DIAGRAM = /^(sequenceDiagram|flowchart)\n/;
let [ran, checked] = [0, 0];
const notRun: string[] = [];

describe.each(documents.filter((path) => blocksOf(texts.get(path) ?? "").length > 0))("%s", (path) => {
  const blocks = blocksOf(texts.get(path) ?? "");

  test("its shell blocks run", { timeout: RUN_LIMIT_MS }, async () => {
    const shell = blocks.filter(({ language }) => language === "sh");
    for (const { code, reason } of shell) {
      await run("bash", ["-n", "-c", code]);
      if (reason !== undefined) notRun.push(`${path}: ${reason}`);
    }
    // `cargo xtask` builds and tests: the test command itself runs it.
    const own = shell.filter(({ code, reason }) => reason === undefined && !/^cargo xtask/m.test(code));
    if (own.length > 0) await runShell(own.map(({ code }) => code).join("\n"));
    ran += own.length;
  });

  test("its other blocks are what their language says", { timeout: RUN_LIMIT_MS }, async () => {
    for (const { language, code, reason } of blocks.filter(({ language }) => language !== "sh")) {
      expect(code.trim()).not.toBe("");
      if (reason !== undefined) {
        notRun.push(`${path}: ${reason}`);
        continue;
      }
      if (language === "js" || language === "ts") {
        const { isGenuine, socket } = await runScript(code);
        if (socket !== undefined) await checkWatching(socket as WebSocket);
        if (isGenuine !== undefined) await checkSignature(isGenuine as SignatureCheck);
        ran += 1;
        continue;
      }
      if (language === "json") parseJson(code);
      else if (language === "toml") parseToml(code);
      else if (language === "nginx") {
        const missing = await checkNginx(code);
        if (missing !== undefined) notRun.push(`${path}: ${missing}`);
      } else if (language === "http") expect(code).toMatch(/^(GET|POST) \S+ HTTP\/1\.1\n([\w-]+: .+\n)*\n/);
      else if (language === "mermaid") expect(code).toMatch(DIAGRAM);
      else if (language === "text") expect(reason).toBeUndefined();
      else expect.fail(`${path}: nothing checks a block of ${JSON.stringify(language)}`);
      checked += 1;
    }
  });
});

/** The documented handler shows the events of the session. */
async function checkWatching(socket: WebSocket): Promise<void> {
  await once(socket, "open");
  await post(`/sessions/${watched.sessionId}/files`, DECLARED);
  await expect
    .poll(() => shown, { timeout: 10_000 })
    .toContainEqual(expect.objectContaining({ type: "file_registered" }));
  socket.close();
}

/** The documented watching shows how far the session is. */
async function checkFollowing(
  { watching }: { watching: { close(): void } },
  status: { textContent?: string },
): Promise<void> {
  await expect.poll(() => status.textContent, { timeout: 10_000 }).toMatch(/^\d+ of \d+$/);
  watching.close();
}

type SignatureCheck = (headers: IncomingHttpHeaders, rawBody: string, secret: string) => boolean;

/** The documented check accepts a webhook of the running application, and nothing else. */
async function checkSignature(isGenuine: SignatureCheck): Promise<void> {
  await client
    .createUpload({
      baseUrl: stack.baseUrl,
      files: [file(pdf(500), "a.pdf")],
      metadata: { title: "Signed" },
      WebSocket,
    })
    .start();
  await expect.poll(() => received.length, { timeout: 10_000 }).toBeGreaterThan(0);
  const { headers, body } = received[0]!;
  expect(isGenuine(headers, body, SECRET)).toBe(true);
  const signature = headers["webhook-signature"] as string;
  expect(isGenuine({ ...headers, "webhook-signature": `v1,AAAA ${signature}` }, body, SECRET)).toBe(true);
  expect(isGenuine({ ...headers, "webhook-signature": "v1,AAAA v1,BBBB" }, body, SECRET)).toBe(false);
  expect(isGenuine(headers, `${body} `, SECRET)).toBe(false);
  expect(isGenuine(headers, body, "another secret")).toBe(false);
  expect(isGenuine({ ...headers, "webhook-timestamp": "1" }, body, SECRET)).toBe(false);
}

/** The anchor that GitHub and mdBook make of a heading. */
function anchorOf(heading: string): string {
  const plain = heading.toLowerCase().replace(/[`*]|\[([^\]]*)\]\([^)]*\)/g, "$1");
  return plain
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");
}

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
}

test.each(documents)("the links of %s lead somewhere", async (path) => {
  const text = (texts.get(path) ?? "").replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");
  const dead: string[] = [];
  for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(link)) continue;
    const [target = "", anchor] = link.split("#");
    const at = target === "" ? path : relative(PROJECT, resolve(PROJECT, dirname(path), target));
    const found = await readFile(join(PROJECT, at), "utf8").catch((error: NodeJS.ErrnoException) =>
      error.code === "EISDIR" ? "" : undefined,
    );
    if (found === undefined || (anchor !== undefined && !anchorsOf(found).includes(anchor))) dead.push(link);
  }
  expect(dead).toEqual([]);
});

test("every page of docs/ is in its table of contents", () => {
  const summary = texts.get("docs/SUMMARY.md") ?? "";
  const pages = documents.filter((path) => path.startsWith("docs/") && path !== "docs/SUMMARY.md");
  expect(pages.filter((path) => !summary.includes(`(${path.slice("docs/".length)})`))).toEqual([]);
});

afterAll(() => {
  console.info(`documentation: ${ran} blocks ran, ${checked} were checked by their parser, ${notRun.length} not run:`);
  for (const line of notRun) console.info(`  ${line}`);
});
