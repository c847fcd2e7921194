/** Uploads that go well. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { findUploads, type Moc } from "../src/index.js";
import { csv, MIB, pdf, png } from "./support/content.js";
import { BATCH, type Bench, COMPLETE, file, memoryStorage, PUT_PART, REGISTER, startBench } from "./support/harness.js";
import { locatedJpeg, SECRET } from "./support/located.js";

let bench: Bench;
beforeAll(async () => {
  bench = await startBench();
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

test("two files of 12 MiB arrive byte for byte, in parts", async () => {
  const files = [file(pdf(12 * MIB), "castle.pdf"), file(png(7 * MIB), "castle.png")];
  const upload = bench.upload({ files, metadata: { title: "Two files", tags: ["grey"], description: "A castle." } });
  const states: string[] = [upload.state];
  upload.on("state", (state) => states.push(state));
  const stored: number[] = [];
  upload.on("progress", ({ storedBytes }) => stored.push(storedBytes));

  const moc = await upload.start();

  expect(states).toEqual(["idle", "preparing", "uploading", "finalizing", "finalized"]);
  expect(moc).toMatchObject({ title: "Two files", tags: ["grey"], description: "A castle.", totalSizeBytes: 19 * MIB });
  expect(moc.files.map(({ name, category }) => [name, category]).sort()).toEqual([
    ["castle.pdf", "instruction"],
    ["castle.png", "image"],
  ]);
  for (const sent of files) {
    const { url } = moc.files.find(({ name }) => name === sent.name)!;
    expect(Buffer.compare(await bench.object(url), Buffer.from(await sent.arrayBuffer()))).toBe(0);
  }
  expect(stored).toEqual([...stored].sort((one, other) => one - other));
  expect(stored.at(-1)).toBe(19 * MIB);
  expect(upload.moc).toBe(moc);
  expect(upload.progress).toMatchObject({ sentBytes: 19 * MIB, storedBytes: 19 * MIB, totalBytes: 19 * MIB });
  expect(upload.progress.files.map(({ state }) => state)).toEqual(["completed", "completed"]);
  expect(await upload.start()).toBe(moc);
});

test("one part goes alone, two and three go as a batch, four go apart, four at once", async () => {
  const files = [
    file(pdf(17 * MIB), "four.pdf"),
    file(png(6 * MIB), "two.png"),
    file(csv(10), "one.csv"),
    file(pdf(11 * MIB), "three.pdf"),
  ];
  await bench.upload({ files }).start();
  expect(bench.proxy.count(BATCH)).toBe(2);
  expect(bench.proxy.count(PUT_PART)).toBe(5);
  // Small files first.
  expect(bench.proxy.matching(REGISTER)).toHaveLength(4);
  expect(bench.proxy.matching(COMPLETE)).toHaveLength(4);
});

test("no more parts are under way than are wished for", async () => {
  const under = { way: 0, most: 0 };
  const counting: typeof fetch = async (url, init) => {
    const isPart = init?.method === "PUT";
    under.way += isPart ? 1 : 0;
    under.most = Math.max(under.most, under.way);
    try {
      return await fetch(url, init);
    } finally {
      under.way -= isPart ? 1 : 0;
    }
  };
  const files = [file(pdf(21 * MIB), "one.pdf"), file(pdf(21 * MIB, 7), "other.pdf")];
  await bench.upload({ files, concurrency: 3, fetch: counting }).start();
  expect(under.most).toBe(3);
});

test("any list of files will do, and is read at once: that of an input field empties when the field does", async () => {
  const chosen = new Set([file(pdf(100), "castle.pdf"), file(png(100), "castle.png")]);
  const upload = bench.upload({ files: chosen });
  chosen.clear();
  expect((await upload.start()).files).toHaveLength(2);
});

test.each([Infinity, Number.NaN, 0, 2.5])("%d parts at once are as many as is sensible", async (concurrency) => {
  await bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")], concurrency }).start();
});

test("many requests at once look like no leak to Node", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on("warning", warned);
  try {
    const pictures = Array.from({ length: 15 }, (_, index) => file(png(100), `${index}.png`));
    await bench.upload({ files: [file(pdf(100), "castle.pdf"), ...pictures], concurrency: 16 }).start();
  } finally {
    process.off("warning", warned);
  }
  expect(warnings).toEqual([]);
});

test("what was published is remembered, until it is forgotten", async () => {
  const storage = memoryStorage();
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")], storage });
  const moc = await upload.start();
  const found = findUploads({ storage, baseUrl: bench.proxy.url });
  expect(found).toMatchObject([
    { sessionId: moc.sessionId, title: moc.title, status: "finalized", mocId: moc.id, files: [{ name: "castle.pdf" }] },
  ]);
  expect(findUploads({ storage, baseUrl: "http://elsewhere.example" })).toEqual([]);
});

test("a listener that throws breaks nothing", async () => {
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")] });
  const reported: unknown[] = [];
  const report = console.error;
  console.error = (error) => reported.push(error);
  try {
    upload.on("state", () => {
      throw new Error("in a listener");
    });
    await upload.start();
  } finally {
    console.error = report;
  }
  expect(reported).toHaveLength(4);
});

test("text that was truncated inside an emoji is sent well-formed, in every field", async () => {
  const half = "🏰".slice(0, 1);
  const metadata = { title: `Keep ${half}`, description: half, tags: [`wall ${half}`, "🏰"], theme: half };
  const storage = memoryStorage();
  const files = [file(pdf(100), `castle${half}.pdf`)];
  const upload = bench.upload({ files, metadata, storage });
  const moc = await upload.start();
  expect(moc).toMatchObject({
    title: "Keep \ufffd",
    description: "\ufffd",
    tags: ["wall \ufffd", "🏰"],
    theme: "\ufffd",
    files: [{ name: "castle\ufffd.pdf" }],
  });
  const [record] = findUploads({ storage, baseUrl: bench.proxy.url });
  expect(await bench.upload({ ...record!, files, storage }).start()).toMatchObject({ id: moc.id, idempotent: true });
});

test("pictures are sent as they are, or without their location where that is asked for", async () => {
  const picture = locatedJpeg("turned.jpg", 6);
  const files = [file(pdf(100), "castle.pdf"), file(picture, "castle.jpg")];
  const urlOf = (moc: Moc) => moc.files.find(({ name }) => name === "castle.jpg")!.url;
  const asIs = await bench.object(urlOf(await bench.upload({ files }).start()));
  expect(Buffer.compare(asIs, picture)).toBe(0);

  const upload = bench.upload({ files, removeLocation: true, checksums: ["sha256", "md5"] });
  const moc = await upload.start();
  const sent = Buffer.from(await bench.object(urlOf(moc)));
  expect(sent.includes(SECRET)).toBe(false);
  expect(sent.length).toBeLessThan(picture.length);
  expect(moc.totalSizeBytes).toBe(100 + sent.length);
  expect(upload.progress.totalBytes).toBe(moc.totalSizeBytes);
});

test("a title that is taken gets a number, where the server leaves that to the client", async () => {
  const files = [file(pdf(100), "castle.pdf")];
  const titles = ["The keep", "The keep", "The keep"];
  const made = [];
  for (const title of titles) {
    made.push(await bench.upload({ files, metadata: { title } }).start());
  }
  expect(made.map(({ title, slug }) => [title, slug])).toEqual([
    ["The keep", "the-keep"],
    ["The keep 2", "the-keep-2"],
    ["The keep 3", "the-keep-3"],
  ]);
});
