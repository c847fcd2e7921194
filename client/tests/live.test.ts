/** Live progress: for who uploads, and for who watches by each transport. */

import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { followEvents } from "../src/events.js";
import { createApi, type WatchedProgress, type WatchOptions, type WatchTransport, watchUpload } from "../src/index.js";
import { retryPolicy } from "../src/retry.js";
import { MIB, pdf } from "./support/content.js";
import { BATCH, type Bench, file, GET_SESSION, latch, PUT_PART, reached, startBench } from "./support/harness.js";

let bench: Bench;
beforeAll(async () => {
  bench = await startBench();
});
afterEach(() => {
  vi.unstubAllGlobals();
  bench.proxy.reset();
});
afterAll(() => bench?.stop());

const BYTES = pdf(12 * MIB);

/** Requests for server-sent events. */
const STREAM = /^GET .*\/watch\?token=/;

/** A WebSocket that is remembered. */
function recorded(url?: string) {
  return class extends WebSocket {
    static readonly all: WebSocket[] = [];
    constructor(given: string) {
      super(url ?? given);
      new.target.all.push(this);
    }
  };
}

describe("who uploads", () => {
  test("hears of parts before their response comes, and closes the connection at the end", async () => {
    const { opened, open } = latch();
    bench.proxy.fail(BATCH, { holdResponse: opened });
    const Recorded = recorded();
    const upload = bench.upload({ files: [file(BYTES, "castle.pdf")], WebSocket: Recorded });
    const done = upload.start();
    await reached(upload, ({ progress }) => progress.storedBytes === 12 * MIB);
    expect(upload.progress.files[0]).toMatchObject({ state: "uploading", storedBytes: 12 * MIB });
    open();
    await done;
    expect(Recorded.all).toHaveLength(1);
    await expect.poll(() => Recorded.all[0]!.readyState).toBe(WebSocket.CLOSED);
  });

  test("connects again where the connection is lost, at a fresh address", async () => {
    const Recorded = recorded();
    const { opened, open } = latch();
    bench.proxy.fail(/^PUT .*\/parts\/[2-4]$/, { hold: opened }, 3);
    const response = latch();
    bench.proxy.fail(PUT_PART, { holdResponse: response.opened }, Infinity);
    const upload = bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")], WebSocket: Recorded });
    const done = upload.start();
    await reached(upload, ({ progress }) => progress.storedBytes === 5 * MIB);
    Recorded.all[0]!.terminate();
    await expect.poll(() => Recorded.all[1]?.readyState).toBe(WebSocket.OPEN);
    expect(bench.proxy.count(GET_SESSION)).toBe(1);
    open();
    await reached(upload, ({ progress }) => progress.storedBytes === 17 * MIB);
    response.open();
    await done;
    expect(Recorded.all).toHaveLength(2);
  });

  test("connects again only after a pause", async () => {
    const Recorded = recorded();
    bench.proxy.fail(PUT_PART, { hold: new Promise(() => {}) });
    const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")], WebSocket: Recorded });
    const done = upload.start();
    await expect.poll(() => Recorded.all[0]?.readyState).toBe(WebSocket.OPEN);
    await expect.poll(() => bench.proxy.count(PUT_PART)).toBe(1);
    upload.pause();
    Recorded.all[0]!.terminate();
    // It is notified of progress every second while it is paused, and would have connected by then.
    const seen = new Set<number>();
    upload.on("progress", () => seen.add(bench.proxy.count(GET_SESSION)));
    await expect.poll(() => seen.size, { timeout: 5_000 }).toBeGreaterThan(0);
    expect([...seen]).toEqual([0]);
    upload.resume();
    await done;
  });

  test("does without, where there is nothing to connect to", async () => {
    const Rejected = recorded("ws://127.0.0.1:1");
    const { opened, open } = latch();
    bench.proxy.fail(PUT_PART, { hold: opened });
    const retry = { attempts: 3, baseDelayMs: 1 };
    const upload = bench.upload({ files: [file(pdf(100), "castle.pdf")], WebSocket: Rejected, retry });
    const done = upload.start();
    await expect.poll(() => bench.proxy.count(GET_SESSION)).toBe(3);
    open();
    await done;
    expect(Rejected.all).toHaveLength(3);
  });

  test("does without, where there is no WebSocket", async () => {
    const upload = bench.upload({ files: [file(BYTES, "castle.pdf")], WebSocket: undefined });
    await upload.start();
    expect(upload.progress.storedBytes).toBe(12 * MIB);
    expect(bench.proxy.count(GET_SESSION)).toBe(0);
  });
});

