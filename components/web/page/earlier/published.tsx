import { t } from "../catalogue/index.ts";
import { Links, Thumbnail } from "../finished.tsx";
import { useMoc } from "../moc.ts";
import { type Row, Title } from "./row.tsx";

/** An earlier upload that has become a MOC. */
export function Published({ stored, mocId, onForget }: Row & { mocId: string }) {
  const { sessionId, title } = stored;
  const moc = useMoc(mocId);
  return (
    <>
      <Thumbnail title={title} url={moc?.thumbnailUrl} />
      <div>
        <Title stored={stored} state={t.published.state} />
        {moc && <Links files={moc.files} />}
        <div class="row">
          <button type="button" aria-describedby={sessionId} onClick={() => onForget(t.earlier.removed(title))}>
            {t.earlier.remove}
          </button>
        </div>
      </div>
    </>
  );
}
