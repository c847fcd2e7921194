/** A service and its bucket in memory, behind `fetch`: for what a network does, not for what the service does. */

import { createUpload, type FileDeclaration, type Upload, type UploadOptions } from "../../src/index.js";

export const SERVICE = "https://service.example";
export const BUCKET = "https://bucket.example";

/** How long URLs are valid if nothing else is said. */
const URL_TTL_MS = 60_000;

/** A request that arrived. */
export interface SeenRequest {
  method: string;
  url: string;
  headers: Headers;
  credentials: RequestCredentials | undefined;
  /** What its body says, if it is JSON. */
  json: Record<string, unknown>;
}

/** What happens instead of a response: another one, or an error, at once or later. */
export type Mishap = (request: SeenRequest, signal: AbortSignal) => Response | Promise<Response>;

/** What a browser says of everything that it does not say. */
export function failedToFetch(): Promise<never> {
  return Promise.reject(new TypeError("Failed to fetch"));
}

/** Settles like a request without a response: when it is aborted. */
export function hanging(_: SeenRequest, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}

/** One session with one file at a time. */
export class FakeService {
  readonly requests: SeenRequest[] = [];
  /** Undefined: as a service that knows no modes. */
  uploadMode: "through" | "direct" | "both" | undefined = "direct";
  partSizeBytes = 4;
  urlTtlMs = URL_TTL_MS;
  hidesEtags = false;
  /** The bucket's parts, by number. */
  readonly bucket = new Map<number, Uint8Array>();
  /** The parts that the service has recorded, with their ETags. */
  readonly recorded = new Map<number, string>();
  /** Most parts that were under way to the bucket at once. */
  mostUnderWay = 0;
  /** What the bucket waits for before it takes a part, of which so many are under way. */
  onPut: (underWay: number) => Promise<void> = async () => {};
  #underWay = 0;
  #file: FileDeclaration | undefined;
  #isRegistered = false;
  readonly #rules: { matches: RegExp; mishap: Mishap; left: number }[] = [];

  /** Prepares an upload of one file, whose retries do not take long. */
  upload(bytes: Uint8Array<ArrayBuffer>, options: Partial<UploadOptions> = {}): Upload {
    return createUpload({
      baseUrl: SERVICE,
      files: [new File([bytes], "castle.pdf")],
      metadata: { title: "Castle" },
      fetch: this.fetch,
      retry: { baseDelayMs: 1, maxDelayMs: 2 },
      storage: null,
      ...options,
    });
  }

  /** Lets the next `times` matching requests, for example `/^PUT .*bucket/`, come to something else. */
  fail(matches: RegExp, mishap: Mishap, times = Infinity): void {
    this.#rules.push({ matches, mishap, left: times });
  }

  /** Lifts all faults. */
  heal(): void {
    this.#rules.length = 0;
  }

  matching(matches: RegExp): SeenRequest[] {
    return this.requests.filter(({ method, url }) => matches.test(`${method} ${url}`));
  }

  /** The bytes of the bucket's parts, in order. */
  get stored(): Uint8Array {
    return Buffer.concat([...this.bucket].sort(([one], [other]) => one - other).map(([, bytes]) => bytes));
  }

  readonly fetch = (async (input: string, init: RequestInit = {}) => {
    const { method = "GET", body, credentials, signal } = init;
    const json = (typeof body === "string" ? JSON.parse(body) : {}) as Record<string, unknown>;
    const seen = { method, url: input, headers: new Headers(init.headers), credentials, json };
    this.requests.push(seen);
    const rule = this.#rules.find(({ matches, left }) => left > 0 && matches.test(`${method} ${input}`));
    if (rule) {
      rule.left -= 1;
    }
    // As over a network: nothing happens at once.
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (rule) {
      return await rule.mishap(seen, signal!);
    }
    return input.startsWith(BUCKET) ? await this.#put(input, body as Blob) : await this.#respond(seen, body);
  }) as typeof fetch;

