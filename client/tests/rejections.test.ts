/** What the server, or the client itself, rejects. */

import { openAsBlob } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { findUploads } from "../src/index.js";
import { csv, MIB, noise, pdf, png } from "./support/content.js";
import { type Bench, CREATE, file, latch, memoryStorage, PUT_PART, REGISTER, startBench } from "./support/harness.js";

let bench: Bench;
beforeAll(async () => {
  bench = await startBench({ instruction_max_mb: "1", max_files_per_session: "4" });
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

const PDF = file(pdf(100), "castle.pdf");

test("a file that is too large is named, before anything is sent", async () => {
  const upload = bench.upload({ files: [PDF, file(png(500), "castle.png"), file(pdf(MIB + 1), "large.pdf")] });
  await expect(upload.start()).rejects.toMatchObject({
    code: "FILE_TOO_LARGE",
    status: 413,
    fileName: "large.pdf",
    problem: { limitBytes: MIB },
  });
  expect(upload.progress.files.map(({ state }) => state)).toEqual(["waiting", "waiting", "failed"]);
  expect(bench.proxy.requests).toHaveLength(1);
});

test("a category that does not take the file's type is rejected", async () => {
  const upload = bench.upload({ files: [PDF, { blob: new Blob([png(9)]), name: "a.png", category: "parts-list" }] });
  await expect(upload.start()).rejects.toMatchObject({
    code: "UNSUPPORTED_MEDIA_TYPE",
    status: 415,
    problem: { allowed: expect.arrayContaining(["text/csv"]) },
  });
});

test("what the operating system takes a file for does not matter", async () => {
  const odd = new File([csv(3)], "list.csv", { type: "application/x-tables" });
  const moc = await bench.upload({ files: [PDF, odd] }).start();
  expect(moc.files.map(({ type }) => type).sort()).toEqual(["application/pdf", "text/csv"]);
});

test("an empty file is named", async () => {
  const upload = bench.upload({ files: [PDF, file(new Uint8Array(), "empty.png")] });
  await expect(upload.start()).rejects.toMatchObject({ code: "VALIDATION_ERROR", status: 422, fileName: "empty.png" });
});

test("too many files, and files without an instruction, are nobody's fault alone", async () => {
  const pictures = Array.from({ length: 5 }, (_, index) => file(png(20), `${index}.png`));
  const many = await bench
    .upload({ files: pictures })
    .start()
    .catch((error) => error);
  expect(many).toMatchObject({ code: "FILE_COUNT_EXCEEDED", problem: { limit: 4 } });
  expect(many.fileName).toBeUndefined();
  const pictured = bench.upload({ files: pictures.slice(0, 2) });
  await expect(pictured.start()).rejects.toMatchObject({ code: "INSTRUCTION_FILE_REQUIRED" });
});

test("a kind of file that no MOC has is rejected without asking", async () => {
  const upload = bench.upload({ files: [PDF, file(noise(9, 1), "movie.mp4")] });
  await expect(upload.start()).rejects.toMatchObject({ code: "UNSUPPORTED_FILE", fileName: "movie.mp4" });
  expect(bench.proxy.requests).toEqual([]);
});

test("two files of one name and category are rejected without asking", async () => {
  const upload = bench.upload({ files: [PDF, file(pdf(200), "castle.pdf")] });
  await expect(upload.start()).rejects.toMatchObject({ code: "DUPLICATE_FILE", fileName: "castle.pdf" });
  expect(bench.proxy.requests).toEqual([]);
});

test("a name that macOS has decomposed is the same name", async () => {
  const upload = bench.upload({ files: [file(pdf(100), "ch\u{e2}teau.pdf"), file(pdf(200), "cha\u{302}teau.pdf")] });
  await expect(upload.start()).rejects.toMatchObject({ code: "DUPLICATE_FILE", fileName: "ch\u{e2}teau.pdf" });
  expect(bench.proxy.requests).toEqual([]);
});

test("a file that is not what its name says fails alone, and is sent again", async () => {
  const lying = file(noise(500, 3), "castle.png");
  const upload = bench.upload({ files: [PDF, lying] });
  await expect(upload.start()).rejects.toMatchObject({
    code: "FILE_VALIDATION_FAILED",
    fileName: "castle.png",
    problem: { failures: [{ name: "castle.png", reason: "CONTENT_MISMATCH" }] },
  });
  expect(upload.progress.files.map(({ state }) => state)).toEqual(["completed", "failed"]);
  bench.proxy.reset();
  // It is registered and sent once more: what the server rejected, it does not keep.
  await expect(upload.start()).rejects.toMatchObject({ code: "FILE_VALIDATION_FAILED" });
  expect([bench.proxy.count(CREATE), bench.proxy.count(REGISTER), bench.proxy.count(PUT_PART)]).toEqual([0, 1, 1]);
});

test("a rejected file is taken out, and the others are published", async () => {
  const upload = bench.upload({ files: [PDF, file(noise(500, 3), "castle.png")] });
  await expect(upload.start()).rejects.toMatchObject({ code: "FILE_VALIDATION_FAILED", fileName: "castle.png" });
  bench.proxy.reset();
  upload.removeFile({ category: "image", name: "castle.png" });
  const moc = await upload.start();
  expect(moc.files.map(({ name }) => name)).toEqual(["castle.pdf"]);
  expect([bench.proxy.count(CREATE), bench.proxy.count(REGISTER), bench.proxy.count(PUT_PART)]).toEqual([0, 0, 0]);
});

test("checksums are announced and checked", async () => {
  const files = [PDF, file(csv(1_000), "list.csv")];
  await bench.upload({ files, checksums: ["sha256", "md5"] }).start();
});

test("bytes that change between their checksum and their way are rejected", async () => {
  const [before, after] = [pdf(5_000, 1), pdf(5_000, 2)];
  /** A blob that reads differently once it is sent. */
  class Changing extends Blob {
    isChanged = true;
    override slice(start?: number, end?: number): Blob {
      // The checksum reads a chunk of 1 MiB, parts are of 5 MiB.
      return new Blob([this.isChanged && (end ?? 0) > 2 * MIB ? after : before]).slice(start, end);
    }
  }
  const blob = new Changing([before]);
  const upload = bench.upload({ files: [{ blob, name: "castle.pdf" }], checksums: ["sha256"] });
  await expect(upload.start()).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
    fileName: "castle.pdf",
    problem: { algorithm: "sha-256" },
  });
  blob.isChanged = false;
  const moc = await upload.start();
  expect(Buffer.compare(await bench.object(moc.files[0]!.url), before)).toBe(0);
});

