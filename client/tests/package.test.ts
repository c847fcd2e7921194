/** The package as it is published. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type Stack, startStack } from "./support/stack.js";
import { WatchedService } from "./support/watched-service.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
/**
 * The modules, compressed as servers do. Every page loads `index.js`. The others are loaded by those that want checksums,
 * direct uploads, pictures without location or watching, when they do: each is bounded alone, so that none grows at the
 * cost of another.
 */
const SIZES_MAX_BYTES = {
  "index.js": 10 * 1024,
  "checksum.js": 4 * 1024,
  "direct.js": 2 * 1024,
  "location.js": 4 * 1024,
  "watching.js": 5 * 1024,
};

let folder: string;
let stack: Stack;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "moc-uploads-"));
  [stack] = await Promise.all([
    startStack(),
    build({ root: PACKAGE, logLevel: "warn", build: { outDir: join(folder, "dist"), emptyOutDir: true } }),
  ]);
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("what every page loads is less than 10 KiB, and what some load is small", async () => {
  const names = (await readdir(join(folder, "dist"))).filter((name) => name.endsWith(".js"));
  expect(names.sort()).toEqual(Object.keys(SIZES_MAX_BYTES).sort());
  const files = await Promise.all(names.map((name) => readFile(join(folder, "dist", name))));
  const bytes = files.map((file) => gzipSync(file, { level: 9 }).length);
  console.info(`gzipped: ${names.map((name, index) => `${name} ${bytes[index]}`).join(", ")} bytes`);
  for (const [index, name] of names.entries()) {
    expect(bytes[index], name).toBeLessThan(SIZES_MAX_BYTES[name as keyof typeof SIZES_MAX_BYTES]);
  }
});

test("the licences go with it", async () => {
  const names = ["LICENSE", "LICENSE.noble-hashes", "LICENSE.eventsource-parser"];
  const [own, hashes, parser] = names.map((name) => readFile(join(folder, "dist", name), "utf8"));
  expect(await own).toBe(await readFile(join(PACKAGE, "../LICENSE"), "utf8"));
  expect(await hashes).toMatch(/MIT License[\s\S]*Paul Miller/);
  expect(await parser).toMatch(/MIT License[\s\S]*Espen Hovlandsdal/);
});

test("it uploads in plain Node, whose process ends by itself", async () => {
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  const script = `
    import { createUpload } from "./dist/index.js";
    const files = [new File(["%PDF-1.7 and a castle"], "castle.pdf")];
    const [baseUrl, metadata] = [${JSON.stringify(stack.baseUrl)}, { title: "Plain" }];
    console.log((await createUpload({ baseUrl, files, metadata, checksums: ["sha256"] }).start()).title);
  `;
  await writeFile(join(folder, "upload.js"), script);
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "upload.js")], { timeout: 20_000 });
  expect(stdout.trim()).toBe("Plain");
});

test.each([
  ["websocket", "open"],
  ["server-sent-events", "none"],
  ["polling", "none"],
] as const)("it watches by %s in plain Node, whose process ends by itself", async (transport, webSockets) => {
  const service = await WatchedService.start();
  try {
    service.webSockets = webSockets;
    service.hasEventsUrl = transport !== "polling";
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    // Two watch: one until the session has ended, and one until it is closed.
    const script = `
      import { watchUpload } from "./dist/index.js";
      const options = { baseUrl: ${JSON.stringify(service.url)}, sessionId: "s" };
      const onProgress = ({ transport, storedBytes }) => {
        if (storedBytes > 0) closed.close();
        if (transport === "${transport}") console.log(storedBytes);
      };
      const closed = watchUpload({ ...options, onProgress: () => {} });
      watchUpload({ ...options, onProgress, onEnd: console.log, onError: console.log });
    `;
    await writeFile(join(folder, "watch.js"), script);
    // The flag is of Node.js 20, which has a WebSocket only then.
    const child = spawn(process.execPath, ["--experimental-websocket", "--no-warnings", join(folder, "watch.js")]);
    const ended = once(child, "exit");
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const isFollowed = () => service.sockets.length + service.open.size === 2 || service.requests.length >= 4;
    await expect.poll(isFollowed, { timeout: 20_000 }).toBe(true);
    service.store(50);
    await expect.poll(() => output, { timeout: 10_000 }).toContain("50");
    service.end("finalized", "moc");
    expect(await ended).toEqual([0, null]);
    expect(output.trim().endsWith("moc")).toBe(true);
  } finally {
    await service.stop();
  }
});

test("nothing is needed at run time", async () => {
  const manifest = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8")) as Record<string, unknown>;
  expect(manifest.dependencies).toBeUndefined();
  expect(manifest.peerDependencies).toBeUndefined();
});
