import type { Category } from "./wire.js";

/** What a file is for, its extension, and its media type. */
const KINDS: readonly [category: Category, extension: string, type: string][] = [
  ["instruction", "pdf", "application/pdf"],
  ["parts-list", "csv", "text/csv"],
  ["parts-list", "xml", "application/xml"],
  ["parts-list", "txt", "text/plain"],
  ["parts-list", "json", "application/json"],
  ["image", "jpg", "image/jpeg"],
  ["image", "jpeg", "image/jpeg"],
  ["image", "png", "image/png"],
  ["image", "webp", "image/webp"],
  ["image", "gif", "image/gif"],
];

function kindOf(name: string): (typeof KINDS)[number] | undefined {
  return KINDS.find(([, extension]) => name.toLowerCase().endsWith(`.${extension}`));
}

/** What a file of this name and media type is for; `undefined` if a MOC cannot have it. The name takes precedence. */
export function categoryOf(name: string, type = ""): Category | undefined {
  const essence = type.split(";")[0]!.trim().toLowerCase();
  return (kindOf(name) ?? KINDS.find(([, , known]) => known === essence))?.[0];
}

/** The media type that a file's name says: browsers ask the operating system, which may be wrong. */
export function mediaTypeOf(name: string): string | undefined {
  return kindOf(name)?.[2];
}