test("a file is never read as a whole", async () => {
  const slices: number[] = [];
  class Counting extends Blob {
    override slice(start?: number, end?: number): Blob {
      const slice = super.slice(start, end);
      slices.push(slice.size);
      return slice;
    }
    override arrayBuffer(): never {
      throw new Error("read as a whole");
    }
    override stream(): never {
      throw new Error("read as a whole");
    }
  }
  const picture = { blob: new Counting([png(9 * MIB)]), name: "castle.png" };
  await bench.upload({ files: [PDF, picture], checksums: ["sha256", "md5"] }).start();
  expect(Math.max(...slices)).toBe(5 * MIB);
  expect(slices.filter((size) => size === MIB)).toHaveLength(9);
});

test("a file that has changed on disk since it was chosen cannot be read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "moc-uploads-"));
  try {
    const path = join(folder, "castle.pdf");
    await writeFile(path, pdf(900_000));
    const blob = await openAsBlob(path);
    const { opened, open } = latch();
    bench.proxy.fail(REGISTER, { hold: opened });
    const upload = bench.upload({ files: [{ blob, name: "castle.pdf" }] });
    const failed = upload.start().catch((error) => error);
    await expect.poll(() => bench.proxy.count(REGISTER)).toBe(1);
    await writeFile(path, pdf(800_000));
    open();
    expect(await failed).toMatchObject({ code: "FILE_UNREADABLE", fileName: "castle.pdf", retryable: false });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a file whose bytes change without notice is not sent in two versions", async () => {
  const [before, after] = [pdf(5_000, 1), pdf(5_000, 2)];
  /** Some browsers read what is in the file now. */
  class Changing extends Blob {
    isChanged = false;
    override slice(start?: number, end?: number): Blob {
      return new Blob([this.isChanged ? after : before]).slice(start, end);
    }
  }
  const blob = new Changing([before]);
  bench.proxy.fail(PUT_PART, { response: { status: 503 } });
  const upload = bench.upload({ files: [{ blob, name: "castle.pdf" }], retry: { attempts: 1 } });
  await expect(upload.start()).rejects.toMatchObject({ status: 503 });
  blob.isChanged = true;
  await expect(upload.start()).rejects.toMatchObject({ code: "FILE_UNREADABLE", fileName: "castle.pdf" });
  expect(bench.proxy.count(PUT_PART)).toBe(1);
});

test("another title can be given once all numbers are taken", async () => {
  const files = [PDF];
  const conflict = {
    status: 409,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify({
      code: "TITLE_CONFLICT",
      detail: "You already have a MOC with this title. Choose another title.",
      retryable: false,
      suggestedSlug: "castle-21",
      retryStrategy: "PROMPT_USER",
    }),
  };
  bench.proxy.fail(/^POST .*\/finalize$/, { response: conflict });
  const storage = memoryStorage();
  const upload = bench.upload({ files, metadata: { title: "Castle" }, storage });
  await expect(upload.start()).rejects.toMatchObject({
    code: "TITLE_CONFLICT",
    problem: { suggestedSlug: "castle-21", retryStrategy: "PROMPT_USER" },
  });
  const moc = await upload.start({ title: "Another castle", theme: "Castle" });
  expect(moc).toMatchObject({ title: "Another castle", theme: "Castle" });
  expect(bench.proxy.count(PUT_PART)).toBe(1);
  expect(findUploads({ storage, baseUrl: bench.proxy.url })).toMatchObject([{ title: "Another castle" }]);
});
