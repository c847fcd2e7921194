import { fileURLToPath } from "node:url";

/** Where something that a run leaves to be looked at belongs. */
export function artefact(path: string): string {
  return fileURLToPath(new URL(`../../../target/browser/${path}`, import.meta.url));
}
