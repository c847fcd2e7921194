/** What the page shows, and how one screen leads to the next. */

import { batch, signal } from "@preact/signals";
import { type FileProgress, type Metadata, type Moc, UploadError, type UploadOptions } from "moc-uploads";
import { announcement } from "./announcement.ts";
import { t } from "./catalogue/index.ts";
import { type Draft, NO_DRAFT } from "./draft.ts";
import { type Explanation, explain } from "./explain.ts";
import { prepareRun, type Run } from "./run.ts";

export type Screen =
  /** `returned` from another screen. */
  { at: "choosing"; returned: boolean } | { at: "uploading"; run: Run } | { at: "finished"; moc: Moc };

/** What the page shows now. */
export const screen = signal<Screen>({ at: "choosing", returned: false });
/** What is in the form. */
export const draft = signal<Draft>(NO_DRAFT);
/** Why an earlier upload could not continue. */
export const rejection = signal<{ sessionId: string; explanation: Explanation } | undefined>(undefined);

const ELSEWHERE: Explanation = {
  happened: t.earlier.uploadedElsewhere,
  advice: t.earlier.uploadedElsewhereAdvice,
  tryAgain: false,
};

/** Starts an upload, or resumes the given session. */
export async function begin(options: Pick<UploadOptions, "files" | "metadata" | "sessionId">): Promise<void> {
  rejection.value = undefined;
  const run = await prepareRun(options);
  if (run !== undefined) {
    screen.value = { at: "uploading", run };
    await proceed(run);
  } else if (options.sessionId !== undefined) {
    rejection.value = { sessionId: options.sessionId, explanation: ELSEWHERE };
  }
}

/** Runs an upload to its end, with other metadata where there are any. If it fails, its screen says why. */
export async function proceed(run: Run, metadata?: Metadata): Promise<void> {
  try {
    const moc = await run.upload.start(metadata);
    run.end();
    batch(() => {
      if (run.resumed === undefined) draft.value = NO_DRAFT;
      announcement.value = t.upload.announce.published(moc.title);
      screen.value = { at: "finished", moc };
    });
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    if (error.code === "FILE_MISMATCH") leave(run, explain(error));
  }
}

/** Takes a file out of an upload, and out of the form. A failed upload continues once it has no failed file left. */
export function takeOut(run: Run, file: FileProgress): void {
  run.upload.removeFile(file);
  if (run.resumed === undefined) {
    draft.value = { ...draft.value, files: draft.value.files.filter(({ name }) => name.trim() !== file.name) };
  }
  announcement.value = t.form.removed(file.name);
  const hasFailed = run.upload.progress.files.some(({ error }) => error);
  if (run.state.value === "failed" && !hasFailed) void proceed(run);
}

/** Cancels an upload. If the server cannot be reached, it is listed among the earlier uploads and can be discarded there. */
export async function cancel(run: Run): Promise<void> {
  try {
    await run.upload.cancel();
    announcement.value = t.upload.announce.cancelled;
    leave(run);
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    leave(run, { ...explain(error), happened: t.upload.notCancelled(explain(error).happened) });
  }
}

/** Returns to the form, which keeps its content. The reason is shown at the session. */
export function leave(run: Run, explanation?: Explanation): void {
  run.end();
  const shown = screen.value;
  const sessionId = run.sessionId.value;
  batch(() => {
    if (explanation && sessionId !== undefined) rejection.value = { sessionId, explanation };
    if (shown.at === "uploading" && shown.run === run) screen.value = { at: "choosing", returned: true };
  });
}
