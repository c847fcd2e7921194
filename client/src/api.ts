import { hasCode, unreadable } from "./error.js";
import { etagOf, type HttpRequest, read, transport } from "./http.js";
import { type OnWaiting, type RetryPolicy, retrying, retryPolicy } from "./retry.js";
import { abortable } from "./signal.js";
import { wellFormed } from "./text.js";
import { tokenKeeper } from "./token.js";
import type { ConnectionOptions } from "./types.js";
import type {
  FileCompleted,
  FileDeclaration,
  FileRegistered,
  Finalize,
  GetPartUrls,
  Moc,
  PartStored,
  PartsRecorded,
  PartUrl,
  PartUrls,
  RecordParts,
  RegisterFile,
  SessionCreated,
  SessionState,
  StoredParts,
} from "./wire.js";

const BASE_PATH = "/api/mocs";

/** Of one call. */
export interface Call {
  /** Ends it with `ABORTED`. */
  signal?: AbortSignal | undefined;
}

/** Of a call with the bytes of parts. */
export interface PartCall extends Call {
  /** Called with the bytes of this attempt that were sent; if that is unknown, with all once they are stored. */
  onSent?(bytes: number): void;
}

/**
 * The service's routes. Each call is repeated while that may help, and rejects with an `UploadError`. All of them may
 * be repeated when their response was lost.
 */
export interface Api {
  createSession(body: { files: FileDeclaration[] }, call?: Call): Promise<SessionCreated>;
  getSession(sessionId: string, call?: Call): Promise<SessionState>;
  cancelSession(sessionId: string, call?: Call): Promise<void>;
  registerFile(sessionId: string, body: RegisterFile, call?: Call): Promise<FileRegistered>;
  removeFile(sessionId: string, fileId: string, call?: Call): Promise<void>;
  putPart(sessionId: string, fileId: string, partNumber: number, bytes: Blob, call?: PartCall): Promise<PartStored>;
  /** Sent once: some parts may be stored if it fails, and {@link Api.listParts} knows which. */
  putBatch(sessionId: string, fileId: string, parts: ReadonlyMap<number, Blob>, call?: PartCall): Promise<PartStored[]>;
  /** Where parts can be sent straight to the bucket, without an access token. */
  getPartUrls(sessionId: string, fileId: string, body: GetPartUrls, call?: Call): Promise<PartUrls>;
  /** Reports what was sent there. */
  recordParts(sessionId: string, fileId: string, body: RecordParts, call?: Call): Promise<PartsRecorded>;
  listParts(sessionId: string, fileId: string, call?: Call): Promise<StoredParts>;
  completeFile(sessionId: string, fileId: string, call?: Call): Promise<FileCompleted>;
  finalize(body: Finalize, call?: Call): Promise<Moc>;
  getMoc(mocId: string, call?: Call): Promise<Moc>;
}

/** The service's routes, and the bucket. */
export interface Connection extends Api {
  /**
   * Sends a part straight to the bucket, once; gives its ETag, `null` where the bucket's CORS rules hide that. Every
   * error that the bucket responds with is retryable.
   */
  putDirect(target: Pick<PartUrl, "url" | "headers">, bytes: Blob, call: PartCall): Promise<string | null>;
}

/** The origin of the service; the page's if none is given. */
export function originOf(baseUrl: string | undefined): string {
  const url = baseUrl ?? globalThis.location?.origin;
  if (url === undefined) {
    throw new TypeError("baseUrl is required where there is no page");
  }
  return url.replace(/\/+$/, "");
}

/** Calls of the routes of the service at `baseUrl`. */
export function createApi(options: ConnectionOptions = {}): Api {
  return connect(options, () => {});
}

