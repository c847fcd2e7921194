/** Tells screen readers of an upload's way: not of each percent. */

import type { Upload } from "moc-uploads";
import { announcement } from "./announcement.ts";
import { isolated, list, percent } from "./format.ts";

const MILESTONES_PERCENT = [25, 50, 75];

/** Announces an upload's start, pauses, milestones and finished files. The response ends that. */
export function announceMilestones(upload: Upload): () => void {
  const done = new Set<string>();
  let reached = 0;
  let waited = false;
  let before = upload.state;
  const ends = [
    upload.on("state", (state) => {
      if (state === "paused") announcement.value = "Paused.";
      else if (state === "uploading" && before === "paused") announcement.value = "Uploading again.";
      else if (state === "uploading") announcement.value = `Uploading ${isolated(upload.metadata.title)}.`;
      else if (state === "finalizing") announcement.value = "All files have arrived. Publishing.";
      before = state;
    }),
    upload.on("progress", ({ files, storedBytes, totalBytes, waiting }) => {
      const arrived = files
        .filter(({ name, state }) => state === "completed" && !done.has(name))
        .map(({ name }) => name);
      for (const name of arrived) done.add(name);
      const milestone = MILESTONES_PERCENT.findLast((share) => percent(storedBytes, totalBytes) >= share) ?? 0;
      const told: string[] = [];
      if (waiting && !waited) told.push("Nothing arrives for now. Waiting.");
      if (!waiting && waited) told.push("Going on.");
      waited = waiting !== undefined;
      if (arrived.length > 0) told.push(`${list(arrived)} done.`);
      if (milestone > reached) told.push(`${milestone} % uploaded.`);
      reached = Math.max(reached, milestone);
      if (told.length > 0) announcement.value = told.join(" ");
    }),
  ];
  return () => ends.forEach((end) => end());
}
