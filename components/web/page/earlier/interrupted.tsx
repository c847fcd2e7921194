import { createApi, type SessionState, UploadError } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../catalogue/index.ts";
import { type Explanation, explain } from "../explain.ts";
import { Thumbnail } from "../finished.tsx";
import { bytesOf, list } from "../format.ts";
import { api } from "../moc.ts";
import { begin, rejection, screen } from "../screen.ts";
import { signIn, token, tokenOrAsk } from "../sign-in.tsx";
import { Published } from "./published.tsx";
import { type Row, Title, totalBytes } from "./row.tsx";

/** Codes for a session that no longer exists. */
const DELETED: ReadonlySet<string> = new Set(["NOT_FOUND", "SESSION_NOT_ACTIVE"]);

/** What is known of a session: its state, or why it is not. */
type Found = SessionState | UploadError | undefined;

/** An earlier upload that is unfinished and not running in any tab. */
export function Interrupted(row: Row) {
  const { sessionId, title, files, metadata } = row.stored;
  const chooser = useRef<HTMLInputElement>(null);
  const alert = useRef<HTMLParagraphElement>(null);
  const [failure, setFailure] = useState<Explanation>();
  const [discarding, setDiscarding] = useState(false);
  const rejected = rejection.value?.sessionId === sessionId ? rejection.value.explanation : failure;
  useEffect(() => alert.current?.focus(), [rejected]);

  const found = useSession(sessionId);
  if (found && "mocId" in found && found.mocId) return <Published {...row} mocId={found.mocId} />;
  // One upload at a time has the screen.
  const resumable = !isDeleted(found) && screen.value.at !== "uploading";

  const resume = ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
    const chosen = [...(currentTarget.files ?? [])];
    currentTarget.value = "";
    if (chosen.length > 0) void begin({ files: chosen, metadata, sessionId });
  };
  const discard = async () => {
    setDiscarding(true);
    try {
      await createApi({ token: tokenOrAsk }).cancelSession(sessionId);
    } catch (error) {
      if (!(error instanceof UploadError)) throw error;
      if (!isDeleted(error)) return setFailure(explain(error));
    } finally {
      setDiscarding(false);
    }
    row.onForget(t.earlier.discarded(title));
  };
  return (
    <>
      <Thumbnail title={title} url={undefined} />
      <div>
        <Title stored={row.stored} state={describe(found, totalBytes(row.stored))} />
        {resumable && <p class="small">{t.earlier.chooseAgain(list(files.map(({ name }) => name)))}</p>}
        {rejected && (
          <p ref={alert} class="alert" role="alert" tabIndex={-1}>
            {rejected.happened} {rejected.advice}
          </p>
        )}
        <div class="row">
          {resumable && (
            <button type="button" aria-describedby={sessionId} onClick={() => chooser.current?.click()}>
              {t.earlier.resume}
            </button>
          )}
          {needsToken(found) && (
            <button type="button" onClick={() => void signIn()}>
              {t.earlier.signIn}
            </button>
          )}
          <button type="button" aria-describedby={sessionId} disabled={discarding} onClick={() => void discard()}>
            {discarding ? t.earlier.discarding : t.earlier.discard}
          </button>
        </div>
        <input ref={chooser} type="file" multiple hidden aria-label={t.earlier.filesToResume} onChange={resume} />
      </div>
    </>
  );
}

/** Asks for a session, and again once there is another token. */
function useSession(sessionId: string): Found {
  const [found, setFound] = useState<Found>();
  const access = token.value;
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    api.getSession(sessionId, { signal }).then(setFound, (error: unknown) => {
      if (error instanceof UploadError && !signal.aborted) setFound(error);
    });
    return () => ended.abort();
  }, [sessionId, access]);
  return found;
}

/** How far a session is, of so many bytes. */
function describe(found: Found, total: number): string {
  if (found === undefined) return t.earlier.unfinished;
  if (isDeleted(found)) return t.earlier.deleted;
  if (needsToken(found)) return t.earlier.signInToSee;
  if (found instanceof UploadError) return t.earlier.unreachable;
  if (found.status === "expired") return t.earlier.expired;
  const storedBytes = found.files.reduce((sum, { bytesCompleted }) => sum + bytesCompleted, 0);
  return t.earlier.stored(bytesOf(storedBytes, total));
}

/** Whether nothing is left on the server to continue with. */
function isDeleted(found: Found): boolean {
  return found instanceof UploadError ? DELETED.has(found.code) : found?.status === "cancelled";
}

function needsToken(found: Found): boolean {
  return found instanceof UploadError && found.code === "UNAUTHORIZED";
}
