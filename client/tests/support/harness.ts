/** What the tests of uploads share. */

import { WebSocket } from "ws";

import { createUpload, type Upload, type UploadOptions, type UploadStorage } from "../../src/index.js";
import { FaultProxy } from "./fault-proxy.js";
import { type Stack, startStack } from "./stack.js";

/** Requests by what they do. */
export const PUT_PART = /^PUT .*\/parts\/\d+$/;
export const BATCH = /^POST .*\/parts\/batch$/;
export const LIST_PARTS = /^GET .*\/parts$/;
export const COMPLETE = /^POST .*\/complete$/;
export const CREATE = /^POST .*\/sessions$/;
export const REGISTER = /^POST .*\/files$/;
export const GET_SESSION = /^GET .*\/sessions\/[^/]+$/;
export const CANCEL = /^DELETE .*\/sessions\/[^/]+$/;
export const FINALIZE = /^POST .*\/finalize$/;

/** A stack behind a proxy. */
export interface Bench {
  stack: Stack;
  proxy: FaultProxy;
  /** Prepares an upload through the proxy, whose retries do not take long. */
  upload(options: Pick<UploadOptions, "files"> & Partial<UploadOptions>): Upload;
  /** The bytes of the bucket's object at this address. */
  object(url: string): Promise<Uint8Array>;
  stop(): Promise<void>;
}

let titles = 0;

/** Starts a stack with these variables, and a proxy before it. */
export async function startBench(variables?: Record<string, string>): Promise<Bench> {
  const stack = await startStack(variables);
  const proxy = await FaultProxy.start(stack.baseUrl);
  return {
    stack,
    proxy,
    upload: (options) =>
      createUpload({
        baseUrl: proxy.url,
        metadata: { title: `Castle ${(titles += 1)} ${"abcdefgh"[titles % 8]}` },
        retry: { baseDelayMs: 20, maxDelayMs: 100 },
        WebSocket,
        ...options,
      }),
    object: async (url) => {
      const response = await fetch(url);
      if (!response.ok) {
        throw new Error(`${response.status} for ${url}`);
      }
      return new Uint8Array(await response.arrayBuffer());
    },
    stop: async () => {
      await proxy.stop();
      await stack.stop();
    },
  };
}

/** A storage in memory. */
export function memoryStorage(): UploadStorage & { entries: Map<string, string> } {
  const entries = new Map<string, string>();
  return {
    entries,
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
  };
}

/** A file to upload. */
export function file(bytes: Uint8Array<ArrayBuffer>, name: string): File {
  return new File([bytes], name, { type: "", lastModified: 1_700_000_000_000 });
}

/** A promise, and what fulfils it. */
export function latch(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Resolves as soon as an upload's progress, or its state, is as it should be. */
export function reached(upload: Upload, isReached: (upload: Upload) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const ends: (() => void)[] = [];
    const check = () => {
      if (isReached(upload)) {
        ends.forEach((end) => end());
        resolve();
      }
    };
    ends.push(upload.on("state", check), upload.on("progress", check));
    check();
  });
}
