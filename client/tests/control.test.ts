/** Pausing, cancelling, and continuing later. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { createApi, findUploads, forgetUpload, type Moc, type Upload, type UploadOptions } from "../src/index.js";
import { csv, MIB, pdf, png } from "./support/content.js";
import {
  BATCH,
  type Bench,
  CANCEL,
  COMPLETE,
  CREATE,
  file,
  GET_SESSION,
  LIST_PARTS,
  latch,
  memoryStorage,
  PUT_PART,
  REGISTER,
  reached,
  startBench,
} from "./support/harness.js";
import { locatedJpeg, SECRET } from "./support/located.js";

let bench: Bench;
let seeded: Record<string, string>;
beforeAll(async () => {
  bench = await startBench();
  await createApi({ baseUrl: bench.stack.baseUrl })
    .getMoc("none")
    .catch(() => {});
  seeded = await bench.stack.seed();
});
afterEach(() => bench.proxy.reset());
afterAll(() => bench?.stop());

const LARGE = pdf(32 * MIB);
const FROM_THIRD_PART = /^PUT .*\/parts\/[3-7]$/;

/** Starts an upload of seven parts, of which two get through; the others wait in the proxy. */
async function halfway(upload: Upload): Promise<{ done: Promise<unknown> }> {
  bench.proxy.fail(FROM_THIRD_PART, { hold: new Promise(() => {}) }, Infinity);
  const done = upload.start();
  done.catch(() => {});
  await reached(upload, () => upload.progress.storedBytes >= 10 * MIB);
  return { done };
}

/** Waits until the client has let go of everything, and lets what comes pass. */
async function settle(): Promise<void> {
  // A request that was ended may only now have come to the proxy: this goes the same way.
  await fetch(`${bench.proxy.url}/api/mocs/none`);
  await expect.poll(() => bench.proxy.requests.every(({ isOver }) => isOver)).toBe(true);
  bench.proxy.reset();
}

/** Interrupts an upload of these files, the first of which is {@link LARGE}, and the others complete. */
async function interrupted(files: File[], options: Partial<UploadOptions> = {}) {
  const storage = memoryStorage();
  const upload = bench.upload({ files, storage, ...options });
  await halfway(upload);
  await reached(upload, ({ progress }) => progress.files.slice(1).every(({ state }) => state === "completed"));
  // Like a crash: nothing more is sent, and no promise settles.
  upload.pause();
  await settle();
  return { sessionId: upload.sessionId!, storage };
}

/** Where a file of a MOC is. */
function urlOf(moc: Moc, name: string): string {
  return moc.files.find((file) => file.name === name)!.url;
}

/** The numbers of the parts that have been sent. What was ended on its way has no response. */
function storedParts(): string[] {
  const responded = bench.proxy.matching(PUT_PART).filter(({ status }) => status !== undefined);
  return responded.map(({ path }) => path.at(-1)!).sort();
}

test("a pause stops what is under way, and nothing is sent twice that has arrived", async () => {
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")] });
  const { done } = await halfway(upload);
  upload.pause();
  expect(upload.state).toBe("paused");
  await settle();

  upload.resume();
  expect(upload.state).toBe("uploading");
  await done;
  expect(upload.state).toBe("finalized");
  expect(bench.proxy.count(LIST_PARTS)).toBe(1);
  expect(storedParts()).toEqual(["3", "4", "5", "6", "7"]);
  expect(Buffer.compare(await bench.object(upload.moc!.files[0]!.url), LARGE)).toBe(0);
});

test("a pause when all is there already holds the publication back", async () => {
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")] });
  const { opened, open } = latch();
  bench.proxy.fail(COMPLETE, { holdResponse: opened });
  const done = upload.start();
  await expect.poll(() => bench.proxy.matching(COMPLETE)[0]?.status).toBe(200);
  upload.pause();
  open();
  await settle();
  expect(bench.proxy.requests).toEqual([]);
  expect(upload.state).toBe("paused");
  upload.resume();
  await done;
  expect(upload.state).toBe("finalized");
});

test("a pause before the session is there holds it back", async () => {
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")] });
  const done = upload.start();
  upload.pause();
  expect(upload.state).toBe("paused");
  // Whatever was to be sent would have been by now: this goes the same way.
  await fetch(`${bench.proxy.url}/api/mocs/none`);
  expect(bench.proxy.count(CREATE)).toBe(0);
  upload.resume();
  await done;
});

