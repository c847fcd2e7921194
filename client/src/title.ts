import { problemOf } from "./error.js";
import { SLUG_MAX_CHARS } from "./limits.js";

/**
 * The title with the number that makes its slug free, where the server leaves it to the client to choose it. A title
 * so long that the number would have no part in the slug is truncated.
 */
export function numberedTitle(title: string, error: unknown): string | undefined {
  const conflict = problemOf(error, "TITLE_CONFLICT");
  const number = conflict?.retryStrategy === "AUTO_APPEND" && /-(\d+)$/.exec(conflict.suggestedSlug)?.[1];
  if (!number) {
    return undefined;
  }
  const kept = [...title.trim()].slice(0, SLUG_MAX_CHARS - 1 - number.length);
  return `${kept.join("")} ${number}`;
}
