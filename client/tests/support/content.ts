/** Files to upload. The server looks at their first bytes. */

export const MIB = 1024 * 1024;
/** The part size of a stack that is not configured otherwise. */
export const PART_BYTES = 5 * MIB;

/** So many bytes that look random and are the same every time. */
export function noise(bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  // xorshift32 (Marsaglia, 2003); its state must not be zero.
  let state = seed | 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes).slice();
}

function starting(start: string, bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const file = noise(bytes, seed);
  file.set(Buffer.from(start, "latin1"));
  return file;
}

/** A PDF of so many bytes, by its first bytes. */
export function pdf(bytes: number, seed = bytes): Uint8Array<ArrayBuffer> {
  return starting("%PDF-1.7\n", bytes, seed);
}

/** A PNG of so many bytes, by its first bytes. */
export function png(bytes: number, seed = bytes): Uint8Array<ArrayBuffer> {
  return starting("\x89PNG\r\n\x1a\n", bytes, seed);
}

/** A CSV with so many lines. */
export function csv(lines: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(`part,colour,count\n${"3001,red,12\n".repeat(lines)}`));
}
