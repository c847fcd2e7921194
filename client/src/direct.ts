/** Sends parts straight to the bucket. Loaded only if it is needed; it shares nothing with what is loaded always. */

import type { UploadError } from "./error.js";
import type { UploadFile } from "./file.js";
import { PartRecorder } from "./recorder.js";
import type { PartSender, SenderContext } from "./sender.js";
import type { UploadWarning } from "./types.js";
import { UrlSupply } from "./urls.js";

/**
 * How often one part fails without any response before the way counts as blocked. The service is asked for a URL before
 * each attempt and responds to that: a network that is down altogether never gets so far.
 */
const UNHEARD_MAX = 3;

/**
 * Sends parts to the bucket at presigned URLs, and has the service record them. Where a browser may not do that, one
 * warning is given, and all other parts go `through` the service.
 *
 * A browser does not say why a request fails. So the bucket's CORS rules are taken to forbid it if the service responds,
 * the bucket repeatedly does not, and it never has in this upload.
 */
export function sendDirect(
  { api, sessionId, gate, policy, each, digest, waitToRetry, onProgress }: SenderContext,
  through: PartSender,
  onWarning: (warning: UploadWarning) => void,
): PartSender {
  const recorders = new WeakMap<UploadFile, PartRecorder>();
  let isHeard = false;
  let isBlocked = false;

  const block = (url: string, rule: string) => {
    if (!isBlocked) {
      isBlocked = true;
      onWarning({ code: "DIRECT_UPLOAD_BLOCKED", message: warningOf(new URL(url).origin, rule) });
    }
  };

  const recorderOf = (file: UploadFile): PartRecorder => {
    const known = recorders.get(file);
    if (known) {
      return known;
    }
    const recorder = new PartRecorder(async (parts) => {
      await gate.once((signal) => api.recordParts(sessionId, file.fileId!, { parts }, { signal }));
      file.stored(parts.map(({ partNumber }) => partNumber));
      onProgress();
    });
    recorders.set(file, recorder);
    return recorder;
  };

  /** Makes attempts until the bucket has the part; gives its ETag, or `undefined` where the way is blocked. */
  const put = async (file: UploadFile, number: number, bytes: Blob, urls: UrlSupply): Promise<string | undefined> => {
    const onSent = (sent: number) => {
      file.sent(number, sent);
      onProgress();
    };
    for (let attempt = 1; !isBlocked; attempt += 1) {
      const target = await urls.of(number);
      try {
        const etag = await gate.once((signal) => api.putDirect(target, bytes, { signal, onSent }));
        isHeard = true;
        if (etag !== null) {
          return etag;
        }
        block(target.url, "ExposeHeaders: ETag");
      } catch (error) {
        const { code, status = 0 } = error as UploadError;
        isHeard ||= status > 0;
        if (status < 500) {
          // It may have expired. And asking again shows whether there is a network at all.
          urls.forget(number);
        }
        if (code === "NETWORK_ERROR" && !isHeard && attempt >= Math.min(UNHEARD_MAX, policy.attempts)) {
          await urls.of(number);
          block(target.url, "AllowedMethods: PUT, ExposeHeaders: ETag");
        } else {
          await waitToRetry(error, attempt);
        }
      }
    }
    return undefined;
  };

  /** Sends a part, whose bytes count as sent until it is recorded. */
  const sendPart = async (file: UploadFile, number: number, urls: UrlSupply) => {
    if (isBlocked) {
      return;
    }
    const bytes = file.part(number);
    await digest(file, [number]);
    const etag = await put(file, number, bytes, urls).catch((error: unknown) => {
      file.ended(number);
      throw error;
    });
    if (etag === undefined) {
      file.ended(number);
      return;
    }
    urls.used(number);
    file.sent(number, bytes.size);
    onProgress();
    await recorderOf(file).add({ partNumber: number, etag, sizeBytes: bytes.size });
  };

  return {
    send: async (file) => {
      const recorder = recorderOf(file);
      // A pause may have kept parts from being recorded.
      await recorder.flush();
      if (isBlocked) {
        await through.send(file);
        return;
      }
      const numbers = file.missing;
      // Another one each time: after a pause the URLs are old.
      const urls = new UrlSupply(numbers, (partNumbers) =>
        gate.once((signal) => api.getPartUrls(sessionId, file.fileId!, { partNumbers }, { signal })),
      );
      await each(numbers, (number) => sendPart(file, number, urls));
      await recorder.flush();
    },
  };
}

function warningOf(bucketOrigin: string, rule: string): string {
  const pageOrigin = globalThis.location?.origin ?? "this program";
  return (
    `Parts cannot go straight to the bucket at ${bucketOrigin}, so they go through the service. ` +
    `The bucket's CORS rules for ${pageOrigin} lack: ${rule}. See docs/buckets.md of moc-uploads.`
  );
}
