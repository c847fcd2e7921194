import type { Connection } from "./api.js";
import { digestOf } from "./digest.js";
import { hasCode, problemOf, UploadError, unreadable } from "./error.js";
import type { UploadFile } from "./file.js";
import { type Gate, Paused } from "./gate.js";
import { toHex } from "./input.js";
import { type OnWaiting, type RetryPolicy, waitToRetry } from "./retry.js";
import type { PartSender, SenderContext } from "./sender.js";
import { forEach, Slots } from "./slots.js";
import { sendThrough } from "./through.js";
import type { UploadWarning } from "./types.js";

/** How often a completion that lacks parts is tried. */
const COMPLETIONS_MAX = 3;

/** What {@link transferTo} works with. */
export interface TransferOptions {
  api: Connection;
  sessionId: string;
  partSizeBytes: number;
  /** Whether parts go straight to the bucket. */
  isDirect: boolean;
  gate: Gate;
  /** Requests with parts at once, over all files. */
  concurrency: number;
  policy: RetryPolicy;
  checksums: readonly ("sha256" | "md5")[];
  /** Called when there is more to remember of a file. */
  onKnown(): void;
  onProgress(): void;
  onWaiting: OnWaiting;
  /** Called when parts cannot go straight to the bucket: from then on they go through the service. */
  onWarning(warning: UploadWarning): void;
}

/** Returns the function that uploads a file: registers it, sends its parts and completes it, as far as needed. */
export function transferTo({
  api,
  sessionId,
  partSizeBytes,
  isDirect,
  gate,
  concurrency,
  policy,
  checksums,
  onKnown,
  onProgress,
  onWaiting,
  onWarning,
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

  const digest = async (file: UploadFile, numbers: readonly number[]) => {
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

  const context: SenderContext = {
    api,
    sessionId,
    gate,
    policy,
    each: (items, work) => forEach(items, concurrency, (item) => slots.use(() => work(item))),
    digest,
    waitToRetry: (error, attempt) => gate.once((signal) => waitToRetry(error, attempt, policy, signal, onWaiting)),
    onProgress,
  };
  // Where parts are meant to go straight to the bucket, the host may not let a batch through.
  const through = sendThrough(context, !isDirect);
  let sender: Promise<PartSender> | undefined;
  /** Loaded once there are parts to send. A page whose modules were replaced on the server has to do without. */
  const loadDirect = async () => {
    const { sendDirect } = await import("./direct.js");
    return sendDirect(context, through, onWarning);
  };
  const chooseSender = () => (sender ??= isDirect ? loadDirect().catch(() => through) : Promise.resolve(through));

  const sendParts = async (file: UploadFile) => {
    while (file.missing.length > 0) {
      try {
        if (file.isUnsure) {
          await askForParts(file);
        } else {
          await (await chooseSender()).send(file);
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
