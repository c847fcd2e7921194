/** The program, in processes of its own. */

import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { DiskBlob } from "../cli/disk-blob.js";
import { createApi, type WatchTransport } from "../src/index.js";
import { type Cli, type CliProcess, startCli } from "./support/cli.js";
import { csv, MIB, pdf, png } from "./support/content.js";
import { BATCH, type Bench, CANCEL, CREATE, file, latch, PUT_PART, startBench } from "./support/harness.js";
import { accessToken } from "./support/token.js";
import { WatchedService } from "./support/watched-service.js";

const SECRET = "a-secret-of-these-tests-and-of-nothing-else";
const ID = /^[0-9a-f-]{36}$/;
const TIMEOUT = { timeout: 15_000 };

let bench: Bench;
let cli: Cli;
beforeAll(async () => {
  bench = await startBench({ jwt_secret: SECRET });
  cli = await startCli(bench.proxy.url);
  await cli.write("castle.pdf", pdf(17 * MIB));
  await cli.write("parts.csv", csv(10));
  await cli.write("cover.png", png(1_000));
  await cli.write("shed.pdf", pdf(1_000));
});
const MOC_TOKEN = () => ({ MOC_TOKEN: accessToken(SECRET) });
let titles = 0;
let title: string;
beforeEach(async () => {
  await rm(cli.state, { recursive: true, force: true });
  title = `Tower ${(titles += 1)}`;
});
afterEach(() => bench.proxy.reset());
afterAll(async () => {
  await bench?.stop();
  await cli?.remove();
});

const run = (args: string[], env: NodeJS.ProcessEnv = {}) => cli.run(args, { ...MOC_TOKEN(), ...env });
const upload = (...args: string[]) => run(["upload", "castle.pdf", "--title", title, ...args]);
const api = () => createApi({ baseUrl: bench.stack.baseUrl, token: () => accessToken(SECRET) });

async function ended(process: CliProcess) {
  const status = await process.status;
  return { status, stdout: process.stdout(), stderr: process.stderr() };
}

/** Holds the parts from the third one on. */
function holdParts() {
  const { opened, open } = latch();
  bench.proxy.fail(/^PUT .*\/parts\/[34]$/, { hold: opened }, 2);
  return open;
}

/** Starts an upload and interrupts it after two parts of four; gives its session. */
async function interrupted(...args: string[]): Promise<string> {
  holdParts();
  const uploading = upload("--json", ...args);
  await expect.poll(() => uploading.lines().at(-1)?.storedBytes, TIMEOUT).toBeGreaterThanOrEqual(10 * MIB);
  uploading.kill("SIGINT");
  expect(await uploading.status).toBe(130);
  bench.proxy.reset();
  return uploading.lines().at(-1).resume;
}

