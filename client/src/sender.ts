import type { Connection } from "./api.js";
import type { UploadFile } from "./file.js";
import type { Gate } from "./gate.js";
import type { RetryPolicy } from "./retry.js";

/** A way for parts to go: through the service, or straight to the bucket. */
export interface PartSender {
  /** Sends parts that a file lacks; those that are missing afterwards are to be sent again. Rejects with `Paused`, too. */
  send(file: UploadFile): Promise<void>;
}

/** What both ways need. */
export interface SenderContext {
  api: Connection;
  sessionId: string;
  gate: Gate;
  policy: RetryPolicy;
  /** Does `work` for requests with parts in order, as many at once as may be over all files. */
  each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void>;
  /** Remembers the bytes of parts before they are sent: whoever resumes the upload has to find the same ones. */
  digest(file: UploadFile, numbers: readonly number[]): Promise<void>;
  /** Waits before the next attempt; throws `error` if another attempt cannot help. */
  waitToRetry(error: unknown, attempt: number): Promise<void>;
  onProgress(): void;
}
