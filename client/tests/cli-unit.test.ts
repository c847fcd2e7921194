/** What of the program needs no service. */

import { mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { frame } from "../cli/bars-screen.js";
import { DiskBlob, openBlob } from "../cli/disk-blob.js";
import { fileArgument } from "../cli/files.js";
import { bytes, duration, percent, printable } from "../cli/format.js";
import { parseCommand } from "../cli/options.js";
import { PacedView } from "../cli/paced-view.js";
import type { FileReport, ProgressReport, Report } from "../cli/report.js";
import { errorReport } from "../cli/report.js";
import { stateFolder, UploadStore } from "../cli/store.js";
import { UploadError } from "../src/index.js";
import { uploadRecords } from "../src/storage.js";
import { noise } from "./support/content.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "moc-uploads-cli-unit-"));
});
afterEach(() => vi.useRealTimers());
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("arguments", () => {
  test("name the category of a file, unless its path begins with a folder", () => {
    expect(fileArgument("castle.pdf")).toEqual({ path: resolve("castle.pdf") });
    expect(fileArgument("thumbnail:a:b.png")).toEqual({ path: resolve("a:b.png"), category: "thumbnail" });
    expect(fileArgument("./thumbnail:a.png")).toEqual({ path: resolve("thumbnail:a.png") });
    expect(fileArgument("cover:a.png")).toEqual({ path: resolve("cover:a.png") });
  });

  test("come before the environment, which comes before the defaults", () => {
    const env = { MOC_TOKEN: " token\n", MOC_BASE_URL: "https://a.example/" };
    const watch = ["watch", "id"];
    expect(parseCommand(watch, {})).toMatchObject({ baseUrl: "http://127.0.0.1:3000", token: undefined });
    expect(parseCommand(watch, env)).toMatchObject({ baseUrl: "https://a.example", token: "token" });
    const options = ["--base-url", "https://b.example", "--token", "other"];
    expect(parseCommand([...watch, ...options], env)).toMatchObject({ baseUrl: "https://b.example", token: "other" });
  });

  test("give lists with commas, or repeated", () => {
    const args = ["upload", "a.pdf", "--title", "x", "--tags", "a, b,", "--tags=c"];
    expect(parseCommand(args, {})).toMatchObject({ metadata: { title: "x", tags: ["a", "b", "c"] } });
  });

  test("replace only the metadata that they name when an upload is resumed", () => {
    const command = parseCommand(["resume", "id", "--title", "x"], {});
    expect(command).toMatchObject({ sessionId: "id", files: [], metadata: { title: "x" } });
    expect(Object.keys("metadata" in command ? command.metadata : {})).toEqual(["title"]);
  });
});