describe("upload", () => {
  test("writes lines for people to standard error, and the id of the MOC to standard output", async () => {
    const args = ["thumbnail:cover.png", "parts.csv", "--tags", "castle, grey", "--description", "Old", "--theme", "x"];
    const { status, stdout, stderr } = await ended(upload(...args));
    expect([status, stderr]).toEqual([0, expect.stringContaining(`Published “${title}”`)]);
    expect(stderr).toContain("Preparing…\n");
    expect(stderr).toContain("castle.pdf: uploaded, 17.0 MiB\n");
    expect(stderr).toMatch(/^100 %, 17\.0 MiB of 17\.0 MiB/m);
    expect(stdout.trim()).toMatch(ID);
    const moc = await api().getMoc(stdout.trim());
    expect(moc).toMatchObject({ title, description: "Old", tags: ["castle", "grey"], theme: "x" });
    expect(moc.files.map(({ name, category }) => [category, name])).toEqual(
      expect.arrayContaining([
        ["instruction", "castle.pdf"],
        ["thumbnail", "cover.png"],
        ["parts-list", "parts.csv"],
      ]),
    );
    const castle = moc.files.find(({ name }) => name === "castle.pdf");
    expect(Buffer.compare(await bench.object(castle!.url), pdf(17 * MIB))).toBe(0);
    expect(await readdir(cli.state)).toEqual([]);
  });

  test("draws bars on a terminal, and leaves it with its cursor", async () => {
    const process = cli.runInTerminal(["upload", "castle.pdf", "--title", title], MOC_TOKEN());
    expect(await process.status).toBe(0);
    const screen = process.stdout();
    expect(screen).toContain("castle.pdf [                              ]   0 % 0 B of 17.0 MiB");
    expect(screen).toContain(`castle.pdf [${"=".repeat(30)}] done, 17.0 MiB`);
    expect(screen).toContain("Publishing: 100 %");
    expect(screen.lastIndexOf("\x1b[?25h")).toBeGreaterThan(screen.lastIndexOf("\x1b[?25l"));
  });

  test.each(["CI", "NO_COLOR"])("draws no bars where %s is set", async (name) => {
    const process = cli.runInTerminal(["upload", "shed.pdf", "--title", title], { ...MOC_TOKEN(), [name]: "1" });
    expect(await process.status).toBe(0);
    expect(process.stdout()).toContain("shed.pdf: uploaded");
    expect(process.stdout()).not.toContain("\x1b");
  });

  test("writes a JSON object a line", async () => {
    const uploading = upload("--json", "--checksums", "sha256,md5");
    const { status, stderr } = await ended(uploading);
    expect([status, stderr]).toEqual([0, ""]);
    const lines = uploading.lines();
    const states = lines.filter(({ type }) => type === "state").map(({ state }) => state);
    expect(states).toEqual(["preparing", "uploading", "finalizing", "finalized"]);
    const progress = lines.filter(({ type }) => type === "progress");
    expect(progress.at(-1)).toMatchObject({
      totalBytes: 17 * MIB,
      storedBytes: 17 * MIB,
      files: [{ name: "castle.pdf", category: "instruction", state: "completed", sizeBytes: 17 * MIB }],
    });
    const last = lines.at(-1);
    expect(last).toMatchObject({ type: "published", moc: { title, status: "published" } });
    expect(last.mocId).toBe(last.moc.id);
  });

  test("continues without a folder to remember it in, and says so", async () => {
    const env = { XDG_STATE_HOME: join(cli.folder, "castle.pdf") };
    const { status, stderr } = await ended(run(["upload", "shed.pdf", "--title", title], env));
    expect([status, stderr]).toEqual([0, expect.stringContaining("Warning: The upload cannot be resumed later: ")]);
  });

  test("fails if a file is missing, is a folder, or is of no kind that a MOC can have", async () => {
    await cli.write("castle.exe", pdf(10));
    for (const [name, reason] of [
      ["keep.pdf", "no such file"],
      [cli.folder, "is not a regular file"],
      ["castle.exe", "UNSUPPORTED_FILE"],
    ] as const) {
      const { status, stdout, stderr } = await ended(run(["upload", name, "--title", title]));
      expect([status, stdout, stderr]).toEqual([1, "", expect.stringContaining(reason)]);
      expect(stderr).not.toContain("Resume with");
    }
    expect(bench.proxy.count(CREATE)).toBe(0);
  });

  test("names the file that the server rejects, whose repaired version can be uploaded instead", async () => {
    await cli.write("keep.pdf", csv(10));
    const rejected = await ended(run(["upload", "keep.pdf", "castle.pdf", "--title", title]));
    expect(rejected.status).toBe(1);
    expect(rejected.stderr).toContain("moc-uploads: keep.pdf: ");
    const [, sessionId = ""] = /Resume with: moc-uploads resume (\S+)/.exec(rejected.stderr) ?? [];
    await cli.write("keep.pdf", pdf(1_000));
    const { status, stderr } = await ended(run(["resume", sessionId, "--title", `${title} again`]));
    expect([status, stderr]).toEqual([0, expect.stringContaining(`Published “${title} again”`)]);
  });

  test("says which metadata are wrong, and sends nothing again with others", async () => {
    const rejected = await ended(run(["upload", "shed.pdf", "--title", "x".repeat(101)]));
    expect(rejected.status).toBe(1);
    expect(rejected.stderr).toMatch(/\(VALIDATION_ERROR, request .+\)\ntitle: .*100/);
    const { status } = await ended(run(["resume", "--title", title]));
    expect([status, bench.proxy.count(PUT_PART)]).toEqual([0, 1]);
  });

  test("sends files that are larger than what Node.js has as a blob", async () => {
    const path = join(cli.folder, "castle.pdf");
    const blob = new DiskBlob(path, await stat(path));
    const input = { blob, name: "castle.pdf" };
    const moc = await bench.upload({ files: [input], token: () => accessToken(SECRET), checksums: ["md5"] }).start();
    expect(Buffer.compare(await bench.object(moc.files[0]!.url), pdf(17 * MIB))).toBe(0);
  });
});

