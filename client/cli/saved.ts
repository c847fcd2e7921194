/** `list` and `cancel`. */

import { createApi, UploadError } from "../src/index.js";
import type { CancelCommand } from "./options.js";
import { errorReport, type View } from "./report.js";
import type { UploadStore } from "./store.js";
import { connectionOf, findSaved } from "./upload.js";

/** Shows the uploads that can be resumed; returns the exit status. */
export function list(store: UploadStore, view: View): number {
  for (const { record, settings } of store.all()) {
    const { sessionId, title, createdAt, expiresAt } = record!;
    const files = record!.files.map(({ name, sizeBytes }, index) => {
      return { name, path: settings.files[index]?.path, sizeBytes };
    });
    view.show({ type: "upload", sessionId, title, baseUrl: settings.baseUrl, createdAt, expiresAt, files });
  }
  return 0;
}

/** Cancels an upload that can be resumed; returns the exit status. */
export async function cancel(command: CancelCommand, store: UploadStore, view: View): Promise<number> {
  const saved = findSaved(command.sessionId, store);
  const api = createApi({ ...connectionOf(command), baseUrl: saved.settings.baseUrl });
  try {
    await api.cancelSession(command.sessionId);
  } catch (error) {
    // A session that the server does not have needs no cancellation.
    if (!(error instanceof UploadError) || error.code !== "NOT_FOUND") {
      view.show({ type: "error", ...errorReport(error) });
      return 1;
    }
  }
  saved.forget();
  view.show({ type: "cancelled", sessionId: command.sessionId });
  return 0;
}
