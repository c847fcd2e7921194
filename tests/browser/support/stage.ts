import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { MIB } from "../../../client/tests/support/content.ts";
import { FaultProxy } from "../../../client/tests/support/fault-proxy.ts";
import { type Stack, startStack } from "../../../client/tests/support/stack.ts";
import { artefact } from "./artefacts.ts";
import { type TestFile, TestFiles } from "./files.ts";
import { Front, type FrontKind } from "./front.ts";
import { Hold } from "./hold.ts";
import { UploadPage } from "./upload-page.ts";
import { Watch } from "./watch.ts";

/** Node has no SQLite of its own before version 22. */
const EXPIRE_SESSIONS = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("UPDATE sessions SET expires_at = created_at - 1")
`;

/** Parts 3 and 4, straight to the bucket. */
const DIRECT_REST = /^PUT .*[?&]partNumber=[34](?:&|$)/;

/** What a stage may have besides. */
export interface Props {
  /** A scripted network between everyone and the bucket, too; then the bucket has the CORS rules of {@link Stage.cors}. */
  bucketProxy?: boolean;
  /** The broadcaster that everyone reaches the application through, in place of the local host's. */
  front?: FrontKind;
}

/** Gives the tests of a file a stage with these variables of the application, and looks after each at what it left. */
export function useStage(variables: Record<string, string> = {}, props: Props = {}): Stage {
  const stage = new Stage();
  beforeAll(() => stage.open(variables, props));
  beforeEach(() => {
    stage.proxy.reset();
    stage.bucket?.reset();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await stage.photograph(task.name);
    expect(await stage.leave(), "in the browser's console, and among the page's requests").toEqual([]);
  });
  afterAll(() => stage.close());
  return stage;
}

/** Where a page is opened. */
interface Visit {
  context?: BrowserContext;
  path?: string;
  origin?: string;
  /** Messages of the console that the test is about from the beginning. */
  expected?: RegExp;
}

/** A stack, a browser, and between them a scripted network. */
export class Stage {
  proxy!: FaultProxy;
  /** The network before the bucket, where there is one. */
  bucket: FaultProxy | undefined;
  files!: TestFiles;
  #stack!: Stack;
  #front: Front | undefined;
  #browser!: Browser;
  #visits: UploadPage[] = [];

  async open(variables: Record<string, string>, { bucketProxy = false, front: kind }: Props): Promise<void> {
    this.files = new TestFiles(mkdtempSync(join(tmpdir(), "moc-uploads-files-")));
    const front = async (s3Url: string) => {
      this.bucket = await FaultProxy.start(s3Url);
      return this.bucket.url;
    };
    this.#front = kind && (await Front.reserve(kind));
    this.#stack = await startStack({ ...this.#front?.variables, ...variables }, bucketProxy ? front : undefined);
    this.proxy = await FaultProxy.start(this.#stack.baseUrl);
    await this.#front?.serve(this.proxy.url);
    this.#browser = await chromium.launch({
      executablePath: process.env.MOC_CHROMIUM || "/usr/bin/chromium",
      // Chromium's sandbox does not run as root.
      chromiumSandbox: process.getuid?.() !== 0,
    });
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.#front?.stop();
    await this.proxy?.stop();
    await this.#stack?.stop();
    await this.bucket?.stop();
    rmSync(this.files.folder, { recursive: true, force: true });
  }

  /** Where the page is. */
  get origin(): string {
    return this.#front?.origin ?? this.proxy.url;
  }

  /** Where the application itself is, without a network before it. */
  get applicationOrigin(): string {
    return this.#stack.baseUrl;
  }

  get bucketOrigin(): string {
    return this.#stack.s3Url;
  }

  get broadcasterOrigin(): string {
    return this.#front?.origin.replace("http://", "ws://") ?? this.#stack.broadcasterUrl;
  }

  /** Opens the page for somebody new, or in another tab where there is a context. */
  async visit({ context, path = "/", origin = this.origin, expected }: Visit = {}): Promise<UploadPage> {
    const page = await (context ?? (await this.#browser.newContext())).newPage();
    const watch = new Watch(page, new Set([origin, this.bucketOrigin, this.broadcasterOrigin]));
    if (expected) watch.expect(expected);
    const visit = new UploadPage(page, watch);
    this.#visits.push(visit);
    await visit.record();
    await page.goto(origin + path);
    return visit;
  }

  /** Closes all pages; gives what their watches have found. */
  async leave(): Promise<string[]> {
    const visits = this.#visits.splice(0);
    for (const { page } of visits) await page.context().close();
    return visits.flatMap(({ watch }) => watch.found);
  }

  /** Gives the bucket a CORS rule for the page, until the next test: with these headers in `ExposeHeaders`. */
  cors({ exposes }: { exposes: string }): void {
    const preflight = { "access-control-allow-methods": "PUT" };
    this.bucket?.fail(/^OPTIONS /, { response: { status: 200, headers: preflight } }, Infinity);
    const headers = { "access-control-allow-origin": this.origin, "access-control-expose-headers": exposes };
    Object.assign(this.bucket?.headers ?? {}, headers);
  }

  /** Holds what the browser sends of this kind, for example `/^PUT .*\/parts\/2$/`. */
  hold(matches: RegExp): Hold {
    return new Hold(this.proxy, matches);
  }

  /**
   * Brings an upload of one file of 16 MiB to its middle: of its four parts the first two are stored, which is 62 %,
   * and `rest` has the others.
   */
  async halfway(title: string): Promise<{ page: UploadPage; file: TestFile; rest: Hold }> {
    const file = this.files.pdf(`${title.toLowerCase()}.pdf`, 16 * MIB);
    const rest = this.bucket ? new Hold(this.bucket, DIRECT_REST) : this.hold(/^PUT .*\/parts\/[34]$/);
    const page = await this.visit();
    await page.upload(title, file);
    await rest.has(2);
    await page.shows("All files", 62);
    return { page, file, rest };
  }

  /** How many bytes of parts have come, from the request of this index on. */
  bytesOfParts(from: number): number {
    const parts = this.proxy.requests.slice(from).filter(({ path }) => path.includes("/parts/"));
    return parts.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  }

  /** The objects in the bucket, by the last step of their keys. */
  objects(): { name: string; bytes: Buffer }[] {
    const bucket = join(this.#stack.stateDir, "s3", "moc-uploads");
    return readdirSync(bucket, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => ({ name, bytes: readFileSync(join(parentPath, name)) }));
  }

  /** Whether the bucket has this file, byte for byte. */
  stored(file: TestFile): boolean {
    return this.objects().some(({ name, bytes }) => name === file.name && bytes.equals(file.bytes));
  }

  /** How many files the bucket's server keeps of multipart uploads that are neither completed nor aborted. */
  remnants(): number {
    return readdirSync(join(this.#stack.stateDir, "s3")).filter((name) => name.startsWith(".upload")).length;
  }

  /** Lets the time of all sessions be over. */
  expireSessions(): void {
    const database = join(this.#stack.stateDir, "sqlite", "default.db");
    execFileSync("python3", ["-c", EXPIRE_SESSIONS, database]);
  }

  /** Keeps pictures of all pages as a test has left them. */
  async photograph(test: string): Promise<void> {
    const name = test.replace(/\W+/g, "-").slice(0, 80);
    for (const [index, { page }] of this.#visits.entries()) {
      const path = artefact(`failures/${name}-${index + 1}.png`);
      // A page that has crashed has no picture; the test has failed already.
      await page.screenshot({ path, fullPage: true }).catch(() => {});
    }
  }
}
