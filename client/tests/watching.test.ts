/** Watching by WebSocket, by server-sent events and by requests, and changing between them when one breaks. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { createApi, type WatchedProgress, type WatchOptions, type WatchTransport } from "../src/index.js";
import { type Pace, Watching } from "../src/watching/watching.js";
import { WatchedService } from "./support/watched-service.js";

/** Nothing takes long, and what a test is not about does not come. */
const PACE: Pace = {
  pollMs: 20,
  pollMaxMs: 100,
  checkMs: 60_000,
  silenceMs: 60_000,
  streamMinMs: 0,
  restMs: 60_000,
};

let service: WatchedService;
const closing: AbortController[] = [];
beforeEach(async () => {
  service = await WatchedService.start();
});
afterEach(async () => {
  closing.splice(0).forEach((controller) => controller.abort());
  vi.unstubAllGlobals();
  await service.stop();
});

function watch(pace: Partial<Pace> = {}, options: Partial<WatchOptions> = {}) {
  const seen: WatchedProgress[] = [];
  const controller = new AbortController();
  closing.push(controller);
  const all: WatchOptions = {
    baseUrl: service.url,
    sessionId: "s",
    WebSocket,
    retry: { baseDelayMs: 5, maxDelayMs: 10 },
    onProgress: (progress) => seen.push(progress),
    ...options,
  };
  const end = new Watching(all, createApi(all), controller.signal, { ...PACE, ...pace }).run();
  end.catch(() => {});
  return { seen, end, close: () => controller.abort() };
}

type Watched = ReturnType<typeof watch>;

/** Stores bytes until they are seen to come by this way. */
async function comesBy({ seen }: Watched, transport: WatchTransport): Promise<void> {
  await expect
    .poll(
      () => {
        const last = seen.at(-1);
        if (last?.storedBytes === service.session.bytesCompleted && last.transport !== transport) {
          service.store(service.session.bytesCompleted + 1);
        }
        return last?.transport;
      },
      { timeout: 10_000, interval: 10 },
    )
    .toBe(transport);
  await sees({ seen }, service.session.bytesCompleted + 1);
  expect(seen.at(-1)?.transport).toBe(transport);
}

/** Stores so many bytes; waits until they are seen. */
async function sees({ seen }: Pick<Watched, "seen">, bytes: number): Promise<void> {
  service.store(bytes);
  await expect.poll(() => seen.at(-1)?.storedBytes, { timeout: 5_000, interval: 10 }).toBe(bytes);
}

/** It has never gone back. */
function isMonotonic({ seen }: Watched): void {
  const stored = seen.map(({ storedBytes }) => storedBytes);
  expect(stored).toEqual([...stored].sort((one, other) => one - other));
}

describe.each<[WatchTransport, () => void]>([
  ["websocket", () => (service.webSockets = "open")],
  ["server-sent-events", () => {}],
  ["polling", () => (service.hasEventsUrl = false)],
])("by %s", (transport, prepare) => {
  beforeEach(prepare);

  test("shows how far it is, and what it became", async () => {
    const watched = watch();
    await comesBy(watched, transport);
    await sees(watched, 50);
    await sees(watched, 100);
    service.end("finalized", "m");
    expect(await watched.end).toBe("m");
    expect(watched.seen.at(-1)).toMatchObject({
      status: "finalized",
      storedBytes: 100,
      files: [{ state: "completed" }],
    });
    isMonotonic(watched);
    await expect.poll(() => service.sockets.length + service.open.size).toBe(0);
  });

  test("leaves nothing once it is closed", async () => {
    const watched = watch();
    await comesBy(watched, transport);
    watched.close();
    await expect(watched.end).rejects.toMatchObject({ code: "ABORTED" });
    await expect.poll(() => service.sockets.length + service.open.size).toBe(0);
    const [requests, progress] = [service.requests.length, watched.seen.length];
    service.store(99);
    const other = await WatchedService.start();
    try {
      other.hasEventsUrl = false;
      watch({}, { baseUrl: other.url });
      // It would have requested the session, too.
      await expect.poll(() => other.requests.length).toBeGreaterThan(5);
    } finally {
      await other.stop();
    }
    expect(service.requests).toHaveLength(requests);
    expect(watched.seen).toHaveLength(progress);
  });
});

