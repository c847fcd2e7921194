/** Sizes, times and shares as people read them. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
const SECOND_MS = 1_000;
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;

const dateTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });

/** A number of bytes with its unit: `3.1 MiB`. */
export function bytes(count: number): string {
  const unit = unitOf(count);
  return `${inUnit(count, unit)} ${nameOf(unit, count)}`;
}

/** How much of a whole is there, in the unit of the whole: `3.1 of 12 MiB`. */
export function bytesOf(done: number, total: number): string {
  const unit = unitOf(total);
  return `${inUnit(done, unit)} of ${inUnit(total, unit)} ${nameOf(unit, total)}`;
}

/** Whole percents, rounded down: 100 only if all is there. Nothing of nothing is 0. */
export function percent(done: number, total: number): number {
  return total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 0;
}

/** A speed: `2.4 MiB/s`. */
export function speed(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** A duration, roughly: `12 s left`, `3 min left`, `2 h 5 min left`. */
export function timeLeft(seconds: number): string {
  if (seconds < MINUTE_SECONDS) return `${Math.max(1, Math.ceil(seconds))} s left`;
  const minutes = Math.ceil(seconds / MINUTE_SECONDS);
  if (seconds < HOUR_SECONDS) return `${minutes} min left`;
  return `${Math.floor(minutes / MINUTE_SECONDS)} h ${minutes % MINUTE_SECONDS} min left`;
}

/** A moment of any day, from RFC 3339. */
export function moment(timestamp: string): string {
  return dateTime.format(new Date(timestamp));
}

/** The time of day that follows after so many milliseconds. */
export function timeAfter(milliseconds: number): string {
  return time.format(new Date(Math.ceil((Date.now() + milliseconds) / SECOND_MS) * SECOND_MS));
}

/** A name in a sentence, which keeps its direction whatever the name's is (UAX #9, isolates). */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}

/** Names in a sentence: `a, b and c`. */
export function list(names: readonly string[]): string {
  return new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names.map(isolated));
}

function unitOf(count: number): number {
  return count < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(count) / 10));
}

function nameOf(unit: number, count: number): string | undefined {
  return count === 1 ? "byte" : UNITS[unit];
}

function inUnit(count: number, unit: number): string {
  const value = count / 1024 ** unit;
  return String(Number(value.toFixed(unit === 0 || value >= 100 ? 0 : 1)));
}