  async #put(url: string, body: Blob): Promise<Response> {
    this.#underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.#underWay);
    const bytes = new Uint8Array(await body.arrayBuffer());
    await this.onPut(this.#underWay);
    this.#underWay -= 1;
    const { searchParams } = new URL(url);
    if (Date.now() > Number(searchParams.get("expires"))) {
      return new Response("<Error><Code>AccessDenied</Code></Error>", { status: 403 });
    }
    return new Response(null, { headers: this.#store(Number(searchParams.get("partNumber")), bytes) });
  }

  #store(partNumber: number, bytes: Uint8Array): Record<string, string> {
    this.bucket.set(partNumber, bytes);
    return this.hidesEtags ? {} : { etag: this.#etag(partNumber) };
  }

  #etag(partNumber: number): string {
    return `"etag-${partNumber}"`;
  }

  async #respond({ method, url, json }: SeenRequest, body: RequestInit["body"]): Promise<Response> {
    const path = new URL(url).pathname.replace("/api/mocs/uploads", "");
    const call = `${method} ${path.replace(/^\/sessions\/s/, "")}`;
    const { uploadMode, partSizeBytes } = this;
    const terms = { sessionId: "s", partSizeBytes, uploadMode, expiresAt: new Date(Date.now() + 1e6).toISOString() };
    const [, through] = /^PUT .*\/parts\/(\d+)$/.exec(call) ?? [];
    if (through !== undefined) {
      this.#store(Number(through), new Uint8Array(await (body as Blob).arrayBuffer()));
      this.recorded.set(Number(through), this.#etag(Number(through)));
      return Response.json({ partNumber: Number(through), etag: this.#etag(Number(through)) });
    }
    switch (call) {
      case "POST /sessions":
        [this.#file] = json.files as FileDeclaration[];
        return Response.json(terms, { status: 201 });
      case "GET ":
        return Response.json({ ...terms, status: "active", files: this.#isRegistered ? [this.#state] : [] });
      case "DELETE ":
        return new Response(null, { status: 204 });
      case "POST /files":
        this.#isRegistered = true;
        return Response.json({ fileId: "f", partSizeBytes, partsTotal: this.#partsTotal }, { status: 201 });
      case "GET /files/f/parts":
        return Response.json({ parts: [...this.recorded].map(([partNumber, etag]) => ({ partNumber, etag })) });
      case "POST /files/f/parts/urls":
        return this.#urls(json.partNumbers as number[]);
      case "POST /files/f/parts/stored":
        for (const { partNumber, etag } of json.parts as { partNumber: number; etag: string }[]) {
          this.recorded.set(partNumber, etag);
        }
        return Response.json({ progress: {} });
      case "POST /files/f/complete":
        return this.#complete();
      case "POST /finalize":
        return Response.json({ id: "m", title: "Castle", files: [] });
    }
    return Response.json({}, { status: 404 });
  }

  #urls(partNumbers: number[]): Response {
    const expires = Date.now() + this.urlTtlMs;
    const urls = partNumbers.map((partNumber) => ({
      partNumber,
      url: `${BUCKET}/castle?partNumber=${partNumber}&expires=${expires}`,
    }));
    return Response.json({ urls, expiresAt: new Date(expires).toISOString() });
  }

  /** Claims that the bucket does not confirm are no longer recorded. */
  #complete(): Response {
    const all = Array.from({ length: this.#partsTotal }, (_, index) => index + 1);
    for (const number of all.filter((number) => !this.bucket.has(number))) {
      this.recorded.delete(number);
    }
    const missing = all.filter((number) => !this.recorded.has(number));
    const problem = { code: "PART_COUNT_MISMATCH", detail: "Parts are missing.", retryable: false, missing };
    return missing.length > 0 ? Response.json(problem, { status: 400 }) : Response.json({ fileId: "f" });
  }

  get #partsTotal(): number {
    return Math.ceil((this.#file?.size ?? 0) / this.partSizeBytes);
  }

  get #state() {
    const { category, name, type, size } = this.#file!;
    const partsCompleted = this.recorded.size;
    const bytesCompleted = Math.min(size, partsCompleted * this.partSizeBytes);
    const counts = { partsCompleted, partsTotal: this.#partsTotal, bytesCompleted, bytesTotal: size };
    return { fileId: "f", category, name, type, status: "uploading", ...counts };
  }
}