/** As {@link createApi}; `onWaiting` is called when calls wait to be retried. */
export function connect(options: ConnectionOptions, onWaiting: OnWaiting): Connection {
  const base = originOf(options.baseUrl) + BASE_PATH;
  const tokens = tokenKeeper(options.token);
  const policy = retryPolicy(options.retry);
  const send = transport(options.fetch);

  const sendOnce = async (request: HttpRequest): Promise<unknown> => {
    for (let refreshed = false; ; refreshed = true) {
      const lease = tokens.get();
      const token = await abortable(lease, request.signal);
      const headers = token === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${token}` };
      try {
        return read(await send({ ...request, headers }));
      } catch (error) {
        if (refreshed || !hasCode(error, "UNAUTHORIZED") || !tokens.refresh(lease)) {
          throw error;
        }
      }
    }
  };
  const call = async <T>(method: string, path: string, { signal }: Call = {}, body?: unknown): Promise<T> => {
    const request: HttpRequest = { method, url: base + path, headers: {}, signal };
    if (body !== undefined) {
      request.body = JSON.stringify(body, (_, value) => (typeof value === "string" ? wellFormed(value) : value));
      request.headers["content-type"] = "application/json";
    }
    return (await retrying(() => sendOnce(request), policy, signal, onWaiting)) as T;
  };
  const sendBytes = async <T>(
    request: HttpRequest,
    blobs: Blob[],
    { signal, onSent }: PartCall,
    attempts: RetryPolicy,
    exchange: (request: HttpRequest) => Promise<unknown> = sendOnce,
  ): Promise<T> => {
    const onProgress = (bytes: number) => {
      onWaiting();
      onSent?.(bytes);
    };
    const attempt = async () => {
      onSent?.(0);
      try {
        return await exchange({ ...request, signal, onSent: onProgress });
      } catch (error) {
        await checkReadable(blobs, error);
        throw error;
      }
    };
    return (await retrying(attempt, attempts, signal, onWaiting)) as T;
  };

  const single: RetryPolicy = { ...policy, attempts: 1 };
  const session = (id: string) => `/uploads/sessions/${encodeURIComponent(id)}`;
  const file = (id: string, fileId: string) => `${session(id)}/files/${encodeURIComponent(fileId)}`;
  return {
    createSession: (body, options) => call("POST", "/uploads/sessions", options, body),
    getSession: (id, options) => call("GET", session(id), options),
    cancelSession: (id, options) => call("DELETE", session(id), options),
    registerFile: (id, body, options) => call("POST", `${session(id)}/files`, options, body),
    removeFile: (id, fileId, options) => call("DELETE", file(id, fileId), options),
    putPart: (id, fileId, partNumber, body, options = {}) => {
      const url = `${base}${file(id, fileId)}/parts/${partNumber}`;
      const headers = { "content-type": "application/octet-stream" };
      return sendBytes({ method: "PUT", url, headers, body }, [body], options, policy);
    },
    putBatch: (id, fileId, parts, options = {}) => {
      const body = new FormData();
      parts.forEach((blob, partNumber) => body.append(`part${partNumber}`, blob));
      const request = { method: "POST", url: `${base}${file(id, fileId)}/parts/batch`, headers: {}, body };
      return sendBytes(request, [...parts.values()], options, single);
    },
    putDirect: ({ url, headers }, body, options) => {
      const request: HttpRequest = { method: "PUT", url, headers: { ...headers }, body, credentials: "omit" };
      return sendBytes(request, [body], options, single, async (request) => etagOf(await send(request)));
    },
    getPartUrls: (id, fileId, body, options) => call("POST", `${file(id, fileId)}/parts/urls`, options, body),
    recordParts: (id, fileId, body, options) => call("POST", `${file(id, fileId)}/parts/stored`, options, body),
    listParts: (id, fileId, options) => call("GET", `${file(id, fileId)}/parts`, options),
    completeFile: (id, fileId, options) => call("POST", `${file(id, fileId)}/complete`, options),
    finalize: (body, options) => call("POST", "/uploads/finalize", options, body),
    getMoc: (id, options) => call("GET", `/${encodeURIComponent(id)}`, options),
  };
}

/** A file that was changed or deleted since it was chosen fails like a network: reading a byte distinguishes the two. */
async function checkReadable(blobs: Blob[], error: unknown): Promise<void> {
  if (!hasCode(error, "NETWORK_ERROR")) {
    return;
  }
  try {
    for (const blob of blobs) {
      await blob.slice(0, 1).arrayBuffer();
    }
  } catch (cause) {
    throw unreadable(cause);
  }
}
