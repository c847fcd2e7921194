/** What was published, as it stands on the server. */

import { createApi, type Moc } from "moc-uploads";
import { useEffect, useState } from "preact/hooks";
import { token, tokenIfAny } from "./sign-in.tsx";

/** Calls in the background: they never ask for a token. */
export const api = createApi({ token: tokenIfAny });

/** Thumbnails are made within a minute after a MOC is published, or not at all. */
const THUMBNAIL_WITHIN_MS = 60_000;
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 8_000;

/**
 * A MOC by its id, `undefined` until it is known. An old one is requested once, a new one again until its
 * thumbnail is there where it is new: as one is that is `known` already, because this tab has just published it.
 */
export function useMoc(id: string, known?: Moc): Moc | undefined {
  const [moc, setMoc] = useState(known);
  const access = token.value;
  useEffect(() => {
    const ended = new AbortController();
    const begunAt = Date.now();
    const isPatient = (found: Moc) => {
      const publishedAt = known ? begunAt : Math.min(begunAt, Date.parse(found.createdAt));
      return Date.now() < publishedAt + THUMBNAIL_WITHIN_MS;
    };
    const look = async () => {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        const found = await api.getMoc(id, { signal: ended.signal });
        setMoc(found);
        if (found.thumbnailUrl || found.imageKeys.length === 0 || !isPatient(found)) return;
        await pause(pauseMs, ended.signal);
      }
    };
    // If it cannot be had, there is a placeholder.
    look().catch(() => {});
    return () => ended.abort();
  }, [id, access]);
  return moc;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
