/** A proxy between a client and a stack that fails as scripted, and keeps a list of what went through it. */

import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";

/** How a request fails. */
export interface Fault {
  /** The connection breaks once so many bytes of the body were forwarded. */
  cutAfterBytes?: number;
  /** The proxy reads the request and responds; the stack does not see it. */
  response?: { status: number; headers?: Record<string, string>; body?: string };
  /** The stack does its work, and the connection breaks in place of its response. */
  loseResponse?: boolean;
  /** The request is read as a whole, and forwarded once this resolves. */
  hold?: Promise<unknown>;
  /** The response is forwarded once this resolves. */
  holdResponse?: Promise<unknown>;
  /** The request goes to this path instead. */
  path?: (path: string) => string;
}

/** A request that came to the proxy. */
export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** When it came (`performance.now()`). */
  readonly atMs: number;
  /** How much of the body has come. */
  bodyBytes: number;
  /** Whether it has ended, with a response or a broken connection. */
  isOver: boolean;
  /** Of the response, where the stack has given one. */
  status?: number;
}

interface Rule {
  matches: RegExp;
  fault: Fault;
  left: number;
}

/** A running proxy. */
export class FaultProxy {
  /** What came, in order. */
  readonly requests: ProxiedRequest[] = [];
  /** Bytes a second that each body is let through with; `Infinity` for no limit. */
  bytesPerSecond = Infinity;
  /** Headers of every response, in the place of the stack's own. */
  headers: Record<string, string> = {};

  /** The connections of the requests that have not ended. */
  readonly #sockets = new Map<ProxiedRequest, Socket>();
  readonly #target: string;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  #rules: Rule[] = [];
  #port = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
      const { socket } = incoming;
      this.#serve(incoming, outgoing).catch(() => socket.destroy());
    });
  }

  /** Starts a proxy before the stack at `target`. */
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await proxy.reconnect();
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How many requests match, for example `/^PUT .*\/parts\/2$/`. */
  count(matches: RegExp): number {
    return this.matching(matches).length;
  }

  /** The requests that match. */
  matching(matches: RegExp): ProxiedRequest[] {
    return this.requests.filter(({ method, path }) => matches.test(`${method} ${path}`));
  }

  /** Makes the next `times` matching requests fail in this way; scripts apply in their order. */
  fail(matches: RegExp, fault: Fault, times = 1): void {
    this.#rules.push({ matches, fault, left: times });
  }

  /** Lifts all faults, and forgets what went through. */
  reset(): void {
    this.#rules = [];
    this.requests.length = 0;
    this.bytesPerSecond = Infinity;
    this.headers = {};
  }

  /** Breaks the connections of the requests that match and have not ended. */
  breakOff(matches: RegExp): void {
    this.matching(matches).forEach((request) => this.#sockets.get(request)?.destroy());
  }

  /** Breaks all connections and rejects new ones, as where the network is unavailable. */
  async disconnect(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Takes connections again, at the same port. */
  async reconnect(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) {
      await this.disconnect();
    }
    this.#agent.destroy();
  }

  #faultOf({ method, path }: ProxiedRequest): Fault {
    const rule = this.#rules.find(({ matches, left }) => left > 0 && matches.test(`${method} ${path}`));
    if (rule) {
      rule.left -= 1;
    }
    return rule?.fault ?? {};
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url: path = "", headers, socket } = incoming;
    const seen: ProxiedRequest = { method, path, headers, atMs: performance.now(), bodyBytes: 0, isOver: false };
    this.requests.push(seen);
    this.#sockets.set(seen, socket);
    outgoing.on("close", () => {
      seen.isOver = true;
      this.#sockets.delete(seen);
    });
    const fault = this.#faultOf(seen);
    if (fault.response) {
      incoming.resume();
      if (!incoming.complete) {
        await once(incoming, "end");
      }
      outgoing
        .writeHead(fault.response.status, { ...fault.response.headers, ...this.headers })
        .end(fault.response.body);
      return;
    }
    const target = this.#target + (fault.path ? fault.path(path) : path);
    const upstream = request(target, { method, headers, agent: this.#agent });
    const responded = once(upstream, "response") as Promise<[IncomingMessage]>;
    // Where the body breaks there is none, and the body's end says why.
    responded.catch(() => {});
    outgoing.on("close", () => upstream.destroy());
    const sending = pipeline(incoming, this.#passing(seen, fault), upstream);
    // The stack may respond before it has read everything.
    await Promise.race([sending, responded]);
    const [response] = await responded;
    seen.status = response.statusCode!;
    if (fault.loseResponse) {
      await sending;
      response.resume();
      await once(response, "end");
      socket.destroy();
      return;
    }
    await fault.holdResponse;
    outgoing.writeHead(seen.status, { ...response.headers, ...this.headers });
    await pipeline(response, outgoing);
    await sending;
  }

  /** Counts a body, slows it down, holds it, and cuts it. */
  #passing(seen: ProxiedRequest, { cutAfterBytes = Infinity, hold }: Fault): Transform {
    const held: Buffer[] = [];
    const passOn = async (chunk: Buffer): Promise<Buffer> => {
      const passed = chunk.subarray(0, cutAfterBytes - seen.bodyBytes);
      seen.bodyBytes += passed.length;
      if (this.bytesPerSecond !== Infinity) {
        await wait((passed.length * 1_000) / this.bytesPerSecond);
      }
      if (passed.length < chunk.length) {
        throw new Error("cut, as the test wants it");
      }
      return passed;
    };
    const passOrHold = async (chunk: Buffer): Promise<Buffer | undefined> => {
      const passed = await passOn(chunk);
      if (!hold) {
        return passed;
      }
      held.push(passed);
      return undefined;
    };
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => void passOrHold(chunk).then((passed) => done(null, passed), done),
      flush: (done) => void Promise.resolve(hold).then(() => done(null, Buffer.concat(held)), done),
    });
  }
}
