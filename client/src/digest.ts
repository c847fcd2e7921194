/** Bytes that are in memory at once. */
const CHUNK_BYTES = 1024 * 1024;
/** 128 bits in base64, without the padding: enough to tell the versions of a file apart. */
const DIGEST_CHARS = 22;

/**
 * Identifies the bytes of a part: SHA-256 over the SHA-256 of each of its MiBs, truncated, in base64. Web Crypto hashes
 * whole buffers only, and a part may have 100 MiB.
 */
export async function digestOf(part: Blob): Promise<string> {
  const digests: BlobPart[] = [];
  for (let at = 0; at < part.size; at += CHUNK_BYTES) {
    digests.push(await sha256(part.slice(at, at + CHUNK_BYTES)));
  }
  const digest = new Uint8Array(await sha256(new Blob(digests)));
  return btoa(String.fromCharCode(...digest)).slice(0, DIGEST_CHARS);
}

async function sha256(blob: Blob): Promise<ArrayBuffer | Uint8Array<ArrayBuffer>> {
  // Pages that did not come by https have no Web Crypto.
  return globalThis.crypto?.subtle
    ? crypto.subtle.digest("SHA-256", await blob.arrayBuffer())
    : (await (await import("./checksum.js")).digestsOf(blob, ["sha256"])).sha256;
}
