/** The upload of this tab. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { createUpload, type Progress, type Upload, type UploadOptions, type UploadState } from "moc-uploads";
import { claim } from "./claims.ts";
import { announceMilestones } from "./milestones.ts";
import { tokenOrAsk } from "./sign-in.tsx";

/** An upload that can be watched. */
export interface Run {
  readonly upload: Upload;
  readonly state: ReadonlySignal<UploadState>;
  readonly progress: ReadonlySignal<Progress>;
  /** The session that it uses; another one once that has expired. */
  readonly sessionId: ReadonlySignal<string | undefined>;
  /** The earlier session that it continues with. */
  readonly resumed: string | undefined;
  /** Releases its locks and listeners. The upload itself continues. */
  end(): void;
}

/** Prepares an upload; `undefined` where another tab has its session. */
export async function prepareRun(
  options: Pick<UploadOptions, "files" | "metadata" | "sessionId">,
): Promise<Run | undefined> {
  const resumed = options.sessionId;
  const release = resumed === undefined ? undefined : await claim(resumed);
  if (resumed !== undefined && release === undefined) return undefined;

  const upload = createUpload({ ...options, checksums: ["sha256"], removeLocation: true, token: tokenOrAsk });
  const state = signal(upload.state);
  const progress = signal(upload.progress);
  const sessionId = signal(resumed);
  const look = () => {
    progress.value = upload.progress;
    sessionId.value = upload.sessionId;
  };
  const held = new Set(release ? [release] : []);
  let over = false;
  const hold = async (id: string) => {
    const release = await claim(id);
    if (release === undefined) return;
    if (over) release();
    else held.add(release);
  };
  const listening = [
    announceMilestones(upload),
    upload.on("state", (next) => {
      state.value = next;
      look();
    }),
    upload.on("progress", look),
    sessionId.subscribe((id) => {
      if (id !== undefined && id !== resumed) void hold(id);
    }),
  ];
  const end = () => {
    over = true;
    for (const stop of [...listening, ...held]) stop();
  };
  return { upload, state, progress, sessionId, resumed, end };
}
