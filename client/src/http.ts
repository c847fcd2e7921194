import { aborted, UploadError } from "./error.js";
import { parseRetryAfter } from "./retry.js";
import type { Problem } from "./wire.js";

/** Longest time without a response; with `XMLHttpRequest`, without any byte moving. The service takes less. */
const SILENCE_MAX_MS = 120_000;
/** Longest time for a body without known progress: the service gives a part 300 seconds. */
const BODY_MAX_MS = 330_000;

/** A request. */
export interface HttpRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string | Blob | FormData;
  /** Of `fetch`; `XMLHttpRequest` sends none to other origins. */
  credentials?: RequestCredentials;
  signal?: AbortSignal | undefined;
  /** Called with the bytes of the body that were sent, if that is known. */
  onSent?: ((bytes: number) => void) | undefined;
}

/** A response, read to its end. */
export interface HttpResponse {
  status: number;
  header(name: string): string | null;
  text: string;
}

/** Sends a request. Rejects with `NETWORK_ERROR` where no whole response comes, and with `ABORTED`. */
export type Transport = (request: HttpRequest) => Promise<HttpResponse>;

/**
 * What sends requests: `fetch`, and for bodies of files `XMLHttpRequest` if there is one, because `fetch` does not
 * report progress.
 */
export function transport(fetch?: typeof globalThis.fetch): Transport {
  const byFetch = fetchTransport(fetch ?? ((...args) => globalThis.fetch(...args)));
  const hasXhr = fetch === undefined && typeof XMLHttpRequest !== "undefined";
  return (request) => (hasXhr && request.onSent ? xhrTransport(request) : byFetch(request));
}

function fetchTransport(fetch: typeof globalThis.fetch): Transport {
  return async ({ method, url, headers, body, credentials = "same-origin", signal, onSent }) => {
    if (signal?.aborted) {
      throw aborted();
    }
    const controller = new AbortController();
    const abort = () => controller.abort();
    signal?.addEventListener("abort", abort);
    const timer = setTimeout(abort, onSent ? BODY_MAX_MS : SILENCE_MAX_MS);
    try {
      const init: RequestInit = { method, headers, credentials, signal: controller.signal, cache: "no-store" };
      const response = await fetch(url, body === undefined ? init : { ...init, body });
      const text = await response.text();
      return { status: response.status, header: (name) => response.headers.get(name), text };
    } catch (cause) {
      throw signal?.aborted ? aborted() : networkError(cause);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  };
}

function xhrTransport({ method, url, headers, body, signal, onSent }: HttpRequest): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const moving = () => {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE_MAX_MS);
    };
    xhr.open(method, url);
    Object.entries(headers).forEach(([name, value]) => xhr.setRequestHeader(name, value));
    xhr.upload.onprogress = ({ loaded }) => {
      moving();
      onSent?.(loaded);
    };
    xhr.onprogress = moving;
    xhr.onload = () =>
      resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
    xhr.onerror = () => reject(networkError());
    xhr.onabort = () => reject(signal?.aborted ? aborted() : networkError());
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort);
    moving();
    xhr.send(body);
    if (signal?.aborted) {
      abort();
    }
  });
}

function networkError(cause?: unknown): UploadError {
  return new UploadError("NETWORK_ERROR", "The server could not be reached.", { retryable: true, cause });
}

/** The JSON of a response; `undefined` if it has no content. Throws an `UploadError` for an error response. */
export function read(response: HttpResponse): unknown {
  const { status } = response;
  if (status === 204) {
    return undefined;
  }
  const json = parse(response.text);
  if (status >= 200 && status < 300 && json !== undefined) {
    return json;
  }
  const retryAfterMs = parseRetryAfter(response.header);
  const known = { status, retryAfterMs, requestId: response.header("x-request-id") ?? undefined };
  if (isProblem(json)) {
    throw new UploadError(json.code, json.detail, { ...known, retryable: json.retryable, problem: json });
  }
  // A proxy's: it may be the service that is unavailable, or too much at once.
  const retryable = status >= 500 || status === 408 || status === 429;
  throw new UploadError("UNEXPECTED_RESPONSE", `Unexpected response ${status}.`, { ...known, retryable });
}

/**
 * The ETag of what a bucket has stored, `null` if it may not be read. Throws an `UploadError` for an error response.
 * Another attempt with another URL may help: URLs expire, and bytes arrive damaged or too slowly. No other header is
 * read: browsers log each one that they hide.
 */
export function etagOf({ status, header }: HttpResponse): string | null {
  if (status < 200 || status >= 300) {
    const message = `Unexpected response ${status} of the bucket.`;
    throw new UploadError("UNEXPECTED_RESPONSE", message, { status, retryable: true });
  }
  return header("etag");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is Problem {
  const { code, detail, retryable } = (value ?? {}) as Partial<Problem>;
  return typeof code === "string" && typeof detail === "string" && typeof retryable === "boolean";
}
