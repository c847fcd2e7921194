/** An upload that runs, or has failed. */

import type { FileProgress, FileUploadState, Progress, UploadError, UploadState } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bar } from "./bar.tsx";
import { Dialog } from "./dialog.tsx";
import { useDocumentTitle } from "./document-title.ts";
import { bytesOf, percent, speed, timeLeft } from "./format.ts";
import { Heading } from "./heading.tsx";
import { CategoryIcon, StateIcon } from "./icons.tsx";
import { TITLE_MAX_CHARS } from "./limits.ts";
import type { Run } from "./run.ts";
import { cancel, leave, proceed } from "./screen.ts";
import { CATEGORIES, explain, explainWaiting } from "./words.ts";

const HEADINGS: Record<UploadState, string> = {
  idle: "Preparing",
  preparing: "Preparing",
  uploading: "Uploading",
  paused: "Paused:",
  finalizing: "Publishing",
  finalized: "Published:",
  failed: "Not uploaded:",
  cancelled: "Cancelling",
};

const FILE_STATES: Record<FileUploadState, string> = {
  waiting: "Waiting",
  hashing: "Checking",
  uploading: "Uploading",
  completed: "Done",
  failed: "Failed",
};

export function Uploading({ run }: { run: Run }) {
  const { upload } = run;
  const state = run.state.value;
  const progress = run.progress.value;
  const { title } = upload.metadata;
  const share = percent(progress.storedBytes, progress.totalBytes);
  useDocumentTitle(`${state === "failed" ? "Not uploaded" : `${share} %`} – ${title}`);
  useWarningBeforeUnload(state !== "failed" && state !== "cancelled");
  return (
    <section class="card">
      <Heading key={state === "failed" ? "failed" : "going on"} focus>
        {HEADINGS[state]} <bdi>{title}</bdi>
      </Heading>
      <div class="stack">
        <Bar brick label="All files" storedBytes={progress.storedBytes} totalBytes={progress.totalBytes} />
        <p class="numbers">
          <strong>{share} %</strong>
          <span class="quiet">{bytesOf(progress.storedBytes, progress.totalBytes)}</span>
          <span class="quiet" data-testid="rate">
            {rate(state, progress)}
          </span>
        </p>
      </div>
      {state === "cancelled" && (
        <p class="notice">
          {progress.waiting
            ? "What has arrived is deleted as soon as the server can be reached."
            : "What has arrived is being deleted."}
        </p>
      )}
      {state === "uploading" && progress.waiting && <p class="notice">{explainWaiting(progress.waiting)}</p>}
      {state === "failed" && upload.error && <Failure run={run} error={upload.error} />}
      <ul class="files" aria-label="Files">
        {progress.files.map((file) => (
          <File key={file.name} file={file} paused={state === "paused"} />
        ))}
      </ul>
      <Controls run={run} />
    </section>
  );
}

function File({ file, paused }: { file: FileProgress; paused: boolean }) {
  const { name, category, storedBytes, sizeBytes, error } = file;
  const state = paused && file.state !== "completed" ? "waiting" : file.state;
  return (
    <li class="file">
      <span class="kind">
        <CategoryIcon of={category} />
      </span>
      <div>
        <p class="name">
          <bdi>{name}</bdi>
        </p>
        <p class="quiet small">
          {CATEGORIES[category]}, {bytesOf(storedBytes, sizeBytes)}
        </p>
      </div>
      <span class={`state ${state}`}>
        <StateIcon of={state} />
        {FILE_STATES[state]}
      </span>
      <Bar label={name} storedBytes={storedBytes} totalBytes={sizeBytes} />
      {error && <p class="wrong">{explain(error, file).happened}</p>}
    </li>
  );
}

function Controls({ run }: { run: Run }) {
  const [asked, setAsked] = useState(false);
  const state = run.state.value;
  const paused = state === "paused";
  if (!paused && state !== "preparing" && state !== "uploading") return null;
  return (
    <div class="row">
      <button type="button" class="primary" onClick={() => (paused ? run.upload.resume() : run.upload.pause())}>
        {paused ? "Resume" : "Pause"}
      </button>
      <button type="button" onClick={() => setAsked(true)}>
        Cancel upload
      </button>
      {asked && <ConfirmCancel run={run} onClose={() => setAsked(false)} />}
    </div>
  );
}

function ConfirmCancel({ run, onClose }: { run: Run; onClose: () => void }) {
  return (
    <Dialog title="Cancel this upload?" onClose={onClose}>
      <p>What has arrived so far is deleted.</p>
      <div class="row">
        <button type="button" onClick={onClose}>
          Keep going
        </button>
        <button type="button" class="danger" onClick={() => void cancel(run)}>
          Yes, cancel it
        </button>
      </div>
    </Dialog>
  );
}

function Failure({ run, error }: { run: Run; error: UploadError }) {
  const alert = useRef<HTMLDivElement>(null);
  const title = useRef<HTMLInputElement>(null);
  useEffect(() => alert.current?.focus(), []);
  const file = run.progress.value.files.find(({ name }) => name === error.fileName);
  const { happened, advice, tryAgain } = explain(error, file);
  const taken = error.code === "TITLE_CONFLICT";
  const again = (event: Event) => {
    event.preventDefault();
    const given = title.current?.value.trim();
    void proceed(run, given ? { ...run.upload.metadata, title: given } : undefined);
  };
  // What an earlier upload has stored stays for another time; a new one begins anew with other files.
  const back = () => (run.resumed === undefined ? void cancel(run) : leave(run));
  return (
    <div ref={alert} class="alert" role="alert" tabIndex={-1}>
      <h3>{happened}</h3>
      <p>{advice}</p>
      <form class="stack" onSubmit={again}>
        {taken && (
          <div class="field">
            <label for="other-title">Title</label>
            <input
              id="other-title"
              ref={title}
              dir="auto"
              defaultValue={run.upload.metadata.title}
              maxLength={TITLE_MAX_CHARS}
              required
            />
          </div>
        )}
        <div class="row">
          {tryAgain && (
            <button type="submit" class="primary">
              Try again
            </button>
          )}
          <button type="button" onClick={back}>
            {run.resumed === undefined ? "Change files" : "Close"}
          </button>
        </div>
      </form>
      {error.requestId && <p class="quiet small">For support: {error.requestId}</p>}
    </div>
  );
}

/** Speed and time left, or why there is none. */
function rate(state: UploadState, { bytesPerSecond, secondsLeft, waiting }: Progress): string {
  switch (state) {
    case "paused":
      return "Paused";
    case "finalizing":
      return "Checking and publishing";
    case "uploading":
      if (waiting || bytesPerSecond === 0) return "";
      return secondsLeft === undefined ? speed(bytesPerSecond) : `${speed(bytesPerSecond)}, ${timeLeft(secondsLeft)}`;
    default:
      return "";
  }
}

function useWarningBeforeUnload(wanted: boolean) {
  useEffect(() => {
    if (!wanted) return;
    const warn = (event: Event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [wanted]);
}