test("cancelling leaves nothing on the server, and nothing to resume", async () => {
  const storage = memoryStorage();
  const upload = bench.upload({ files: [file(csv(3), "list.csv"), file(LARGE, "castle.pdf")], storage });
  const { done } = await halfway(upload);
  const { sessionId } = upload;
  expect(findUploads({ storage, baseUrl: bench.proxy.url })).toHaveLength(1);

  const cancelled = upload.cancel();
  expect(upload.state).toBe("cancelled");
  await cancelled;
  await expect(done).rejects.toMatchObject({ code: "ABORTED" });

  expect(bench.proxy.count(CANCEL)).toBe(1);
  const session = await createApi({ baseUrl: bench.stack.baseUrl }).getSession(sessionId!);
  expect(session.status).toBe("cancelled");
  expect(await bench.stack.objects(`uploads/dev-user/${sessionId}/`)).toEqual([]);
  expect(storage.entries.size).toBe(0);
  await expect(upload.start()).rejects.toMatchObject({ code: "ABORTED" });
});

test("retries a cancellation that did not reach the server", async () => {
  const storage = memoryStorage();
  const options = { storage, retry: { attempts: 1 } };
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], ...options });
  await halfway(upload);
  bench.proxy.fail(CANCEL, { response: { status: 503 } });
  await expect(upload.cancel()).rejects.toMatchObject({ status: 503 });
  expect(upload.state).toBe("cancelled");
  expect(storage.entries.size).toBe(1);
  await upload.cancel();
  expect(storage.entries.size).toBe(0);
});

test("a signal cancels, and a cancellation is tried again", async () => {
  const controller = new AbortController();
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], signal: controller.signal });
  const { done } = await halfway(upload);
  bench.proxy.fail(CANCEL, { response: { status: 503 } });
  controller.abort();
  await expect(done).rejects.toMatchObject({ code: "ABORTED" });
  expect(bench.proxy.matching(CANCEL).map(({ status }) => status)).toEqual([undefined, 204]);
});

test("a signal that has aborted before the start sends nothing", async () => {
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")], signal: AbortSignal.abort() });
  await expect(upload.start()).rejects.toMatchObject({ code: "ABORTED" });
  expect(bench.proxy.requests).toEqual([]);
});

test("what is published cannot be cancelled", async () => {
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")] });
  await upload.start();
  await expect(upload.cancel()).rejects.toMatchObject({ code: "SESSION_NOT_ACTIVE" });
  expect(upload.state).toBe("finalized");
});

test("another process continues with what is missing", async () => {
  const storage = memoryStorage();
  const files = [file(LARGE, "castle.pdf"), file(png(6 * MIB), "castle.png")];
  const metadata = { title: "Resumed", tags: ["grey"] };
  const before = bench.upload({ files, metadata, storage });
  await halfway(before);
  await reached(before, ({ progress }) => progress.files[1]!.state === "completed");
  // Like a crash: nothing more is sent, and no promise settles.
  before.pause();
  await settle();

  const [record] = findUploads({ storage, baseUrl: bench.proxy.url });
  expect(record).toMatchObject({ title: "Resumed", status: "active", files: [{}, { fileId: expect.any(String) }] });
  const { sessionId } = record!;
  const after = bench.upload({ files: files.toReversed(), metadata: record!.metadata, sessionId, storage });
  const moc = await after.start();

  expect(moc).toMatchObject({ sessionId, title: "Resumed", tags: ["grey"] });
  expect(bench.proxy.count(CREATE) + bench.proxy.count(REGISTER) + bench.proxy.count(BATCH)).toBe(0);
  expect(storedParts()).toEqual(["3", "4", "5", "6", "7"]);
  expect(bench.proxy.count(COMPLETE)).toBe(1);
  for (const sent of files) {
    const { url } = moc.files.find(({ name }) => name === sent.name)!;
    expect(Buffer.compare(await bench.object(url), Buffer.from(await sent.arrayBuffer()))).toBe(0);
  }
});