describe("a WebSocket", () => {
  beforeEach(() => {
    service.webSockets = "open";
  });

  test.each<[string, (event: object) => unknown]>([
    ["a list", (event) => [event]],
    ["a frame of Centrifugo", (event) => ({ pub: { data: event } })],
    ["a list in a frame of Centrifugo", (event) => ({ pub: { data: [event] } })],
  ])("may bring %s", async (_, frame) => {
    service.frame = frame;
    const watched = watch();
    await comesBy(watched, "websocket");
    service.broadcast({});
    await sees(watched, 50);
    expect(watched.seen.at(-1)?.transport).toBe("websocket");
  });

  test("that is lost is made again", async () => {
    const watched = watch();
    await comesBy(watched, "websocket");
    service.disconnect();
    await expect.poll(() => service.socketRequests).toBe(2);
    await comesBy(watched, "websocket");
    expect(service.streamRequests).toHaveLength(0);
    isMonotonic(watched);
  });

  test("that does not open is replaced by server-sent events", async () => {
    service.webSockets = "rejected";
    const watched = watch();
    await comesBy(watched, "server-sent-events");
    expect(service.socketRequests).toBe(1);
  });

  test("that this environment does not have is replaced by server-sent events", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const watched = watch({}, { WebSocket: undefined });
    await comesBy(watched, "server-sent-events");
    expect(service.socketRequests).toBe(0);
  });

  test("that breaks repeatedly is replaced by server-sent events, and used again later", async () => {
    const watched = watch({ restMs: 1_000 });
    for (let breaks = 1; breaks <= 3; breaks += 1) {
      await expect.poll(() => service.sockets.length, { interval: 5 }).toBe(1);
      await expect.poll(() => watched.seen.at(-1)?.transport, { interval: 5 }).toBe("websocket");
      service.disconnect();
      await expect.poll(() => service.sockets.length, { interval: 1 }).toBe(0);
    }
    await comesBy(watched, "server-sent-events");
    expect(service.socketRequests).toBe(3);
    await comesBy(watched, "websocket");
    await expect.poll(() => service.open.size).toBe(0);
    isMonotonic(watched);
  });

  test("that brings nothing of what happens is replaced by server-sent events", async () => {
    service.isBroadcasting = false;
    const watched = watch({ checkMs: 50 });
    await expect.poll(() => watched.seen.at(-1)?.transport).toBe("websocket");
    await comesBy(watched, "server-sent-events");
    expect(service.socketRequests).toBe(1);
  });

  test("is used again at once where the network may be another one", async () => {
    service.webSockets = "rejected";
    const surroundings = new EventTarget();
    vi.stubGlobal("addEventListener", surroundings.addEventListener.bind(surroundings));
    vi.stubGlobal("removeEventListener", surroundings.removeEventListener.bind(surroundings));
    const watched = watch();
    await comesBy(watched, "server-sent-events");
    service.webSockets = "open";
    surroundings.dispatchEvent(new Event("online"));
    await comesBy(watched, "websocket");
  });
});

