/** What the rows of earlier uploads share. */

import type { StoredUpload } from "moc-uploads";
import { moment } from "../format.ts";

/** An earlier upload in the list. */
export interface Row {
  stored: StoredUpload;
  /** Reads the list again. */
  onChange: () => void;
  /** Takes it off the list, and says so in these words. */
  onForget: (words: string) => void;
}

/** What an earlier upload is called, when it began and where it stands. Its session's id is that of its heading. */
export function Title({ stored, state }: { stored: StoredUpload; state: string }) {
  return (
    <div>
      <h3 id={stored.sessionId}>
        <bdi>{stored.title}</bdi>
      </h3>
      <p class="quiet small">
        <time dateTime={stored.createdAt}>{moment(stored.createdAt)}</time> · {state}
      </p>
    </div>
  );
}

/** The size of all files of an earlier upload. */
export function totalBytes({ files }: StoredUpload): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
