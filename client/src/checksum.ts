/** Loaded only if it is needed. */

import { md5 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";

const HASHES = { md5, sha256 };

/** Bytes that are in memory at once. */
const CHUNK_BYTES = 1024 * 1024;

/** Hashes of a blob, which is read a chunk at a time; `next` is awaited before each. */
export async function digestsOf<Name extends keyof typeof HASHES>(
  blob: Blob,
  names: readonly Name[],
  next?: () => Promise<void>,
): Promise<Record<Name, Uint8Array<ArrayBuffer>>> {
  const hashes = names.map((name) => [name, HASHES[name].create()] as const);
  for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
    await next?.();
    const chunk = new Uint8Array(await blob.slice(at, at + CHUNK_BYTES).arrayBuffer());
    hashes.forEach(([, hash]) => hash.update(chunk));
  }
  return Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest()])) as Record<
    Name,
    Uint8Array<ArrayBuffer>
  >;
}
