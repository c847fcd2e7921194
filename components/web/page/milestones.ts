/** Announces the progress of an upload to screen readers, in steps. */

import type { Upload } from "moc-uploads";
import { announcement } from "./announcement.ts";
import { t } from "./catalogue/index.ts";
import { list, percent, percentText } from "./format.ts";

const { announce } = t.upload;
const MILESTONES_PERCENT = [25, 50, 75];

/** Announces an upload's start, pauses, milestones and finished files. The returned function ends that. */
export function announceMilestones(upload: Upload): () => void {
  const done = new Set<string>();
  let changed = 0;
  let reached = 0;
  let waited = false;
  let before = upload.state;
  const ends = [
    upload.on("state", (state) => {
      if (state === "paused") announcement.value = announce.paused;
      else if (state === "uploading" && before === "paused") announcement.value = announce.resumed;
      else if (state === "uploading") announcement.value = announce.uploading(upload.metadata.title);
      else if (state === "finalizing") announcement.value = announce.publishing;
      before = state;
    }),
    upload.on("progress", ({ files, storedBytes, totalBytes, waiting }) => {
      const arrived = files
        .filter(({ name, state }) => state === "completed" && !done.has(name))
        .map(({ name }) => name);
      for (const name of arrived) done.add(name);
      const milestone = MILESTONES_PERCENT.findLast((share) => percent(storedBytes, totalBytes) >= share) ?? 0;
      const news: string[] = [];
      const names = files.flatMap(({ isChanged, name }) => (isChanged ? [name] : []));
      if (names.length > changed) news.push(t.upload.changed(list(names), names.length));
      changed = names.length;
      if (waiting && !waited) news.push(announce.stalled);
      if (!waiting && waited) news.push(announce.resumed);
      waited = waiting !== undefined;
      if (arrived.length > 0) news.push(announce.filesDone(list(arrived)));
      if (milestone > reached) news.push(announce.percent(percentText(milestone)));
      reached = Math.max(reached, milestone);
      if (news.length > 0) announcement.value = news.join(" ");
    }),
  ];
  return () => ends.forEach((end) => end());
}