describe("an interrupted upload", () => {
  test("is remembered for its user alone, and resumed without what the server has", async () => {
    const sessionId = await interrupted("parts.csv");
    const [name, ...others] = await readdir(cli.state);
    expect(others).toEqual([]);
    expect((await stat(cli.state)).mode & 0o777).toBe(0o700);
    expect((await stat(join(cli.state, name!))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(cli.state, name!), "utf8")).not.toContain(MOC_TOKEN().MOC_TOKEN);

    const listing = await ended(run(["list"]));
    expect(listing).toMatchObject({ status: 0, stderr: "" });
    expect(listing.stdout).toContain(`${sessionId}  ${title}  castle.pdf and 1 more (17.0 MiB)  ${bench.proxy.url}  `);
    const json = run(["list", "--json"]);
    expect(await json.status).toBe(0);
    const path = join(cli.folder, "castle.pdf");
    expect(json.lines()).toMatchObject([{ type: "upload", sessionId, title, files: [{ path }, {}] }]);

    const { status, stdout } = await ended(run(["resume"]));
    expect([status, stdout.trim()]).toEqual([0, expect.stringMatching(ID)]);
    expect((await api().getMoc(stdout.trim())).sessionId).toBe(sessionId);
    // The two parts that were held, together.
    expect(bench.proxy.count(PUT_PART)).toBe(0);
    expect(bench.proxy.matching(BATCH).map(({ bodyBytes }) => Math.floor(bodyBytes / MIB))).toEqual([7]);
    expect(await ended(run(["list"]))).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("says how to resume it when Ctrl-C is pressed", async () => {
    const open = holdParts();
    const process = cli.runInTerminal(["upload", "castle.pdf", "--title", title], MOC_TOKEN());
    await expect.poll(() => process.stdout(), TIMEOUT).toContain("58 % 10.0 MiB of 17.0 MiB");
    process.type("\x03");
    expect(await process.status).toBe(130);
    expect(process.stdout()).toContain("Interrupted. What has been uploaded is kept.");
    const [, sessionId = ""] = /Resume with: moc-uploads resume (\S+)/.exec(process.stdout()) ?? [];
    open();
    bench.proxy.reset();
    const resumed = await ended(run(["resume", sessionId]));
    expect([resumed.status, resumed.stderr]).toEqual([0, expect.stringContaining(`Published “${title}”`)]);
  });

  test("is resumed with files that have moved", async () => {
    const sessionId = await interrupted();
    const path = join(cli.folder, "moved");
    const elsewhere = await ended(run(["resume", sessionId, path]));
    expect([elsewhere.status, elsewhere.stderr]).toEqual([1, expect.stringContaining("no such file")]);
    expect(elsewhere.stderr).toContain(`Resume with: moc-uploads resume ${sessionId}`);
    const other = await ended(run(["resume", sessionId, "parts.csv"]));
    expect([other.status, other.stderr]).toEqual([1, expect.stringContaining("FILE_MISMATCH")]);
    expect((await ended(run(["resume", sessionId, join(cli.folder, "castle.pdf")]))).status).toBe(0);
  });

  test("has nothing to resume if its session did not exist yet", async () => {
    const { opened, open } = latch();
    bench.proxy.fail(CREATE, { hold: opened });
    const process = upload();
    await expect.poll(() => bench.proxy.count(CREATE), TIMEOUT).toBe(1);
    process.kill("SIGTERM");
    const { status, stderr } = await ended(process);
    open();
    expect([status, stderr]).toEqual([143, "Preparing…\nInterrupted.\n"]);
    const resumed = await ended(run(["resume"]));
    expect(resumed).toMatchObject({ status: 1, stderr: expect.stringContaining("has no interrupted upload") });
  });

  test("can be cancelled", async () => {
    const sessionId = await interrupted();
    bench.proxy.fail(CANCEL, { response: { status: 401 } });
    const failed = await ended(run(["cancel", sessionId]));
    expect([failed.status, failed.stderr]).toEqual([1, expect.stringContaining("UNEXPECTED_RESPONSE")]);
    const { status, stderr } = await ended(run(["cancel", sessionId]));
    expect([status, stderr]).toEqual([0, `Cancelled ${sessionId}.\n`]);
    expect((await api().getSession(sessionId)).status).toBe("cancelled");
    expect((await ended(run(["list"]))).stdout).toBe("");
  });

  test("has to be named if there are several", async () => {
    await interrupted();
    await interrupted();
    const { status, stderr } = await ended(run(["resume"]));
    expect([status, stderr]).toEqual([2, expect.stringContaining("There are 2 interrupted uploads.")]);
  });
});

describe("watch", () => {
  async function started() {
    const open = holdParts();
    const token = () => accessToken(SECRET);
    const uploading = bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")], metadata: { title }, token });
    const done = uploading.start();
    await expect.poll(() => uploading.progress.storedBytes, TIMEOUT).toBe(10 * MIB);
    return { open, done, sessionId: uploading.sessionId! };
  }

  test("follows an upload of another process until it is published", async () => {
    const { open, done, sessionId } = await started();
    const [json, text] = [run(["watch", sessionId, "--json"]), run(["watch", sessionId])];
    const terminal = cli.runInTerminal(["watch", sessionId], MOC_TOKEN());
    await expect
      .poll(() => json.lines(), TIMEOUT)
      .toContainEqual(expect.objectContaining({ type: "progress", storedBytes: 10 * MIB }));
    await expect.poll(() => text.stderr(), TIMEOUT).toContain("58 %, 10.0 MiB of 17.0 MiB");
    await expect.poll(() => terminal.stdout(), TIMEOUT).toContain("58 % 10.0 MiB of 17.0 MiB");
    open();
    const { id } = await done;
    expect(await ended(text)).toMatchObject({ status: 0, stdout: `${id}\n` });
    expect([await json.status, await terminal.status]).toEqual([0, 0]);
    expect(json.lines().at(-1)).toEqual({ type: "published", mocId: id });
    expect(terminal.stdout()).toContain(id);
  });

  test.each<[WatchTransport, Partial<WatchedService>]>([
    ["websocket", { webSockets: "open" }],
    ["server-sent-events", {}],
    ["polling", { hasEventsUrl: false }],
  ])("follows by %s", async (transport, given) => {
    const service = await WatchedService.start();
    try {
      Object.assign(service, given);
      const watching = run(["watch", "s", "--json", "--base-url", service.url]);
      const seen = () => watching.lines().filter(({ type }) => type === "progress");
      // More is stored until it comes by this way, because the first progress comes by a request.
      await expect
        .poll(() => {
          service.store(Math.min(service.session.bytesCompleted + 1, 99));
          return seen().at(-1)?.transport;
        }, TIMEOUT)
        .toBe(transport);
      service.store(100);
      service.end("finalized", "m");
      expect(await watching.status).toBe(0);
      expect(seen().at(-1)).toMatchObject({ storedBytes: 100, files: [{ state: "completed" }] });
      expect(watching.lines().at(-1)).toEqual({ type: "published", mocId: "m" });
    } finally {
      await service.stop();
    }
  });

  test("is interrupted without consequences for the upload", async () => {
    const { open, done, sessionId } = await started();
    const watching = run(["watch", sessionId]);
    await expect.poll(() => watching.stderr(), TIMEOUT).toContain("58 %");
    watching.kill("SIGINT");
    const { status, stderr } = await ended(watching);
    expect([status, stderr]).toEqual([130, expect.stringContaining("Stopped watching.")]);
    open();
    expect((await done).title).toBe(title);
  });

  test("ends as if by SIGPIPE if nobody reads it", async () => {
    const { open, done, sessionId } = await started();
    const watching = run(["watch", sessionId, "--json"]);
    await expect.poll(() => watching.stdout(), TIMEOUT).not.toBe("");
    watching.closeStdout();
    open();
    expect(await watching.status).toBe(141);
    await done;
  });

  test("fails if the upload has ended without a MOC", async () => {
    const declared = { category: "instruction", name: "castle.pdf", size: 1, type: "" } as const;
    const { sessionId } = await api().createSession({ files: [declared] });
    await api().cancelSession(sessionId);
    const { status, stdout, stderr } = await ended(run(["watch", sessionId]));
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringContaining("The upload was cancelled.")]);
  });

  test("fails if there is no such session", async () => {
    const process = run(["watch", "01941f29-7c00-7000-8000-000000000001", "--json"]);
    expect(await process.status).toBe(1);
    expect(process.lines()).toMatchObject([{ type: "error", code: "NOT_FOUND", status: 404 }]);
  });
});

