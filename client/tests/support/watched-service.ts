/** A service of one session that is only watched: by WebSocket, server-sent events and requests, each as scripted. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { SessionStatus } from "../../src/index.js";

const PATH = "/api/mocs/uploads/sessions/s";
export const TOTAL_BYTES = 100;

/** How requests for a stream are served. */
export type StreamScript =
  | "stream"
  /** The response does not reach the client: a proxy keeps it. */
  | "kept"
  /** The headers do, and nothing else. */
  | "silent"
  | { status: number; headers?: Record<string, string> };

/** What became of a session with one file. */
interface Session {
  sequence: number;
  status: SessionStatus;
  bytesCompleted: number;
  mocId?: string;
}

/** A running service. */
export class WatchedService {
  session: Session = { sequence: 1, status: "active", bytesCompleted: 0 };
  /** Whether the responses have a `wsUrl`, and whether WebSockets open. */
  webSockets: "open" | "rejected" | "none" = "none";
  streams: StreamScript = "stream";
  hasEventsUrl = true;
  /** What requests for the session get instead. */
  failure: { status: number; headers?: Record<string, string> } | undefined;
  /** Whether WebSockets are sent events. */
  isBroadcasting = true;
  /** What of an event is sent to WebSockets. */
  frame = (event: object): unknown => event;
  /** Requests for the session, by the time at which they came (`performance.now()`). */
  readonly requests: number[] = [];
  /** Requests for streams, by what they sent. */
  readonly streamRequests: { lastEventId: string | undefined; token: string | null; accept: string | undefined }[] = [];
  /** How many WebSockets were asked for. */
  socketRequests = 0;
  /** The streams that are open. */
  readonly open = new Set<ServerResponse>();

  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on("upgrade", (request, socket, head) => {
      this.socketRequests += 1;
      if (this.webSockets !== "open") {
        socket.destroy();
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (client) => this.#sockets.emit("connection", client));
    });
  }

  static async start(): Promise<WatchedService> {
    const service = new WatchedService();
    service.#server.listen(0, "127.0.0.1");
    await once(service.#server, "listening");
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** WebSockets that are open. */
  get sockets(): WebSocket[] {
    return [...this.#sockets.clients].filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** Stores so many bytes, and reports that. */
  store(bytesCompleted: number): void {
    this.session = { ...this.session, sequence: this.session.sequence + 1, bytesCompleted };
    const { sequence } = this.session;
    this.broadcast({ type: "part_uploaded", fileId: "f", sequence, progress: { bytesCompleted } });
    this.open.forEach((stream) => this.#state(stream));
  }

  /** Ends the session, and reports that. */
  end(status: SessionStatus, mocId: string): void {
    this.session = { ...this.session, sequence: this.session.sequence + 1, status, mocId };
    this.broadcast({ type: "session_finalized", sequence: this.session.sequence, mocId });
    for (const stream of this.open) {
      this.#state(stream);
      const { sequence, status, mocId } = this.session;
      stream.end(
        `event: end\nid: ${sequence}\ndata: ${JSON.stringify({ sequence, sessionId: "s", status, mocId })}\n\n`,
      );
    }
  }

  /** Sends an event to every WebSocket. */
  broadcast(event: object): void {
    if (this.isBroadcasting) {
      this.sockets.forEach((socket) => socket.send(JSON.stringify(this.frame(event))));
    }
  }

  /** Breaks all connections that are open. */
  disconnect(): void {
    this.sockets.forEach((socket) => socket.terminate());
    this.open.forEach((stream) => stream.socket?.destroy());
  }

  async stop(): Promise<void> {
    this.disconnect();
    this.#server.close();
    this.#server.closeAllConnections();
    this.#sockets.close();
  }

  #serve({ method, url = "", headers }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, "http://service");
    if (method !== "GET") {
      response.writeHead(405).end();
    } else if (pathname === PATH) {
      this.requests.push(performance.now());
      if (this.failure) {
        response.writeHead(this.failure.status, this.failure.headers).end();
        return;
      }
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(this.#response()));
    } else if (pathname === `${PATH}/watch`) {
      const lastEventId = headers["last-event-id"] as string | undefined;
      this.streamRequests.push({ lastEventId, token: searchParams.get("token"), accept: headers.accept });
      this.#stream(response, lastEventId);
    } else {
      response.writeHead(404).end();
    }
  }

  #response(): object {
    const { sequence, status, mocId } = this.session;
    const expiresAt = new Date(Date.now() + 1e6).toISOString();
    const token = `token-${this.requests.length}`;
    return {
      ...{ sessionId: "s", sequence, status, mocId, expiresAt, partSizeBytes: 5, uploadMode: "through" },
      files: [this.#file()],
      wsUrl: this.webSockets === "none" ? undefined : `${this.url.replace("http", "ws")}/live?token=${token}`,
      eventsUrl: this.hasEventsUrl ? `${PATH}/watch?token=${token}` : undefined,
    };
  }

  #file(): object {
    const { bytesCompleted } = this.session;
    const counts = { bytesCompleted, bytesTotal: TOTAL_BYTES, partsCompleted: bytesCompleted / 5, partsTotal: 20 };
    const status = bytesCompleted === TOTAL_BYTES ? "completed" : "pending";
    return { fileId: "f", name: "castle.pdf", category: "instruction", type: "application/pdf", status, ...counts };
  }

  #stream(response: ServerResponse, lastEventId: string | undefined): void {
    if (typeof this.streams === "object") {
      response.writeHead(this.streams.status, this.streams.headers).end();
      return;
    }
    this.open.add(response);
    response.on("close", () => this.open.delete(response));
    if (this.streams === "kept") {
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    if (this.streams === "stream") {
      response.write("retry: 1000\n\n");
      if (lastEventId !== String(this.session.sequence)) {
        this.#state(response);
      }
    }
  }

  #state(stream: ServerResponse): void {
    if (this.streams === "stream") {
      const { sequence, status, mocId } = this.session;
      const data = JSON.stringify({ sequence, sessionId: "s", status, mocId, allFiles: true, files: [this.#file()] });
      // In two pieces, as a network may deliver them.
      stream.write(`event: state\nid: ${sequence}\ndata: ${data.slice(0, 20)}`);
      stream.write(`${data.slice(20)}\n\n`);
    }
  }
}
