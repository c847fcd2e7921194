/** Files that are taken out of an upload, over a service in memory. */

import { beforeEach, expect, test } from "vitest";

import { createUpload, type Upload, type UploadStorage } from "../src/index.js";
import { file, memoryStorage, reached } from "./support/harness.js";

const CASTLE = file(new TextEncoder().encode("%PDF-1.7 castle"), "castle.pdf");
const TOWER = file(new TextEncoder().encode("%PDF-1.7 tower"), "tower.pdf");

interface ServedFile {
  fileId: string;
  category: string;
  name: string;
  type: string;
  bytesTotal: number;
  partsTotal: number;
  bytesCompleted: number;
  partsCompleted: number;
  status: string;
}

/** Sessions of files that have one part each. */
class Service {
  readonly requests: string[] = [];
  readonly files = new Map<string, ServedFile>();
  /** Names that a finalize rejects. */
  readonly rejected = new Set<string>();
  status = "active";
  #registered = 0;
  /** Awaited before a request that begins so. */
  readonly held = new Map<string, Promise<void>>();
  /** Responses to the next requests that begin so. */
  readonly failures = new Map<string, Response>();

  upload(storage: UploadStorage | null = null, sessionId?: string, files = [CASTLE, TOWER]): Upload {
    const options = { files, metadata: { title: "Castle" }, retry: { attempts: 1 }, storage, sessionId };
    return createUpload({ baseUrl: "https://service.example", fetch: this.fetch, ...options });
  }

  count(begin: string): number {
    return this.requests.filter((request) => request.startsWith(begin)).length;
  }

  readonly fetch = (async (url: string, { method = "GET", body, signal }: RequestInit = {}) => {
    const path = new URL(url).pathname.replace("/api/mocs/uploads", "");
    const request = `${method} ${path}`;
    this.requests.push(request);
    const aborted = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    const held = [...this.held].find(([begin]) => request.startsWith(begin))?.[1];
    await Promise.race([held ?? Promise.resolve(), aborted]);
    const [begin, failure] = [...this.failures].find(([begin]) => request.startsWith(begin)) ?? [];
    if (begin !== undefined && failure) {
      this.failures.delete(begin);
      return failure;
    }
    return this.respond(method, path, typeof body === "string" ? JSON.parse(body) : {});
  }) as typeof fetch;

  respond(
    method: string,
    path: string,
    json: { name: string; size: number; category: string; type: string },
  ): Response {
    const terms = {
      sessionId: "s",
      partSizeBytes: 100,
      uploadMode: "through",
      expiresAt: new Date(9e12).toISOString(),
    };
    const [, , id = "", files, fileId = "", what] = path.split("/");
    const served = this.files.get(fileId);
    if (method === "POST" && path === "/sessions") {
      return Response.json(terms, { status: 201 });
    } else if (path === "/finalize") {
      const failed = [...this.files.values()].filter(
        ({ name, status }) => this.rejected.has(name) || status !== "completed",
      );
      const failures = failed.map(({ fileId, name }) => ({ fileId, name, reason: "CONTENT_MISMATCH" }));
      if (failures.length > 0) {
        return problem(422, { code: "FILE_VALIDATION_FAILED", failures });
      }
      this.status = "finalized";
      return Response.json({ id: "m", title: "Castle", files: [...this.files.values()] }, { status: 201 });
    } else if (id === "s" && files === undefined) {
      return Response.json({ ...terms, status: this.status, files: [...this.files.values()] });
    } else if (method === "POST" && fileId === "") {
      const { category, name, type, size } = json;
      const fileId = `f${(this.#registered += 1)}`;
      const counts = { bytesTotal: size, partsTotal: 1, bytesCompleted: 0, partsCompleted: 0 };
      this.files.set(fileId, { fileId, category, name, type, status: "pending", ...counts });
      return Response.json({ fileId, partSizeBytes: 100, partsTotal: 1 }, { status: 201 });
    } else if (method === "DELETE" && what === undefined) {
      this.files.delete(fileId);
      return new Response(null, { status: 204 });
    } else if (served && method === "PUT") {
      Object.assign(served, { partsCompleted: 1, bytesCompleted: served.bytesTotal });
      return Response.json({ partNumber: 1, etag: '"e"' });
    } else if (served && method === "GET") {
      return Response.json({ parts: served.partsCompleted === 1 ? [{ partNumber: 1, etag: '"e"' }] : [] });
    } else if (served && what === "complete") {
      Object.assign(served, { status: "completed", partsCompleted: 1, bytesCompleted: served.bytesTotal });
      return Response.json({ fileId });
    }
    return problem(404, { code: "NOT_FOUND" });
  }
}