describe("who watches", () => {
  /** It has never gone back. */
  function isMonotonic(seen: WatchedProgress[]): void {
    const stored = seen.map(({ storedBytes }) => storedBytes);
    expect(stored).toEqual([...stored].sort((one, other) => one - other));
  }

  function watch(options: Partial<WatchOptions> & { sessionId: string }) {
    const seen: WatchedProgress[] = [];
    const end = new Promise<string | undefined>((resolve, reject) => {
      const watching = watchUpload({
        baseUrl: bench.proxy.url,
        onProgress: (progress) => seen.push(progress),
        onEnd: (mocId) => resolve(mocId),
        onError: reject,
        retry: { baseDelayMs: 20 },
        ...options,
      });
      options.signal?.addEventListener("abort", () => watching.close());
    });
    end.catch(() => {});
    return { seen, end };
  }

  test.each<[WatchTransport, WatchOptions["WebSocket"]]>([
    ["websocket", WebSocket],
    ["server-sent-events", undefined],
    ["polling", undefined],
  ])("sees by %s how far it is, and what it became", async (transport, given) => {
    vi.stubGlobal("WebSocket", undefined);
    if (transport === "polling") {
      bench.proxy.fail(STREAM, { response: { status: 503, headers: { "retry-after": "60" } } }, Infinity);
    }
    const { opened, open } = latch();
    bench.proxy.fail(/^PUT .*\/parts\/[3-4]$/, { hold: opened }, 2);
    const upload = bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")] });
    const done = upload.start();
    await reached(upload, ({ progress }) => progress.files[0]?.fileId !== undefined);
    const { seen, end } = watch({ sessionId: upload.sessionId!, WebSocket: given });
    await expect.poll(() => seen.at(-1)?.storedBytes, { timeout: 10_000 }).toBe(10 * MIB);
    expect(seen.at(-1)).toMatchObject({
      status: "active",
      totalBytes: 17 * MIB,
      files: [{ name: "castle.pdf", category: "instruction", state: "uploading", storedBytes: 10 * MIB }],
    });
    open();
    const moc = await done;
    expect(await end).toBe(moc.id);
    expect(seen.at(-1)).toMatchObject({ status: "finalized", storedBytes: 17 * MIB, files: [{ state: "completed" }] });
    expect(seen.at(-1)?.transport).toBe(transport);
    isMonotonic(seen);
  });

  test("catches up after its stream broke, and while none can be opened", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const [third, fourth] = [latch(), latch()];
    bench.proxy.fail(/^PUT .*\/parts\/3$/, { hold: third.opened });
    bench.proxy.fail(/^PUT .*\/parts\/4$/, { hold: fourth.opened });
    const upload = bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")] });
    const done = upload.start();
    await reached(upload, ({ progress }) => progress.storedBytes === 10 * MIB);
    const { seen, end } = watch({ sessionId: upload.sessionId! });
    const streams = () => bench.proxy.matching(STREAM);
    await expect.poll(() => streams().map(({ status }) => status)).toEqual([200]);
    bench.proxy.breakOff(STREAM);
    await expect.poll(() => streams().map(({ status }) => status)).toEqual([200, 200]);
    third.open();
    await expect.poll(() => seen.at(-1)?.storedBytes, { timeout: 10_000 }).toBe(15 * MIB);
    expect(seen.at(-1)?.transport).toBe("server-sent-events");
    bench.proxy.fail(STREAM, { response: { status: 502 } }, Infinity);
    bench.proxy.breakOff(STREAM);
    await expect.poll(() => streams().length).toBe(3);
    fourth.open();
    expect(await end).toBe((await done).id);
    expect(seen.at(-1)).toMatchObject({ storedBytes: 17 * MIB, transport: "polling" });
    isMonotonic(seen);
  });

  test("never sees it go back, where a response is older than the events that overtook it", async () => {
    const [second, rest, response] = [latch(), latch(), latch()];
    bench.proxy.fail(/^PUT .*\/parts\/2$/, { hold: second.opened });
    bench.proxy.fail(/^PUT .*\/parts\/[3-4]$/, { hold: rest.opened }, 2);
    const upload = bench.upload({ files: [file(pdf(17 * MIB), "castle.pdf")] });
    const done = upload.start();
    await reached(upload, ({ progress }) => progress.storedBytes === 5 * MIB);
    /** The response to what is asked once it is connected comes late. */
    class Late extends WebSocket {
      constructor(url: string) {
        bench.proxy.fail(GET_SESSION, { holdResponse: response.opened });
        super(url);
      }
    }
    const from = bench.proxy.requests.length;
    const { seen, end } = watch({ sessionId: upload.sessionId!, WebSocket: Late });
    const asked = () => bench.proxy.requests.slice(from).filter(({ method }) => method === "GET");
    await expect.poll(() => asked().map(({ status }) => status), { timeout: 10_000 }).toEqual([200, 200]);
    second.open();
    await expect.poll(() => seen.at(-1)?.storedBytes, { timeout: 10_000 }).toBe(10 * MIB);
    response.open();
    await expect.poll(() => asked()[1]?.isOver).toBe(true);
    rest.open();
    await done;
    await end;
    isMonotonic(seen);
  });

  test("is notified of a cancellation", async () => {
    const { sessionId } = await createApi({ baseUrl: bench.proxy.url }).createSession({
      files: [{ category: "instruction", name: "castle.pdf", size: 1, type: "" }],
    });
    await createApi({ baseUrl: bench.proxy.url }).cancelSession(sessionId);
    expect(await watch({ sessionId }).end).toBeUndefined();
  });

  test("ends if there is nothing to watch", async () => {
    await expect(watch({ sessionId: "none" }).end).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("hears nothing more once it has ended that", async () => {
    const { sessionId } = await createApi({ baseUrl: bench.proxy.url }).createSession({
      files: [{ category: "instruction", name: "castle.pdf", size: 1, type: "" }],
    });
    const Recorded = recorded();
    const controller = new AbortController();
    const { seen } = watch({ sessionId, signal: controller.signal, WebSocket: Recorded });
    await expect.poll(() => Recorded.all[0]?.readyState).toBe(WebSocket.OPEN);
    controller.abort();
    await expect.poll(() => Recorded.all[0]?.readyState).toBe(WebSocket.CLOSED);
    const count = seen.length;
    await createApi({ baseUrl: bench.proxy.url }).cancelSession(sessionId);
    expect(seen).toHaveLength(count);
  });

  test("hears nothing more of what has come already once it has ended that", async () => {
    const api = createApi({ baseUrl: bench.proxy.url });
    const declared = { category: "instruction", name: "castle.pdf", size: 9, type: "" } as const;
    const { sessionId } = await api.createSession({ files: [declared] });
    const { fileId } = await api.registerFile(sessionId, declared);
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    try {
      await once(server, "listening");
      server.on("connection", (socket) => {
        const event = (bytesCompleted: number) => ({ type: "part_uploaded", fileId, progress: { bytesCompleted } });
        socket.send(JSON.stringify([event(1), event(2)]));
        socket.send(JSON.stringify(event(3)));
      });
      const Recorded = recorded(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const stored: number[] = [];
      const watching = watchUpload({
        baseUrl: bench.proxy.url,
        sessionId,
        WebSocket: Recorded,
        onProgress: ({ storedBytes }) => {
          stored.push(storedBytes);
          if (storedBytes > 0) {
            watching.close();
          }
        },
      });
      await expect.poll(() => Recorded.all[0]?.readyState).toBe(WebSocket.CLOSED);
      expect(stored.filter((bytes) => bytes > 0)).toEqual([1]);
    } finally {
      server.close();
    }
  });

  test("gets no end event after closing", async () => {
    const api = createApi({ baseUrl: bench.proxy.url });
    const { sessionId } = await api.createSession({
      files: [{ category: "instruction", name: "castle.pdf", size: 1, type: "" }],
    });
    await api.cancelSession(sessionId);
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      const watching = watchUpload({
        baseUrl: bench.proxy.url,
        sessionId,
        onProgress: ({ status }) => {
          seen.push(status);
          watching.close();
          // What follows this in the same turn is over by then.
          setImmediate(resolve);
        },
        onEnd: () => seen.push("end"),
      });
    });
    expect(seen).toEqual(["cancelled"]);
  });
});

test("a connection that does not come is given up, and outlives nothing", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const Recorded = recorded();
    const ending = new AbortController();
    const following = followEvents({
      wsUrl: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
      freshUrl: async () => undefined,
      onEvent: () => {},
      policy: retryPolicy(),
      signal: ending.signal,
      WebSocket: Recorded,
    });
    ending.abort();
    await following;
    expect(Recorded.all[0]!.readyState).toBe(WebSocket.CONNECTING);
    vi.advanceTimersByTime(10_000);
    await expect.poll(() => Recorded.all[0]!.readyState).toBe(WebSocket.CLOSED);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
    server.close();
  }
});
