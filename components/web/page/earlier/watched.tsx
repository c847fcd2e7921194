import { type WatchedProgress, watchUpload } from "moc-uploads";
import { useEffect, useState } from "preact/hooks";
import { Bar } from "../bar.tsx";
import { t } from "../catalogue/index.ts";
import { Thumbnail } from "../finished.tsx";
import { bytesOf } from "../format.ts";
import { token, tokenIfAny } from "../sign-in.tsx";
import { type Row, Title, totalBytes } from "./row.tsx";

/** An earlier upload that another tab continues with. */
export function Watched({ stored, onChange }: Row) {
  const { sessionId, title } = stored;
  const [progress, setProgress] = useState<WatchedProgress>();
  // The session has only those files that are registered by now.
  const total = totalBytes(stored);
  const access = token.value;
  useEffect(() => {
    const watch = watchUpload({ sessionId, token: tokenIfAny, onProgress: setProgress, onEnd: onChange });
    return () => watch.close();
  }, [sessionId, access]);
  return (
    <>
      <Thumbnail title={title} url={undefined} />
      <div>
        <Title stored={stored} state={t.earlier.elsewhere} />
        {progress && (
          <>
            <Bar label={title} storedBytes={progress.storedBytes} totalBytes={total} />
            <p class="quiet small">{t.earlier.stored(bytesOf(progress.storedBytes, total))}</p>
          </>
        )}
      </div>
    </>
  );
}