function problem(status: number, fields: object): Response {
  const body = JSON.stringify({ detail: "Failed.", retryable: status === 503, ...fields });
  return new Response(body, { status, headers: { "content-type": "application/problem+json" } });
}

let service: Service;
beforeEach(() => {
  service = new Service();
});

const tower = { category: "instruction", name: "tower.pdf" } as const;
const names = (files: readonly { name: string }[]) => files.map(({ name }) => name);

test("a rejected file is taken out, and the others are published without being sent again", async () => {
  service.rejected.add("tower.pdf");
  const storage = memoryStorage();
  const upload = service.upload(storage);
  await expect(upload.start()).rejects.toMatchObject({ code: "FILE_VALIDATION_FAILED", fileName: "tower.pdf" });
  const sent = service.count("PUT");
  upload.removeFile(tower);
  expect(names(upload.progress.files)).toEqual(["castle.pdf"]);
  expect(upload.progress.totalBytes).toBe(CASTLE.size);
  const moc = await upload.start();
  expect(names(moc.files)).toEqual(["castle.pdf"]);
  expect([service.count("PUT"), service.count("DELETE")]).toEqual([sent, 1]);
  expect(JSON.stringify([...storage.entries.values()])).not.toContain("tower.pdf");
});

test.each([
  ["while it is sent", "PUT"],
  ["while it is registered", "POST /sessions/s/files"],
  ["while it is completed", "POST /sessions/s/files/"],
  ["before there is a session", "POST /sessions"],
])("a file is taken out %s", async (_, begin) => {
  service.held.set(begin, new Promise(() => {}));
  const upload = service.upload();
  const running = upload.start();
  await expect.poll(() => service.count(begin)).toBeGreaterThan(0);
  service.held.clear();
  upload.removeFile(tower);
  expect(names((await running).files)).toEqual(["castle.pdf"]);
  expect(names([...service.files.values()])).toEqual(["castle.pdf"]);
});

test("a paused upload stays paused", async () => {
  service.held.set("PUT", new Promise(() => {}));
  const upload = service.upload();
  const running = upload.start();
  await reached(upload, ({ state }) => state === "uploading");
  await expect.poll(() => service.count("PUT")).toBeGreaterThan(0);
  upload.pause();
  upload.removeFile(tower);
  service.held.clear();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(upload.state).toBe("paused");
  upload.resume();
  expect(names((await running).files)).toEqual(["castle.pdf"]);
});

test("a file that the server could not take out is taken out by the next start", async () => {
  service.rejected.add("tower.pdf");
  const upload = service.upload();
  await expect(upload.start()).rejects.toMatchObject({ code: "FILE_VALIDATION_FAILED" });
  upload.removeFile(tower);
  service.failures.set("DELETE", problem(503, { code: "S3_UNAVAILABLE" }));
  await expect(upload.start()).rejects.toMatchObject({ code: "S3_UNAVAILABLE" });
  expect(names((await upload.start()).files)).toEqual(["castle.pdf"]);
});

test("files are taken out of an upload that is resumed", async () => {
  const storage = memoryStorage();
  service.failures.set("POST /finalize", problem(503, { code: "BUSY" }));
  const before = service.upload(storage);
  await expect(before.start()).rejects.toMatchObject({ code: "BUSY" });
  const upload = service.upload(storage, "s");
  service.held.set("GET", new Promise(() => {}));
  const running = upload.start();
  await expect.poll(() => service.count("GET")).toBeGreaterThan(0);
  service.held.clear();
  upload.removeFile(tower);
  expect(names((await running).files)).toEqual(["castle.pdf"]);
});

test("nothing happens to a file that the upload does not have, or that is published", async () => {
  const upload = service.upload();
  upload.removeFile(tower);
  upload.on("state", (state) => {
    if (state === "finalizing") {
      upload.removeFile(tower);
    }
  });
  const moc = await upload.start();
  upload.removeFile(tower);
  upload.removeFile({ category: "image", name: "castle.pdf" });
  expect(names(moc.files).sort()).toEqual(["castle.pdf", "tower.pdf"]);
  expect(names(upload.progress.files)).toEqual(["castle.pdf", "tower.pdf"]);
  expect(service.count("DELETE")).toBe(0);
});

test("a cancelled upload is not begun again", async () => {
  service.held.set("PUT", new Promise(() => {}));
  const upload = service.upload();
  const running = upload.start();
  await expect.poll(() => service.count("PUT")).toBeGreaterThan(0);
  upload.removeFile(tower);
  const cancelled = upload.cancel();
  await expect(running).rejects.toMatchObject({ code: "ABORTED" });
  await cancelled;
  expect(service.count("POST /finalize")).toBe(0);
});
