import { createApi, type SessionState, UploadError } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { Thumbnail } from "../finished.tsx";
import { bytesOf, list } from "../format.ts";
import { api } from "../moc.ts";
import { begin, refusal, screen } from "../screen.ts";
import { signIn, token, tokenOrAsk } from "../sign-in.tsx";
import { type Explanation, explain } from "../words.ts";
import { Published } from "./published.tsx";
import { type Row, Title, totalBytes } from "./row.tsx";

/** What the server answers where a session is no more. */
const GONE: ReadonlySet<string> = new Set(["NOT_FOUND", "SESSION_NOT_ACTIVE"]);

/** What is known of a session: its state, or why it is not. */
type Found = SessionState | UploadError | undefined;

/** An earlier upload that is not at its end, and that nobody goes on with at the moment. */
export function Interrupted(row: Row) {
  const { sessionId, title, files, metadata } = row.stored;
  const chooser = useRef<HTMLInputElement>(null);
  const alert = useRef<HTMLParagraphElement>(null);
  const [failure, setFailure] = useState<Explanation>();
  const [discarding, setDiscarding] = useState(false);
  const refused = refusal.value?.sessionId === sessionId ? refusal.value.explanation : failure;
  useEffect(() => alert.current?.focus(), [refused]);

  const found = useSession(sessionId);
  if (found && "mocId" in found && found.mocId) return <Published {...row} mocId={found.mocId} />;
  // One upload at a time has the screen.
  const resumable = !isGone(found) && screen.value.at !== "uploading";

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
      if (!isGone(error)) return setFailure(explain(error));
    } finally {
      setDiscarding(false);
    }
    row.onForget(`${title} is discarded.`);
  };
  return (
    <>
      <Thumbnail title={title} url={undefined} />
      <div>
        <Title stored={row.stored} state={describe(found, totalBytes(row.stored))} />
        {resumable && (
          <p class="small">To go on, choose the same files again: {list(files.map(({ name }) => name))}.</p>
        )}
        {refused && (
          <p ref={alert} class="alert" role="alert" tabIndex={-1}>
            {refused.happened} {refused.advice}
          </p>
        )}
        <div class="row">
          {resumable && (
            <button type="button" aria-describedby={sessionId} onClick={() => chooser.current?.click()}>
              Resume
            </button>
          )}
          {needsToken(found) && (
            <button type="button" onClick={() => void signIn()}>
              Sign in
            </button>
          )}
          <button type="button" aria-describedby={sessionId} disabled={discarding} onClick={() => void discard()}>
            {discarding ? "Discarding" : "Discard"}
          </button>
        </div>
        <input ref={chooser} type="file" multiple hidden aria-label="Files to resume with" onChange={resume} />
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
  if (found === undefined) return "Unfinished";
  if (isGone(found)) return "Deleted on the server";
  if (needsToken(found)) return "Sign in to see how far it is";
  if (found instanceof UploadError) return "The server cannot be reached";
  if (found.status === "expired") return "Its time is over: it starts from the beginning";
  const storedBytes = found.files.reduce((sum, { bytesCompleted }) => sum + bytesCompleted, 0);
  return `${bytesOf(storedBytes, total)} stored`;
}

/** Whether nothing is left on the server to go on with. */
function isGone(found: Found): boolean {
  return found instanceof UploadError ? GONE.has(found.code) : found?.status === "cancelled";
}

function needsToken(found: Found): boolean {
  return found instanceof UploadError && found.code === "UNAUTHORIZED";
}
