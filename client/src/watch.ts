import { createApi } from "./api.js";
import { safely } from "./emitter.js";
import { toUploadError } from "./error.js";
import type { WatchOptions } from "./types.js";

/** Follows a session that another tab, or another machine of the same user, uploads, until it ends. */
export function watchUpload(options: WatchOptions): { close(): void } {
  const { onEnd, onError } = options;
  const api = createApi(options);
  const closing = new AbortController();
  const { signal } = closing;
  const close = () => closing.abort();
  if (options.signal?.aborted) {
    close();
  }
  options.signal?.addEventListener("abort", close, { signal });
  import("./watching/watching.js")
    .then(({ Watching }) => new Watching(options, api, signal).run())
    .then(
      (mocId) => signal.aborted || safely(onEnd, mocId),
      (error: unknown) => signal.aborted || safely(onError, toUploadError(error)),
    )
    .finally(close);
  return { close };
}