test("the same bytes with another time of change resume what is stored", async () => {
  const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf")]);
  const touched = new File([LARGE], "castle.pdf", { lastModified: Date.now() });
  const after = bench.upload({ files: [touched], sessionId, storage });
  const moc = await after.start();
  expect(moc.sessionId).toBe(sessionId);
  expect(after.progress.files[0]!.isChanged).toBe(false);
  expect(bench.proxy.count(CREATE)).toBe(0);
  expect(storedParts()).toEqual(["3", "4", "5", "6", "7"]);
});

test("a resumed upload removes the location of pictures if it did so before", async () => {
  const files = [file(LARGE, "castle.pdf"), file(locatedJpeg("turned.jpg", 6), "castle.jpg")];
  const { sessionId, storage } = await interrupted(files, { removeLocation: true });
  const [record] = findUploads({ storage, baseUrl: bench.proxy.url });
  expect(record).toMatchObject({ removeLocation: true });
  const after = bench.upload({ files, sessionId, storage });
  const moc = await after.start();
  expect(moc.sessionId).toBe(sessionId);
  expect(Buffer.from(await bench.object(urlOf(moc, "castle.jpg"))).includes(SECRET)).toBe(false);
});

describe("a file that was changed since says so and begins anew", () => {
  const edited = LARGE.slice();
  edited[6 * MIB]! ^= 1;
  test.each([
    ["in its middle", edited],
    ["in its size", pdf(32 * MIB + 1)],
  ])("%s: nothing of the old version is published", async (_, bytes) => {
    const picture = file(png(6 * MIB), "castle.png");
    const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf"), picture]);
    const after = bench.upload({ files: [file(bytes, "castle.pdf"), picture], sessionId, storage });
    const moc = await after.start();
    expect(after.progress.files.map(({ isChanged }) => isChanged)).toEqual([true, false]);
    expect(moc.sessionId).not.toBe(sessionId);
    expect(Buffer.compare(await bench.object(urlOf(moc, "castle.pdf")), bytes)).toBe(0);
    expect((await createApi({ baseUrl: bench.stack.baseUrl }).getSession(sessionId)).status).toBe("cancelled");
    expect(findUploads({ storage, baseUrl: bench.proxy.url })).toMatchObject([{ sessionId: moc.sessionId }]);
  });

  test("although the server has completed it", async () => {
    const picture = png(6 * MIB);
    const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf"), file(picture, "castle.png")]);
    const repainted = picture.slice();
    repainted[5.5 * MIB]! ^= 1;
    const files = [file(LARGE, "castle.pdf"), file(repainted, "castle.png")];
    const after = bench.upload({ files, sessionId, storage });
    const moc = await after.start();
    expect(after.progress.files.map(({ isChanged }) => isChanged)).toEqual([false, true]);
    expect(Buffer.compare(await bench.object(urlOf(moc, "castle.png")), repainted)).toBe(0);
  });

  test("and a pause holds the comparison, a cancellation ends it", async () => {
    const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf")]);
    let [reads, states] = [0, ""];
    class Pausing extends Blob {
      override slice(start?: number, end?: number): Blob {
        reads += 1;
        states += after.progress.files[0]!.state;
        after.pause();
        return super.slice(start, end);
      }
    }
    const after = bench.upload({ files: [{ blob: new Pausing([LARGE]), name: "castle.pdf" }], sessionId, storage });
    const done = after.start();
    await reached(after, ({ state }) => state === "paused");
    await settle();
    expect([reads, states]).toEqual([1, "hashing"]);
    expect(bench.proxy.requests).toEqual([]);
    await after.cancel();
    await expect(done).rejects.toMatchObject({ code: "ABORTED" });
    expect(reads).toBe(1);
  });
});