describe("numbers and names", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536 * 1024, "1.5 MiB"],
    [2 ** 31, "2.0 GiB"],
    [2 ** 52, "4096.0 TiB"],
  ])("%d bytes are %s", (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  test.each([
    [0.2, "1 s"],
    [59, "59 s"],
    [61, "1 min 1 s"],
    [7_260, "2 h 1 min"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  test("there are 100 % only when everything is stored", () => {
    expect([percent(999, 1_000), percent(1_000, 1_000), percent(0, 0)]).toEqual([99, 100, 100]);
  });

  test("names cannot move the cursor or change the direction of text", () => {
    expect(printable("a\x1b[2J\nb\u202Egpj.exe")).toBe("a\uFFFD[2J\uFFFDb\uFFFDgpj.exe");
  });

  test("the reason of an error of the connection is the innermost one", () => {
    const cause = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:1") });
    const error = new UploadError("NETWORK_ERROR", "The server could not be reached.", { cause });
    expect(errorReport(error)).toMatchObject({ code: "NETWORK_ERROR", reason: "connect ECONNREFUSED 127.0.0.1:1" });
    expect(errorReport(new Error("x"))).toMatchObject({ code: "CLIENT_ERROR", message: "x", reason: undefined });
  });
});

function fileReport(name: string, file: Partial<FileReport> = {}): FileReport {
  return { name, category: "instruction", state: "waiting", sizeBytes: 1024, sentBytes: 0, storedBytes: 0, ...file };
}

function report(files: FileReport[]): ProgressReport {
  const sum = (field: "sizeBytes" | "storedBytes") => files.reduce((total, file) => total + file[field], 0);
  const [totalBytes, storedBytes] = [sum("sizeBytes"), sum("storedBytes")];
  return { type: "progress", totalBytes, sentBytes: storedBytes, storedBytes, bytesPerSecond: 0, files };
}

describe("bars", () => {
  test("have a line for each file, below each other", () => {
    const files = [
      fileReport("castle.pdf", { state: "uploading", storedBytes: 512 }),
      fileReport("城.csv", { state: "completed", storedBytes: 1024 }),
      fileReport("x.png", { state: "failed" }),
    ];
    expect(frame("Uploading", report(files), 80, 24).split("\n")).toEqual([
      "castle.pdf [===============               ]  50 % 512 B of 1.0 KiB",
      "城.csv     [==============================] done, 1.0 KiB",
      "x.png      [                              ] failed",
      "Uploading: 50 %, 1.5 KiB of 3.0 KiB",
    ]);
    expect(frame("Preparing", undefined, 80, 24)).toBe("Preparing…");
  });

  test.each([20, 40, 60, 300])("fit into a terminal of %d columns", (columns) => {
    const files = [fileReport("a".repeat(255), { storedBytes: 1 }), fileReport("b.pdf")];
    const lines = frame("Uploading", report(files), columns, 24).split("\n");
    expect(lines).toHaveLength(3);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(columns);
  });

  test("are of the files that move if there are more files than rows", () => {
    const files = Array.from({ length: 1_000 }, (_, index) =>
      fileReport(`${index}.pdf`, index % 100 === 50 ? { state: "uploading" } : {}),
    );
    const lines = frame("Uploading", report(files), 80, 8).split("\n");
    expect(lines.map((line) => line.split(" ")[0])).toEqual([
      "50.pdf",
      "150.pdf",
      "250.pdf",
      "350.pdf",
      "450.pdf",
      "Uploading:",
    ]);
  });
});

test("progress is shown once in an interval, and the last one before anything else", () => {
  vi.useFakeTimers();
  const shown: Report[] = [];
  const view = new PacedView({ show: (report) => shown.push(report), close: () => {} }, 100);
  const progress = [1, 2, 3, 4, 5].map((storedBytes) => report([fileReport("x", { storedBytes })]));
  progress.slice(0, 3).forEach((report) => view.show(report));
  expect(shown).toEqual([progress[0]]);
  vi.advanceTimersByTime(100);
  expect(shown).toEqual([progress[0], progress[2]]);
  view.show(progress[3]!);
  view.show(progress[4]!);
  const state = { type: "state", state: "finalizing", sessionId: undefined } as const;
  view.show(state);
  expect(shown.slice(2)).toEqual([progress[3], progress[4], state]);
  view.close();
  view.show(progress[0]!);
  expect(shown).toHaveLength(5);
  expect(vi.getTimerCount()).toBe(0);
});

describe("what is remembered", () => {
  const record = (sessionId: string) => ({
    sessionId,
    title: sessionId,
    createdAt: `2026-11-28T00:00:${sessionId.padStart(2, "0")}Z`,
    expiresAt: "2026-11-29T00:00:00Z",
    metadata: { title: sessionId },
    files: [],
    status: "active" as const,
  });
  const settings = () => ({ baseUrl: "https://a.example", files: [fileArgument("castle.pdf")], checksums: [] });
  const remember = (store: UploadStore, sessionId: string) => {
    const saved = store.create(settings());
    uploadRecords({ storage: saved, baseUrl: "https://a.example" }).put(record(sessionId));
    return saved;
  };
  const idsIn = (store: UploadStore) => store.all().map((saved) => saved.record?.sessionId);

  test("is in XDG_STATE_HOME, if that is an absolute path", () => {
    expect(stateFolder({ XDG_STATE_HOME: "/state" })).toBe("/state/moc-uploads");
    expect(stateFolder({ XDG_STATE_HOME: "state" })).toMatch(/\/\.local\/state\/moc-uploads$/);
    expect(stateFolder({})).toMatch(/\/\.local\/state\/moc-uploads$/);
  });

  test("is read by later processes, the newest first, until it is forgotten", () => {
    const path = join(folder, "read");
    const [one, two] = [remember(new UploadStore(path), "1"), remember(new UploadStore(path), "2")];
    expect(idsIn(new UploadStore(path))).toEqual(["2", "1"]);
    expect(new UploadStore(path).all()[0]!.settings).toEqual(settings());
    one.forget();
    expect(idsIn(new UploadStore(path))).toEqual(["2"]);
    uploadRecords({ storage: two, baseUrl: "https://a.example" }).forget("2");
    expect(idsIn(new UploadStore(path))).toEqual([]);
  });

  test("follows a session that another one replaces", async () => {
    const path = join(folder, "replaced");
    const saved = remember(new UploadStore(path), "1");
    const records = uploadRecords({ storage: saved, baseUrl: "https://a.example" });
    records.forget("1");
    expect(saved.record).toBeUndefined();
    records.put(record("2"));
    expect(idsIn(new UploadStore(path))).toEqual(["2"]);
    expect(await readdir(path)).toHaveLength(1);
  });

  test("is of 50 uploads at most: those that were used last", async () => {
    const path = join(folder, "many");
    const store = new UploadStore(path);
    for (let index = 0; index < 50; index += 1) {
      remember(store, String(index));
    }
    for (const name of await readdir(path)) {
      const content = await readFile(join(path, name), "utf8");
      const isOld = content.includes('\\"sessionId\\":\\"7\\"');
      await utimes(join(path, name), 1, isOld ? 1 : 2);
    }
    remember(store, "50");
    expect(idsIn(store)).toHaveLength(50);
    expect(idsIn(store)).not.toContain("7");
    expect(idsIn(store)).toContain("50");
  });

  test("is skipped if it cannot be read", async () => {
    const path = join(folder, "broken");
    const store = new UploadStore(path);
    remember(store, "1");
    await writeFile(join(path, "a.json"), "{");
    await writeFile(join(path, "b.json"), "null");
    await writeFile(join(path, "c.json"), JSON.stringify({ settings: { baseUrl: 1, files: [], checksums: [] } }));
    await writeFile(join(path, "d.json"), JSON.stringify({ settings: settings() }));
    await writeFile(join(path, "e.json"), " ".repeat(17 * 1024 * 1024));
    await writeFile(join(path, "f.json.tmp"), "{}");
    expect(idsIn(store)).toEqual(["1"]);
  });

  test("is not needed: an error is reported once, and the upload is none that can be resumed", async () => {
    await writeFile(join(folder, "file"), "");
    const saved = new UploadStore(join(folder, "file")).create(settings());
    const errors: Error[] = [];
    saved.onError = (error) => errors.push(error);
    const records = uploadRecords({ storage: saved, baseUrl: "https://a.example" });
    records.put(record("1"));
    records.put(record("1"));
    expect(errors).toHaveLength(1);
    expect(saved.record).toBeUndefined();
  });
});

describe("a file on the disk", () => {
  test("has the slices that a blob in memory has", async () => {
    const path = join(folder, "noise");
    const content = noise(200_000, 3);
    await writeFile(path, content);
    const memory = new Blob([content]);
    const disk = new DiskBlob(path, await stat(path));
    for (const [start, end] of [[], [10], [0, 70_000], [70_000, 150_000], [-5], [10, -10], [9, 3], [199_990, 1e9]]) {
      const [one, other] = [disk.slice(start, end).slice(2), memory.slice(start, end).slice(2)];
      expect(one.size, `${start} to ${end}`).toBe(other.size);
      expect(Buffer.compare(Buffer.from(await one.arrayBuffer()), Buffer.from(await other.arrayBuffer()))).toBe(0);
      expect(Buffer.from(await new Response(one.stream()).arrayBuffer())).toHaveLength(other.size);
    }
  });

  test("is read where it is larger than 4 GiB", async () => {
    const path = join(folder, "large");
    const file = await open(path, "w");
    const at = 5 * 2 ** 30;
    await file.write("castle", at);
    await file.close();
    const blob = await openBlob(path);
    expect(blob.size).toBe(at + 6);
    expect(Buffer.from(await blob.slice(at - 1).arrayBuffer()).toString()).toBe("\0castle");
    await rm(path);
  });

  test("cannot be read once it was changed", async () => {
    for (const isLarge of [false, true]) {
      const path = join(folder, `changed ${isLarge}`);
      await writeFile(path, "castle");
      await utimes(path, 1, 1);
      const blob = isLarge ? new DiskBlob(path, { size: 6, mtimeMs: 1_000 }) : await openBlob(path);
      expect(Buffer.from(await blob.slice(0, 2).arrayBuffer()).toString()).toBe("ca");
      await writeFile(path, "a keep");
      await expect(blob.slice(0, 1).arrayBuffer()).rejects.toThrow();
    }
  });
});
