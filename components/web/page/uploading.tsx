/** An upload that runs, or has failed. */

import type { FileProgress, Progress, UploadError, UploadState } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bar } from "./bar.tsx";
import { t } from "./catalogue/index.ts";
import { Dialog } from "./dialog.tsx";
import { useDocumentTitle } from "./document-title.ts";
import { explain, explainWaiting } from "./explain.ts";
import { bytesOf, list, percent, percentText, speed, timeLeft } from "./format.ts";
import { Heading } from "./heading.tsx";
import { CategoryIcon, RemoveIcon, StateIcon } from "./icons.tsx";
import { TITLE_MAX_CHARS } from "./limits.ts";
import type { Run } from "./run.ts";
import { cancel, leave, proceed, takeOut } from "./screen.ts";

export function Uploading({ run }: { run: Run }) {
  const { upload } = run;
  const state = run.state.value;
  const progress = run.progress.value;
  const { title } = upload.metadata;
  const share = percent(progress.storedBytes, progress.totalBytes);
  const section = useRef<HTMLElement>(null);
  const remove = (file: FileProgress) => {
    takeOut(run, file);
    section.current?.querySelector<HTMLElement>("h2")?.focus();
  };
  // An upload needs a file.
  const canRemove = progress.files.length > 1 && ["preparing", "uploading", "paused", "failed"].includes(state);
  const error = currentError(upload.error, progress.files);
  const changed = progress.files.flatMap(({ isChanged, name }) => (isChanged ? [name] : []));
  useDocumentTitle(t.documentTitle(state === "failed" ? t.upload.notUploaded : percentText(share), title));
  useWarningBeforeUnload(state !== "failed" && state !== "cancelled");
  return (
    <section ref={section} class="card">
      <Heading key={state === "failed" ? "failed" : "going on"} focus>
        {t.upload.states[state]} <bdi>{title}</bdi>
      </Heading>
      <div class="stack">
        <Bar brick label={t.upload.allFiles} storedBytes={progress.storedBytes} totalBytes={progress.totalBytes} />
        <p class="numbers">
          <strong>{percentText(share)}</strong>
          <span class="quiet">{bytesOf(progress.storedBytes, progress.totalBytes)}</span>
          <span class="quiet" data-testid="rate">
            {rate(state, progress)}
          </span>
        </p>
      </div>
      {changed.length > 0 && <p class="notice">{t.upload.changed(list(changed), changed.length)}</p>}
      {state === "cancelled" && <p class="notice">{progress.waiting ? t.upload.deletingLater : t.upload.deleting}</p>}
      {state === "uploading" && progress.waiting && <p class="notice">{explainWaiting(progress.waiting)}</p>}
      {state === "failed" && error && <Failure key={error.fileName} run={run} error={error} />}
      <ul class="files" aria-label={t.form.files}>
        {progress.files.map((file) => (
          <File
            key={file.name}
            file={file}
            paused={state === "paused"}
            onRemove={canRemove ? () => remove(file) : undefined}
          />
        ))}
      </ul>
      <Controls run={run} />
    </section>
  );
}

/** What a failed upload waits for: the error of a file that was taken out is settled, that of another one may not be. */
function currentError(error: UploadError | undefined, files: FileProgress[]): UploadError | undefined {
  const isSettled = error?.fileName !== undefined && !files.some(({ name }) => name === error.fileName);
  return isSettled ? (files.find((file) => file.error)?.error ?? error) : error;
}

interface FileProps {
  file: FileProgress;
  paused: boolean;
  onRemove: (() => void) | undefined;
}

function File({ file, paused, onRemove }: FileProps) {
  const { name, category, storedBytes, sizeBytes, error } = file;
  const state = paused && file.state !== "completed" ? "waiting" : file.state;
  return (
    <li class={onRemove ? "file removable" : "file"}>
      <span class="kind">
        <CategoryIcon of={category} />
      </span>
      <div>
        <p class="name">
          <bdi>{name}</bdi>
        </p>
        <p class="quiet small">{t.form.categoryAndSize(t.categories[category], bytesOf(storedBytes, sizeBytes))}</p>
      </div>
      <span class={`state ${state}`}>
        <StateIcon of={state} />
        {t.upload.fileStates[state]}
      </span>
      {onRemove && (
        <button type="button" class="icon" aria-label={t.form.remove(name)} onClick={onRemove}>
          <RemoveIcon />
        </button>
      )}
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
        {paused ? t.upload.resume : t.upload.pause}
      </button>
      <button type="button" onClick={() => setAsked(true)}>
        {t.upload.cancel}
      </button>
      {asked && <ConfirmCancel run={run} onClose={() => setAsked(false)} />}
    </div>
  );
}

function ConfirmCancel({ run, onClose }: { run: Run; onClose: () => void }) {
  return (
    <Dialog title={t.upload.cancelTitle} onClose={onClose}>
      <p>{t.upload.cancelText}</p>
      <div class="row">
        <button type="button" onClick={onClose}>
          {t.upload.keep}
        </button>
        <button type="button" class="danger" onClick={() => void cancel(run)}>
          {t.upload.confirmCancel}
        </button>
      </div>
    </Dialog>
  );
}

function Failure({ run, error }: { run: Run; error: UploadError }) {
  const alert = useRef<HTMLDivElement>(null);
  const title = useRef<HTMLInputElement>(null);
  useEffect(() => alert.current?.focus(), []);
  const { files } = run.progress.value;
  const file = files.find(({ name }) => name === error.fileName);
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
            <label for="other-title">{t.form.title}</label>
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
              {t.upload.retry}
            </button>
          )}
          {file && files.length > 1 && (
            <button type="button" onClick={() => takeOut(run, file)}>
              {t.upload.continueWithout(file.name)}
            </button>
          )}
          <button type="button" onClick={back}>
            {run.resumed === undefined ? t.upload.changeFiles : t.upload.close}
          </button>
        </div>
      </form>
      {error.requestId && <p class="quiet small">{t.upload.requestId(error.requestId)}</p>}
    </div>
  );
}

/** Speed and time left, or why there is none. */
function rate(state: UploadState, { bytesPerSecond, secondsLeft, waiting }: Progress): string {
  switch (state) {
    case "paused":
      return t.upload.paused;
    case "finalizing":
      return t.upload.verifying;
    case "uploading":
      if (waiting || bytesPerSecond === 0) return "";
      return secondsLeft === undefined
        ? speed(bytesPerSecond)
        : t.speedAndTimeLeft(speed(bytesPerSecond), timeLeft(secondsLeft));
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
