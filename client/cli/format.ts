/** Numbers and names as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes, for example `1.5 MiB`. */
export function bytes(count: number): string {
  const power = count < 1024 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), UNITS.length - 1);
  const digits = power === 0 ? 0 : 1;
  return `${(count / 1024 ** power).toFixed(digits)} ${UNITS[power]}`;
}

/** A duration, for example `1 h 5 min`. */
export function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours > 0) {
    return `${hours} h ${minutes} min`;
  }
  return minutes > 0 ? `${minutes} min ${Math.floor(seconds) % 60} s` : `${Math.ceil(seconds)} s`;
}

/** Whole percent, of which there are 100 only when everything is done. */
export function percent(part: number, total: number): number {
  return total === 0 ? 100 : Math.floor((part / total) * 100);
}

/** The text without what a terminal would obey, or would let it look different. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, "\uFFFD");
}
