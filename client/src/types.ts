import type { UploadError } from "./error.js";
import type { Category, Moc, SessionStatus } from "./wire.js";

/** A file to upload that is not a `File`, or one whose category or type is not what its name says. */
export interface FileInput {
  /** Its bytes. They are read slice by slice, never as a whole. */
  blob: Blob;
  /** Its name, 1 to 255 characters. */
  name: string;
  /** Its media type. Default: what the name says, or else that of the blob. */
  type?: string | undefined;
  /** What it is for. Default: {@link categoryOf} its name and type. */
  category?: Category | undefined;
}

/** What is published with the files. */
export interface Metadata {
  /** 1 to 100 characters. */
  title: string;
  /** At most 5,000 characters. */
  description?: string | undefined;
  /** At most 20, each of 1 to 50 characters. */
  tags?: string[] | undefined;
  /** At most 50 characters. */
  theme?: string | undefined;
}

/** Where an upload stands. */
export type UploadState =
  | "idle"
  /** Removes the location of pictures, and creates the session, or compares the files with what was sent of them. */
  | "preparing"
  | "uploading"
  | "paused"
  | "finalizing"
  /** Published: `moc` is there. */
  | "finalized"
  /** `error` says why; `start()` continues with what failed. */
  | "failed"
  | "cancelled";

/** Where a file of an upload stands. */
export type FileUploadState = "waiting" | "hashing" | "uploading" | "completed" | "failed";

/** How far a file is. */
export interface FileProgress {
  name: string;
  category: Category;
  /** The media type. */
  type: string;
  /** The server's id, once the file is registered. */
  fileId?: string | undefined;
  state: FileUploadState;
  sizeBytes: number;
  /** Bytes that have left this machine. */
  sentBytes: number;
  /** Bytes that the server has confirmed. Never more than `sizeBytes`, and back only when the file starts anew. */
  storedBytes: number;
  /** Whether it was changed since the upload began that is resumed: all of it is sent again. */
  isChanged?: boolean | undefined;
  /** Why it failed. */
  error?: UploadError | undefined;
}

/** How far an upload is. */
export interface Progress {
  totalBytes: number;
  /** Bytes that have left this machine. */
  sentBytes: number;
  /** Bytes that the server has confirmed. */
  storedBytes: number;
  /** Over the last five seconds; 0 where nothing moves. */
  bytesPerSecond: number;
  /** Until all is stored, at this speed; absent where nothing moves. */
  secondsLeft?: number | undefined;
  /** Set while nothing is sent: the last error, which is about to be retried. */
  waiting?: UploadError | undefined;
  /** In the order in which they were given. */
  files: FileProgress[];
}

/** What whoever runs the service should know of; the upload continues. */
export interface UploadWarning {
  /** The bucket's CORS rules keep parts from going straight to it: they go through the service. */
  code: "DIRECT_UPLOAD_BLOCKED";
  /** What is missing, and where. For developers. */
  message: string;
}

/** Keeps what is needed to resume. `localStorage` is one. */
export interface UploadStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What {@link UploadOptions.WebSocket} must be able to do: the browser's does, and that of the package `ws`. */
export interface WebSocketLike {
  addEventListener(type: string, listener: (event: object) => void): void;
  close(): void;
}

/** Gives the access token (JWT), or `undefined` for none. With `refresh`, the last one was rejected. */
export type TokenSource = (options: { refresh: boolean }) => string | undefined | Promise<string | undefined>;

/** How failed requests are repeated: after a random time up to `baseDelayMs`, doubled each time (full jitter). */
export interface RetryOptions {
  /** Most attempts of one request. Default 6. */
  attempts?: number | undefined;
  /** Default 1,000. */
  baseDelayMs?: number | undefined;
  /** Default 30,000. */
  maxDelayMs?: number | undefined;
}

/** Where the service is, and how requests are sent to it. */
export interface ConnectionOptions {
  /** Its origin, for example `https://uploads.example.com`. Default: that of the page. */
  baseUrl?: string | undefined;
  /** Asked before the first request, and once for each request that gets a response 401. */
  token?: TokenSource | undefined;
  retry?: RetryOptions | undefined;
  /** Default: the global one; browsers then send parts with `XMLHttpRequest`, which reports progress. */
  fetch?: typeof fetch | undefined;
}