describe("a service", () => {
  test.each([
    ["upload", "castle.pdf", "--title", "x"],
    ["watch", "x"],
  ])("that is unreachable: %s fails", async (...args) => {
    const { status, stdout, stderr } = await ended(run([...args, "--attempts", "2"], { MOC_BASE_URL: unused() }));
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("The server could not be reached. (NETWORK_ERROR, connect ECONNREFUSED");
    expect(stderr).not.toContain("Resume with");
  });

  test.each([
    ["upload", "castle.pdf", "--title", "x"],
    ["watch", "01941f29-7c00-7000-8000-000000000001"],
  ])("that rejects the token: %s fails, and says what to set", async (...args) => {
    for (const token of ["", accessToken("another secret"), accessToken(SECRET, "dev-user", -120)]) {
      const { status, stdout, stderr } = await ended(run(args, { MOC_TOKEN: token }));
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toContain("(UNAUTHORIZED, request ");
      expect(stderr).toContain("Set MOC_TOKEN to an access token that is valid now.");
    }
  });

  test("takes the token and the URL from options first", async () => {
    const options = ["--token", accessToken(SECRET), "--base-url", `${bench.proxy.url}/`];
    const env = { MOC_TOKEN: "wrong", MOC_BASE_URL: unused() };
    expect((await ended(run(["upload", "shed.pdf", "--title", title, ...options], env))).status).toBe(0);
  });
});