describe("what cannot be compared is not trusted", () => {
  test("without a record, every part is sent again", async () => {
    const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf")]);
    forgetUpload(sessionId, { storage, baseUrl: bench.proxy.url });
    const edited = LARGE.slice();
    edited[MIB]! ^= 1;
    const moc = await bench.upload({ files: [file(edited, "castle.pdf")], sessionId, storage }).start();
    expect(findUploads({ storage, baseUrl: bench.proxy.url })).toMatchObject([{ sessionId }]);
    expect(bench.proxy.count(CREATE) + bench.proxy.count(REGISTER)).toBe(0);
    expect(storedParts()).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect(Buffer.compare(await bench.object(moc.files[0]!.url), edited)).toBe(0);
  });

  test("a record of an earlier version of the client, with a completed file, leads to another session", async () => {
    const files = [file(LARGE, "castle.pdf"), file(png(6 * MIB), "castle.png")];
    const { sessionId, storage } = await interrupted(files);
    const [key, text] = [...storage.entries][0]!;
    const records = JSON.parse(text) as { files: Record<string, unknown>[] }[];
    for (const stored of records[0]!.files) {
      delete stored.digests;
      stored.fingerprint = "00".repeat(32);
    }
    storage.setItem(key, JSON.stringify(records));
    const after = bench.upload({ files, sessionId, storage });
    const moc = await after.start();
    expect(moc.sessionId).not.toBe(sessionId);
    expect(after.progress.files.map(({ isChanged }) => isChanged)).toEqual([false, false]);
    expect(Buffer.compare(await bench.object(urlOf(moc, "castle.pdf")), LARGE)).toBe(0);
  });
});

test("other files than before are rejected by name, before anything is sent", async () => {
  const pictures = file(png(100), "castle.png");
  const { sessionId, storage } = await interrupted([file(LARGE, "castle.pdf"), pictures]);
  for (const [files, fileName, message] of [
    [[pictures], "castle.pdf", "File missing: castle.pdf"],
    [[file(LARGE, "castle.pdf"), pictures, file(csv(1), "list.csv")], "list.csv", "File unknown: list.csv"],
  ] as const) {
    const upload = bench.upload({ files, sessionId, storage });
    await expect(upload.start()).rejects.toMatchObject({ code: "FILE_MISMATCH", fileName, message, retryable: false });
    // The same files are as wrong the second time.
    await expect(upload.start()).rejects.toMatchObject({ code: "FILE_MISMATCH" });
  }
  expect(bench.proxy.requests).toEqual([]);
});

test("a session that has expired, or is deleted, is resumed as another one", async () => {
  const files = [file(pdf(100), "castle.pdf")];
  for (const sessionId of [seeded.expiredSession!, "01890000-0000-7000-8000-000000000000"]) {
    bench.proxy.reset();
    const storage = memoryStorage();
    const upload = bench.upload({ files, sessionId, storage });
    const moc = await upload.start();
    expect(moc.sessionId).not.toBe(sessionId);
    expect(bench.proxy.count(GET_SESSION)).toBe(1);
    expect(bench.proxy.count(CREATE)).toBe(1);
    const found = findUploads({ storage, baseUrl: bench.proxy.url });
    expect(found.map((record) => record.sessionId)).toEqual([moc.sessionId]);
  }
});

test("a session that was cancelled elsewhere is not resumed", async () => {
  const upload = bench.upload({ files: [file(LARGE, "castle.pdf")] });
  await halfway(upload);
  upload.pause();
  await settle();
  await createApi({ baseUrl: bench.stack.baseUrl }).cancelSession(upload.sessionId!);
  upload.resume();
  await expect(upload.start()).rejects.toMatchObject({ code: "SESSION_NOT_ACTIVE" });
});

test("listeners may start it: while it runs that is the same, and after a failure another attempt", async () => {
  bench.proxy.fail(CREATE, { response: { status: 503 } });
  const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")], retry: { attempts: 1 } });
  const started: Promise<unknown>[] = [];
  upload.on("state", (state) => {
    if (state === "preparing" || state === "failed") {
      started.push(upload.start());
    }
  });
  const first = upload.start();
  await expect(first).rejects.toMatchObject({ status: 503 });
  await started.at(-1);
  expect(started[0]).toBe(first);
  expect(new Set(started).size).toBe(2);
  expect(bench.proxy.count(CREATE)).toBe(2);
  expect(upload).toMatchObject({ state: "finalized", error: undefined });
});

test("a session that was published elsewhere gives its MOC", async () => {
  const files = [file(pdf(100), "castle.pdf")];
  const moc = await bench.upload({ files }).start();
  const again = await bench.upload({ files, sessionId: moc.sessionId }).start();
  expect(again).toMatchObject({ id: moc.id, title: moc.title, idempotent: true });
});