/** What {@link createUpload} takes. */
export interface UploadOptions extends ConnectionOptions {
  /** For example a `FileList`. It is copied at once; the files are read by `start()`. */
  files: Iterable<File | FileInput>;
  metadata: Metadata;
  /** Continues this session, as {@link findUploads} found it, with files of the same names. */
  sessionId?: string | undefined;
  /**
   * Whether to remove from JPEG, PNG and WebP pictures where they were taken, before anything is computed or sent.
   * Default `false`; an upload that is resumed does what it did before.
   */
  removeLocation?: boolean | undefined;
  /** Checksums to compute of every file, which the server compares with what it stored. Default none. */
  checksums?: readonly ("sha256" | "md5")[] | undefined;
  /** Which way parts go where the service leaves that to the client. Default `direct`, straight to the bucket. */
  uploadMode?: "through" | "direct" | undefined;
  /** Requests with parts at once, over all files. Default 4, 16 at most. */
  concurrency?: number | undefined;
  /** Where the upload is remembered. Default `localStorage` if there is one; `null`: nowhere. */
  storage?: UploadStorage | null | undefined;
  /** Aborting it cancels the upload. */
  signal?: AbortSignal | undefined;
  /** For live progress. Default: the global one; without any, progress comes from the responses alone. */
  WebSocket?: (new (url: string) => WebSocketLike) | undefined;
}

/** An upload of some files that become one MOC. */
export interface Upload {
  readonly state: UploadState;
  readonly progress: Progress;
  /** What is published with the files: as given, or with the number that made the title unique. */
  readonly metadata: Metadata;
  /** The server's id of the session, once there is one. */
  readonly sessionId: string | undefined;
  /** Why it failed. */
  readonly error: UploadError | undefined;
  /** What was published. */
  readonly moc: Moc | undefined;
  /** Calls `listener` with each new state; returns what ends that. */
  on(event: "state", listener: (state: UploadState) => void): () => void;
  /** Calls `listener` with the progress, every 100 ms at most; the last one always comes. Returns what ends that. */
  on(event: "progress", listener: (progress: Progress) => void): () => void;
  /** Calls `listener` with warnings, which the console has as well; each comes once. Returns what ends that. */
  on(event: "warning", listener: (warning: UploadWarning) => void): () => void;
  /**
   * Runs the upload to its end. While it runs, returns the same promise. After `failed`, continues with what failed, and
   * with other metadata where they are given.
   *
   * Rejects with an {@link UploadError}; after a cancellation with `ABORTED`, once the server knows of it.
   */
  start(metadata?: Metadata): Promise<Moc>;
  /** Stops all requests until {@link Upload.resume}. Nothing happens where none run, or when it is being finalized. */
  pause(): void;
  resume(): void;
  /**
   * Takes a file out of the upload, for example one that was rejected: an upload that runs continues without it, one that
   * has failed with the next `start()`. The server deletes what it has of it. Nothing happens once the upload is being
   * finalized, or to a file that it does not have.
   */
  removeFile(file: Pick<FileProgress, "category" | "name">): void;
  /**
   * Ends the upload, deletes on the server what there is of it, and forgets it.
   *
   * Rejects with an {@link UploadError} if the server could not be reached, which can be retried, or if it had
   * published the upload already.
   */
  cancel(): Promise<void>;
}

/** Digests of parts, in their order; there is none of a part that was not sent. */
export type Digests = (string | null | undefined)[];

/** A file of an upload that is remembered. */
export interface StoredFile {
  name: string;
  category: Category;
  type: string;
  sizeBytes: number;
  fileId?: string | undefined;
  /** Of what was sent of it: 128 bits each, in base64. An upload that is published has none. */
  digests?: Digests | undefined;
}

/** An upload that is remembered. */
export interface StoredUpload {
  sessionId: string;
  title: string;
  /** RFC 3339. */
  createdAt: string;
  /** RFC 3339; the server extends the session while it is used. */
  expiresAt: string;
  metadata: Metadata;
  files: StoredFile[];
  /** As it was asked for. */
  removeLocation?: boolean | undefined;
  /** What it became. */
  mocId?: string | undefined;
  status: "active" | "finalized";
}

/** Which uploads are meant. */
export interface StoredUploadsOptions {
  /** Default `localStorage` if there is one. */
  storage?: UploadStorage | null | undefined;
  /** Default: the page's origin. */
  baseUrl?: string | undefined;
}

/** The way by which progress comes to whoever watches. */
export type WatchTransport = "websocket" | "server-sent-events" | "polling";

/** The progress of a session that somebody else uploads. `sentBytes` is `storedBytes`: only the server is heard. */
export type WatchedProgress = Progress & {
  status: SessionStatus;
  /** The way by which it came; `polling` until something else is connected. */
  transport: WatchTransport;
};

/** What {@link watchUpload} takes. */
export interface WatchOptions extends ConnectionOptions {
  sessionId: string;
  onProgress(progress: WatchedProgress): void;
  /** Called once when the session has ended, with what it became, if anything. */
  onEnd?(mocId?: string): void;
  /** Called once where the session cannot be watched any longer. */
  onError?(error: UploadError): void;
  /** Aborting it ends the watching. */
  signal?: AbortSignal | undefined;
  /** Default: the global one; without any, progress comes by server-sent events. */
  WebSocket?: (new (url: string) => WebSocketLike) | undefined;
}
