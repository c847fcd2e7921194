/** The uploads that this browser remembers. */

import { findUploads, forgetUpload, type StoredUpload } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { announcement } from "../announcement.ts";
import { t } from "../catalogue/index.ts";
import { elsewhere } from "../claims.ts";
import { screen } from "../screen.ts";
import { Interrupted } from "./interrupted.tsx";
import { Published } from "./published.tsx";
import type { Row } from "./row.tsx";
import { Watched } from "./watched.tsx";

/** As many are shown at once. */
const FIRST = 8;

export function EarlierUploads() {
  const heading = useRef<HTMLHeadingElement>(null);
  const [uploads, setUploads] = useState(findUploads);
  const [all, setAll] = useState(false);
  const refresh = () => setUploads(findUploads());
  // What this tab does changes the list, and so does what others do.
  useEffect(refresh, [screen.value]);
  useEffect(() => {
    // A page that comes back by the browser's buttons has not heard of the changes meanwhile.
    const events = ["storage", "pageshow"];
    for (const event of events) addEventListener(event, refresh);
    return () => events.forEach((event) => removeEventListener(event, refresh));
  }, []);
  const forget = (stored: StoredUpload, words: string) => {
    forgetUpload(stored.sessionId);
    announcement.value = words;
    refresh();
    heading.current?.focus();
  };

  const current = currentSession();
  const earlier = uploads.filter(({ sessionId }) => sessionId !== current);
  if (earlier.length === 0) return null;
  const shown = all ? earlier : earlier.slice(0, FIRST);
  return (
    <section class="card" aria-label={t.earlier.heading}>
      <h2 ref={heading} tabIndex={-1}>
        {t.earlier.heading}
      </h2>
      <ul>
        {shown.map((stored) => (
          <li key={stored.sessionId} class="earlier">
            <Earlier stored={stored} onChange={refresh} onForget={(words) => forget(stored, words)} />
          </li>
        ))}
      </ul>
      {shown.length < earlier.length && (
        <button type="button" onClick={() => setAll(true)}>
          {t.earlier.showAll(earlier.length)}
        </button>
      )}
    </section>
  );
}

/** The session of the upload that has the screen. */
function currentSession(): string | undefined {
  const shown = screen.value;
  if (shown.at === "uploading") return shown.run.sessionId.value;
  return shown.at === "finished" ? shown.moc.sessionId : undefined;
}

function Earlier(row: Row) {
  const { sessionId, mocId } = row.stored;
  if (mocId !== undefined) return <Published {...row} mocId={mocId} />;
  return elsewhere.value.has(sessionId) ? <Watched {...row} /> : <Interrupted {...row} />;
}
