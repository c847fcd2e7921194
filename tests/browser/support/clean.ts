import { rmSync } from "node:fs";
import { artefact } from "./artefacts.ts";

/** Removes what an earlier run has left, so that nothing of it is taken for this one's. */
export default function setup(): void {
  rmSync(artefact(""), { recursive: true, force: true });
}
