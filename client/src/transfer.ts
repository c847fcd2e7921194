import type { Api, PartCall } from "./api.js";
import { digestOf } from "./digest.js";
import { hasCode, problemOf, UploadError, unreadable } from "./error.js";
import type { UploadFile } from "./file.js";
import { type Gate, Paused } from "./gate.js";
import { toHex } from "./input.js";
import { BATCH_MAX_BYTES } from "./limits.js";
import { type OnWaiting, type RetryPolicy, waitToRetry } from "./retry.js";
import { forEach, Slots } from "./slots.js";

/**
 * A batch saves a round trip and a browser's preflight for each part, which pays for two or three of them: with a
 * round trip of 100 ms, two parts take 155 ms together and 184 ms apart. A single part has nothing to save, and of
 * more parts too much is sent again after a broken connection.
 */
const BATCH_PARTS = { min: 2, max: 3 };
/** The parts of a batch, in bytes: the form around them needs some room. */
const BATCH_PARTS_MAX_BYTES = BATCH_MAX_BYTES - 64 * 1024;

/** How often a completion that lacks parts is tried. */
const COMPLETIONS_MAX = 3;

/** What {@link transferTo} works with. */
export interface TransferOptions {
  api: Api;
  sessionId: string;
  partSizeBytes: number;
  gate: Gate;
  /** Requests with parts at once, over all files. */
  concurrency: number;
  policy: RetryPolicy;
  checksums: readonly ("sha256" | "md5")[];
  /** Called when there is more to remember of a file. */
  onKnown(): void;
  onProgress(): void;
  onWaiting: OnWaiting;
}

/** Returns the function that uploads a file: registers it, sends its parts and completes it, as far as needed. */
export function transferTo({
  api,
  sessionId,
  partSizeBytes,
  gate,
  concurrency,
  policy,
  checksums,
  onKnown,
  onProgress,
  onWaiting,
}: TransferOptions): (file: UploadFile) => Promise<void> {
  const slots = new Slots(concurrency);

  const computeChecksums = async (file: UploadFile) => {
    if (checksums.length === 0) {
      return;
    }
    file.state = "hashing";
    onProgress();
    const { digestsOf } = await import("./checksum.js");
    const digests = await digestsOf(file.input.blob, checksums, () => gate.passed()).catch((error: unknown) => {
      throw error instanceof UploadError ? error : unreadable(error);
    });
    file.checksums = Object.fromEntries(checksums.map((name) => [name, toHex(digests[name])]));
  };

  const register = async (file: UploadFile) => {
    const { declaration, checksums } = file;
    const body = checksums ? { ...declaration, checksums } : declaration;
    try {
      const { fileId } = await gate.run((signal) => api.registerFile(sessionId, body, { signal }));
      file.registered(fileId, partSizeBytes);
    } catch (error) {
      const duplicate = problemOf(error, "DUPLICATE_FILE");
      if (!duplicate) {
        throw error;
      }
      // The response to an earlier attempt was lost.
      file.registered(duplicate.fileId, partSizeBytes);
      file.isUnsure = true;
    }
    onKnown();
  };

  /** Asks what is stored. A part whose bytes are not known is sent again. */
  const askForParts = async (file: UploadFile) => {
    const { parts } = await gate.once((signal) => api.listParts(sessionId, file.fileId!, { signal }));
    file.stored(parts.map(({ partNumber }) => partNumber).filter((number) => file.digests[number - 1]));
    file.isUnsure = false;
    onProgress();
  };

  /** Remembers the bytes of parts before they are sent: whoever resumes the upload has to find the same ones. */
  const digest = async (file: UploadFile, numbers: number[]) => {
    for (const number of numbers) {
      const digest = await digestOf(file.part(number)).catch((cause: unknown) => {
        throw unreadable(cause);
      });
      // Some browsers read what is in the file now, although it is not what was chosen.
      if ((file.digests[number - 1] ??= digest) !== digest) {
        throw unreadable(new Error("The file has other bytes than before."));
      }
    }
    onKnown();
  };

  /** Makes a request with these parts. */
  const send = async (
    file: UploadFile,
    numbers: number[],
    sizeBytes: number,
    request: (options: PartCall) => Promise<unknown>,
  ) => {
    const first = numbers[0]!;
    const onSent = (bytes: number) => {
      // A form is larger than what it carries.
      file.sent(first, Math.min(bytes, sizeBytes));
      onProgress();
    };
    try {
      await digest(file, numbers);
      await gate.once((signal) => request({ signal, onSent }));
      file.stored(numbers);
    } finally {
      file.ended(first);
      onProgress();
    }
  };

  const sendPart = (file: UploadFile, number: number) => {
    const bytes = file.part(number);
    return send(file, [number], bytes.size, (call) => api.putPart(sessionId, file.fileId!, number, bytes, call));
  };

  /** Sends all parts that are missing. Where that fails, those that the server has not are sent alone. */
  const sendBatch = async (file: UploadFile) => {
    const numbers = file.missing;
    const parts = new Map(numbers.map((number) => [number, file.part(number)]));
    try {
      await send(file, numbers, file.missingBytes, (call) => api.putBatch(sessionId, file.fileId!, parts, call));
    } catch (error) {
      if (!(error instanceof UploadError) || error.code === "ABORTED") {
        throw error;
      }
      file.hasBatchFailed = file.isUnsure = true;
      if (error.retryable) {
        await gate.once((signal) => waitToRetry(error, 1, policy, signal, onWaiting));
      }
    }
  };

  const sendParts = async (file: UploadFile) => {
    while (file.missing.length > 0) {
      try {
        if (file.isUnsure) {
          await askForParts(file);
        } else if (isForBatch(file)) {
          await slots.use(() => sendBatch(file));
        } else {
          await forEach(file.missing, concurrency, (number) => slots.use(() => sendPart(file, number)));
        }
      } catch (error) {
        if (hasCode(error, "FILE_ALREADY_COMPLETED")) {
          return;
        }
        if (!(error instanceof Paused)) {
          throw error;
        }
        file.isUnsure = true;
        await gate.passed();
      }
    }
  };

  /** Sends what is missing, and completes the file; the server says what it lacks. */
  const complete = async (file: UploadFile) => {
    for (let attempts = 1; ; attempts += 1) {
      await sendParts(file);
      try {
        await gate.run((signal) => api.completeFile(sessionId, file.fileId!, { signal }));
        return;
      } catch (error) {
        const lacking = problemOf(error, "PART_COUNT_MISMATCH");
        if (!lacking || attempts === COMPLETIONS_MAX) {
          throw error;
        }
        file.lacks(lacking.missing);
      }
    }
  };

  return async (file) => {
    if (file.fileId === undefined) {
      await computeChecksums(file);
      await register(file);
    }
    file.state = "uploading";
    onProgress();
    await complete(file);
    file.completed();
    onProgress();
  };
}

function isForBatch({ missing, missingBytes, hasBatchFailed }: UploadFile): boolean {
  const pays = missing.length >= BATCH_PARTS.min && missing.length <= BATCH_PARTS.max;
  return pays && !hasBatchFailed && missingBytes <= BATCH_PARTS_MAX_BYTES;
}