describe("a stream", () => {
  test("asks with the token, for what came after the response", async () => {
    service.session.sequence = 7;
    await comesBy(watch(), "server-sent-events");
    expect(service.streamRequests[0]).toEqual({ lastEventId: "7", token: "token-1", accept: "text/event-stream" });
  });

  test("needs no requests for the session", async () => {
    const watched = watch();
    await comesBy(watched, "server-sent-events");
    const before = service.requests.length;
    for (let bytes = 10; bytes <= 40; bytes += 1) {
      await sees(watched, bytes);
    }
    expect(service.requests).toHaveLength(before);
  });

  test("that has ended because its time was over is made again at once, as often as that happens", async () => {
    const watched = watch();
    for (let streams = 1; streams <= 4; streams += 1) {
      await comesBy(watched, "server-sent-events");
      await expect.poll(() => service.streamRequests.length).toBe(streams);
      service.open.forEach((stream) => stream.end());
      await expect.poll(() => service.streamRequests.length, { interval: 5 }).toBe(streams + 1);
      expect(service.streamRequests.at(-1)?.lastEventId).toBe(String(service.session.sequence));
    }
    const first = watched.seen.findIndex(({ transport }) => transport === "server-sent-events");
    expect(new Set(watched.seen.slice(first).map(({ transport }) => transport)).size).toBe(1);
    isMonotonic(watched);
  });

  test("that ends as soon as it has begun is replaced by requests", async () => {
    const watched = watch({ streamMinMs: 60_000 });
    for (let streams = 1; streams <= 3; streams += 1) {
      await expect.poll(() => service.open.size, { interval: 5 }).toBe(1);
      service.open.forEach((stream) => stream.end());
      await expect.poll(() => service.open.size, { interval: 1 }).toBe(0);
    }
    await comesBy(watched, "polling");
    expect(service.streamRequests).toHaveLength(3);
  });

  test("that is lost is made again; where that happens repeatedly, requests replace it for a while", async () => {
    const watched = watch({ restMs: 1_000 });
    for (let breaks = 1; breaks <= 3; breaks += 1) {
      await expect.poll(() => service.open.size, { interval: 5 }).toBe(1);
      await expect.poll(() => watched.seen.at(-1)?.transport, { interval: 5 }).toBeDefined();
      await expect.poll(() => service.streamRequests.length).toBe(breaks);
      service.disconnect();
      await expect.poll(() => service.open.size, { interval: 1 }).toBe(0);
    }
    await comesBy(watched, "polling");
    expect(service.streamRequests).toHaveLength(3);
    await comesBy(watched, "server-sent-events");
    isMonotonic(watched);
  });

  test.each([
    ["is not found", { status: 404 }],
    ["is not for this server", { status: 406 }],
    ["is another document", { status: 200, headers: { "content-type": "text/html" } }],
    ["is too much for the server", { status: 503 }],
  ])("that %s is replaced by requests", async (_, streams) => {
    service.streams = streams;
    const watched = watch();
    await comesBy(watched, "polling");
    await sees(watched, 60);
    expect(service.streamRequests).toHaveLength(1);
  });

  test("is asked for again when the server says so", async () => {
    service.streams = { status: 503, headers: { "retry-after": "1" } };
    const watched = watch();
    await comesBy(watched, "polling");
    service.streams = "stream";
    const rejectedMs = performance.now();
    await expect.poll(() => service.streamRequests.length, { timeout: 5_000, interval: 10 }).toBe(2);
    expect(performance.now() - rejectedMs).toBeGreaterThan(500);
    await comesBy(watched, "server-sent-events");
  });

  test("is not asked for sooner than the server says, whatever the network does", async () => {
    service.streams = { status: 503, headers: { "retry-after": "60" } };
    const surroundings = new EventTarget();
    vi.stubGlobal("addEventListener", surroundings.addEventListener.bind(surroundings));
    vi.stubGlobal("removeEventListener", surroundings.removeEventListener.bind(surroundings));
    const watched = watch();
    await comesBy(watched, "polling");
    surroundings.dispatchEvent(new Event("online"));
    await sees(watched, 60);
    expect(service.streamRequests).toHaveLength(1);
  });

  test("whose token is too old is asked for with a fresh one, once", async () => {
    service.streams = { status: 403 };
    const watched = watch();
    await expect.poll(() => service.streamRequests.length).toBe(2);
    await comesBy(watched, "polling");
    const tokens = service.streamRequests.map(({ token }) => token);
    expect(tokens).toHaveLength(2);
    expect(new Set(tokens).size).toBe(2);
  });

  test.each(["kept", "silent"] as const)("that a proxy has %s is replaced by requests", async (streams) => {
    service.streams = streams;
    const watched = watch({ silenceMs: 200 });
    await expect.poll(() => service.streamRequests.length).toBe(1);
    await sees(watched, 10);
    await expect.poll(() => service.open.size).toBe(0);
    await sees(watched, 20);
    expect(watched.seen.every(({ transport }) => transport === "polling")).toBe(true);
    expect(service.streamRequests).toHaveLength(1);
  });

  test("that falls silent is replaced by requests", async () => {
    const watched = watch({ silenceMs: 300 });
    await comesBy(watched, "server-sent-events");
    service.streams = "silent";
    await comesBy(watched, "polling");
    expect(service.streamRequests).toHaveLength(1);
  });

  test("that says anything, if only that it is there, is not silent", async () => {
    const watched = watch({ silenceMs: 300 });
    await comesBy(watched, "server-sent-events");
    let comments = 0;
    const comment = () => {
      service.open.forEach((stream) => stream.write(":\n\n"));
      return (comments += 1);
    };
    // For three times as long as a silence may last.
    await expect.poll(comment, { timeout: 10_000, interval: 50 }).toBe(18);
    expect(watched.seen.at(-1)?.transport).toBe("server-sent-events");
    expect(service.streamRequests).toHaveLength(1);
  });

  test("skips what it does not know, and what is malformed", async () => {
    const watched = watch();
    await comesBy(watched, "server-sent-events");
    const events = ["event: state\ndata: {", "event: news\ndata: 1", 'event: end\ndata: {"status":1}', "data"];
    service.open.forEach((stream) => stream.write(`${events.join("\n\n")}\n\n`));
    await sees(watched, 50);
    expect(service.streamRequests).toHaveLength(1);
  });
});

