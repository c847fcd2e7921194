/** `upload` and `resume`. */

import { WebSocket } from "ws";

import { createUpload, type Metadata, type UploadError, type UploadOptions } from "../src/index.js";
import { openFiles } from "./files.js";
import { CommandError, type Common, type ResumeCommand, type UploadCommand, UsageError } from "./options.js";
import { errorReport, progressReport, type View } from "./report.js";
import { onSignal, signalStatus } from "./signals.js";
import type { SavedUpload, UploadStore } from "./store.js";

/** Uploads files; returns the exit status. */
export function upload(command: UploadCommand, store: UploadStore, view: View): Promise<number> {
  const { baseUrl, checksums, files, metadata, removeLocation } = command;
  return run(command, store.create({ baseUrl, files, checksums }), view, { metadata, removeLocation });
}

/** Continues an upload; returns the exit status. */
export function resume(command: ResumeCommand, store: UploadStore, view: View): Promise<number> {
  const saved = findSaved(command.sessionId, store);
  const { metadata, removeLocation, sessionId } = saved.record!;
  if (command.files.length > 0) {
    saved.settings.files = command.files;
  }
  return run(command, saved, view, { metadata: { ...metadata, ...command.metadata }, removeLocation, sessionId });
}

/**
 * The upload with this session, or the only one. Throws a {@link CommandError} if there is none, and a
 * {@link UsageError} if there are several.
 */
export function findSaved(sessionId: string | undefined, store: UploadStore): SavedUpload {
  const all = store.all();
  const [found, ...others] = all.filter(({ record }) => sessionId === undefined || record?.sessionId === sessionId);
  if (!found) {
    const which = sessionId === undefined ? "" : ` with the session '${sessionId}'`;
    throw new CommandError("NO_UPLOAD", `This machine has no interrupted upload${which}.`);
  }
  if (others.length > 0) {
    throw new UsageError(`There are ${all.length} interrupted uploads. \`moc-uploads list\` shows their session ids.`);
  }
  return found;
}

/** How an upload connects. */
export function connectionOf({ attempts, token }: Common): Pick<UploadOptions, "retry" | "token" | "WebSocket"> {
  return {
    retry: { attempts },
    token: token === undefined ? undefined : () => token,
    // Node.js has one from version 22 on.
    WebSocket: globalThis.WebSocket ?? WebSocket,
  };
}

async function run(
  command: UploadCommand | ResumeCommand,
  saved: SavedUpload,
  view: View,
  what: { metadata: Metadata; removeLocation: boolean | undefined; sessionId?: string },
): Promise<number> {
  const { baseUrl, checksums, files } = saved.settings;
  const resumable = () => saved.record?.sessionId;
  saved.onError = ({ message }) =>
    view.show({ type: "warning", code: "NOT_REMEMBERED", message: `The upload cannot be resumed later: ${message}` });
  const fail = (error: unknown): number => {
    view.show({ type: "error", ...errorReport(error), resume: resumable() });
    return 1;
  };

  let upload: ReturnType<typeof createUpload>;
  try {
    upload = createUpload({
      ...connectionOf(command),
      ...what,
      baseUrl,
      checksums,
      files: await openFiles(files, what.removeLocation === true),
      concurrency: command.concurrency,
      storage: saved,
    });
  } catch (error) {
    return fail(error);
  }
  upload.on("state", (state) => view.show({ type: "state", state, sessionId: upload.sessionId }));
  upload.on("progress", (progress) => view.show(progressReport(progress)));
  upload.on("warning", ({ code, message }) => view.show({ type: "warning", code, message }));

  const interrupted = new Promise<number>((resolve) => {
    onSignal((signal) => {
      upload.pause();
      view.show({ type: "interrupted", signal, command: "upload", resume: resumable() });
      resolve(signalStatus(signal));
    });
  });
  const finished = upload.start().then(
    (moc) => {
      saved.forget();
      view.show({ type: "published", mocId: moc.id, moc });
      return 0;
    },
    (error: UploadError) => {
      if (error.code === "SESSION_NOT_ACTIVE") {
        saved.forget();
      }
      return fail(error);
    },
  );
  return Promise.race([finished, interrupted]);
}