/** A URL where nothing listens: no program may have the port 1023 but with rights that tests lack. */
function unused(): string {
  return "http://127.0.0.1:1023";
}

test.each([
  [[], "A command is missing."],
  [["download"], "There is no command 'download'."],
  [["upload", "--title", "x"], "`upload` needs at least one file."],
  [["upload", "castle.pdf"], "`upload` needs a --title."],
  [["upload", "castle.pdf", "--titel", "x"], "Unknown option '--titel'"],
  [["upload", "castle.pdf", "--title", "x", "--base-url", "ftp://host"], "must be an http or https URL"],
  [["upload", "castle.pdf", "--title", "x", "--concurrency", "17"], "--concurrency must be a number from 1 to 16"],
  [["upload", "castle.pdf", "--title", "x", "--checksums", "crc"], "--checksums must be sha256, md5 or both"],
  [["watch"], "Exactly one SESSION_ID is needed."],
  [["list", "x"], "`list` takes no arguments"],
])("wrong arguments have the exit status 2: %j", async (args, message) => {
  const { status, stdout, stderr } = await ended(run(args));
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(`moc-uploads: ${message.startsWith("must") ? "The base URL " : ""}${message}`);
  expect(stderr).toContain("See `moc-uploads --help`.");
});

test("it has help and a version", async () => {
  expect(await ended(run(["--help"]))).toMatchObject({ status: 0, stdout: expect.stringContaining("Usage:") });
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  expect(await ended(run(["--version"]))).toMatchObject({ status: 0, stdout: `${manifest.version}\n` });
  expect(manifest.bin).toEqual({ "moc-uploads": "dist/cli.js" });
});