describe("requests", () => {
  beforeEach(() => {
    service.hasEventsUrl = false;
  });

  test("come ever more seldom while nothing changes, and soon again after a change", async () => {
    const watched = watch({ pollMs: 40, pollMaxMs: 400 });
    const pauses = () => service.requests.slice(1).map((atMs, index) => atMs - service.requests[index]!);
    await expect.poll(() => Math.max(0, ...pauses()), { timeout: 10_000 }).toBeGreaterThanOrEqual(395);
    expect(pauses()[0]).toBeLessThan(200);
    await sees(watched, 10);
    const count = pauses().length;
    await expect.poll(() => pauses().length).toBeGreaterThan(count);
    expect(pauses()[count]).toBeLessThan(200);
  });

  test("go on while the server is unavailable, as late as it says", async () => {
    const watched = watch({}, { retry: { attempts: 1 } });
    await comesBy(watched, "polling");
    service.failure = { status: 503, headers: { "retry-after": "1" } };
    const before = service.requests.length;
    await expect.poll(() => service.requests.length, { timeout: 5_000, interval: 10 }).toBe(before + 2);
    const [first = 0, second = 0] = service.requests.slice(before);
    expect(second - first).toBeGreaterThanOrEqual(990);
    service.failure = undefined;
    await sees(watched, 50);
  });

  test("end with an error that does not pass", async () => {
    const watched = watch();
    await comesBy(watched, "polling");
    service.failure = { status: 404 };
    await expect(watched.end).rejects.toMatchObject({ status: 404 });
  });
});

describe("on a page", () => {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const show = (isShown: boolean) => {
    page.hidden = !isShown;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  beforeEach(() => {
    page.hidden = false;
    vi.stubGlobal("document", page);
  });

  test("two streams are open at most: uploads need connections, too", async () => {
    const [one, other] = [watch(), watch()];
    await comesBy(one, "server-sent-events");
    await comesBy(other, "server-sent-events");
    await comesBy(watch(), "polling");
    expect(service.streamRequests).toHaveLength(2);
    one.close();
    await expect.poll(() => service.open.size).toBe(1);
    await comesBy(watch(), "server-sent-events");
  });

  test("that nobody sees there is no stream, and one as soon as somebody does", async () => {
    const watched = watch();
    await comesBy(watched, "server-sent-events");
    show(false);
    await expect.poll(() => service.open.size).toBe(0);
    await comesBy(watched, "polling");
    show(true);
    await comesBy(watched, "server-sent-events");
    isMonotonic(watched);
  });
});
