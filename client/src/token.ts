import { UploadError } from "./error.js";
import type { TokenSource } from "./types.js";

/** A token that is on its way or there; `undefined` if none is needed. */
export type Token = Promise<string | undefined>;

/** The access token of many requests: asked for once, and refreshed once where several are rejected together. */
export interface TokenKeeper {
  /** The token as it is now. Rejects with `UNAUTHORIZED` where the callback fails; the next call asks it again. */
  get(): Token;
  /** Has `rejected` replaced, unless another request has done so. False where there is nobody to ask. */
  refresh(rejected: Token): boolean;
}

/** Keeps the tokens of this callback. */
export function tokenKeeper(source: TokenSource | undefined): TokenKeeper {
  let current: Token | undefined;
  const ask = (refresh: boolean): Token => {
    const token = (async () => source?.({ refresh }))().catch((cause: unknown) => {
      if (current === token) {
        current = undefined;
      }
      throw new UploadError("UNAUTHORIZED", "The access token could not be fetched.", { status: 401, cause });
    });
    // Callers get the rejection; it is not unhandled if there are none.
    token.catch(() => {});
    current = token;
    return token;
  };
  return {
    get: () => current ?? ask(false),
    refresh: (rejected) => {
      if (source && current === rejected) {
        ask(true);
      }
      return source !== undefined;
    },
  };
}
