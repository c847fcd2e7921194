/** Sizes, times and shares as people read them. */

import { t } from "./catalogue/index.ts";
import { isolated } from "./catalogue/intl.ts";

const SECOND_MS = 1_000;
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;

const dateTime = new Intl.DateTimeFormat(t.locale, { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat(t.locale, { timeStyle: "short" });
const names = new Intl.ListFormat(t.locale, { type: "conjunction" });
const durations = new Intl.ListFormat(t.locale, { type: "unit", style: "narrow" });
const share = new Intl.NumberFormat(t.locale, { style: "percent" });
const whole = new Intl.NumberFormat(t.locale, { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat(t.locale, { maximumFractionDigits: 1 });

/** A number of bytes with its unit: `3.1 MiB`. `Intl` has decimal units only, and limits are powers of two. */
export function bytes(count: number): string {
  const unit = unitOf(count);
  return t.sizeWithUnit(inUnit(count, unit), t.units(count)[unit] ?? "");
}

/** A part of a whole, in the unit of the whole: `3.1 of 12 MiB`. */
export function bytesOf(done: number, total: number): string {
  return t.sizeOfTotal(inUnit(done, unitOf(total)), bytes(total));
}

/** Whole per cent, rounded down: 100 only if all is done. Nothing of nothing is 0. */
export function percent(done: number, total: number): number {
  return total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 0;
}

/** Per cent with its sign. */
export function percentText(value: number): string {
  return share.format(value / 100);
}

/** A speed: `2.4 MiB/s`. */
export function speed(bytesPerSecond: number): string {
  return t.perSecond(bytes(bytesPerSecond));
}

/** A duration, roughly: `12 sec left`, `3 min left`, `2 hr 5 min left`. */
export function timeLeft(seconds: number): string {
  if (seconds < MINUTE_SECONDS) return t.timeLeft(inTimeUnit(Math.max(1, Math.ceil(seconds)), "second"));
  const minutes = Math.ceil(seconds / MINUTE_SECONDS);
  if (seconds < HOUR_SECONDS) return t.timeLeft(inTimeUnit(minutes, "minute"));
  const hours = Math.floor(minutes / MINUTE_SECONDS);
  return t.timeLeft(durations.format([inTimeUnit(hours, "hour"), inTimeUnit(minutes % MINUTE_SECONDS, "minute")]));
}

/** A point in time, from RFC 3339. */
export function moment(timestamp: string): string {
  return dateTime.format(new Date(timestamp));
}

/** The time of day in so many milliseconds. */
export function timeAfter(milliseconds: number): string {
  return time.format(new Date(Math.ceil((Date.now() + milliseconds) / SECOND_MS) * SECOND_MS));
}

/** Names in a sentence: `a, b and c`. */
export function list(items: readonly string[]): string {
  return names.format(items.map(isolated));
}

function inTimeUnit(value: number, unit: "second" | "minute" | "hour"): string {
  return new Intl.NumberFormat(t.locale, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

function unitOf(count: number): number {
  return count < 1024 ? 0 : Math.min(t.units(count).length - 1, Math.floor(Math.log2(count) / 10));
}

function inUnit(count: number, unit: number): string {
  const value = count / 1024 ** unit;
  return (unit === 0 || value >= 100 ? whole : fraction).format(value);
}
