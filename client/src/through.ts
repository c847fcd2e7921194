import type { PartCall } from "./api.js";
import { UploadError } from "./error.js";
import type { UploadFile } from "./file.js";
import { BATCH_MAX_BYTES } from "./limits.js";
import type { PartSender, SenderContext } from "./sender.js";

/**
 * A batch saves a round trip and a browser's preflight for each part, which pays for two or three of them: with a
 * round trip of 100 ms, two parts take 155 ms together and 184 ms apart. A single part has nothing to save, and of
 * more parts too much is sent again after a broken connection.
 */
const BATCH_PARTS = { min: 2, max: 3 };
/** The parts of a batch, in bytes: the form around them needs some bytes, too. */
const BATCH_PARTS_MAX_BYTES = BATCH_MAX_BYTES - 64 * 1024;

/** Sends parts through the service: two or three together if it `takesBatches`, and others alone. */
export function sendThrough(context: SenderContext, takesBatches: boolean): PartSender {
  const { api, sessionId, gate, each, digest, waitToRetry, onProgress } = context;
  /** Makes a request with these parts. */
  const request = async (
    file: UploadFile,
    numbers: number[],
    sizeBytes: number,
    send: (options: PartCall) => Promise<unknown>,
  ) => {
    const first = numbers[0]!;
    const onSent = (bytes: number) => {
      // A form is larger than what it carries.
      file.sent(first, Math.min(bytes, sizeBytes));
      onProgress();
    };
    try {
      await digest(file, numbers);
      await gate.once((signal) => send({ signal, onSent }));
      file.stored(numbers);
    } finally {
      file.ended(first);
      onProgress();
    }
  };

  const sendPart = (file: UploadFile, number: number) => {
    const bytes = file.part(number);
    return request(file, [number], bytes.size, (call) => api.putPart(sessionId, file.fileId!, number, bytes, call));
  };

  /** Sends all parts that are missing. Where that fails, those that the server has not are sent alone. */
  const sendBatch = async (file: UploadFile) => {
    const numbers = file.missing;
    const parts = new Map(numbers.map((number) => [number, file.part(number)]));
    try {
      await request(file, numbers, file.missingBytes, (call) => api.putBatch(sessionId, file.fileId!, parts, call));
    } catch (error) {
      if (!(error instanceof UploadError) || error.code === "ABORTED") {
        throw error;
      }
      file.hasBatchFailed = file.isUnsure = true;
      if (error.retryable) {
        await waitToRetry(error, 1);
      }
    }
  };

  return {
    send: (file) =>
      takesBatches && isForBatch(file)
        ? each([file], sendBatch)
        : each(file.missing, (number) => sendPart(file, number)),
  };
}

function isForBatch({ missing, missingBytes, hasBatchFailed }: UploadFile): boolean {
  const pays = missing.length >= BATCH_PARTS.min && missing.length <= BATCH_PARTS.max;
  return pays && !hasBatchFailed && missingBytes <= BATCH_PARTS_MAX_BYTES;
}
