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
        <Title stored={stored} state="Published" />
        {moc && <Links files={moc.files} />}
        <div class="row">
          <button
            type="button"
            aria-describedby={sessionId}
            onClick={() => onForget(`${title} is taken off this list. It is still published.`)}
          >
            Forget
          </button>
        </div>
      </div>
    </>
  );
}
