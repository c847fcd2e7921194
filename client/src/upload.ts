import { type Connection, connect } from "./api.js";
import { Emitter, throttle } from "./emitter.js";
import { aborted, hasCode, inFile, orMissing, toUploadError, UploadError } from "./error.js";
import { followEvents } from "./events.js";
import { UploadFile } from "./file.js";
import { Gate } from "./gate.js";
import { inputsOf, removeLocation } from "./input.js";
import { failFile, rejectedFile, rejectFiles } from "./rejection.js";
import { areContinuedBy, matchRecord, matchSession, takeOut } from "./resume.js";
import { type RetryPolicy, retryPolicy } from "./retry.js";
import { forEach } from "./slots.js";
import { SpeedMeter } from "./speed.js";
import { type UploadRecords, uploadRecords } from "./storage.js";
import { numberedTitle } from "./title.js";
import { transferTo } from "./transfer.js";
import type {
  FileInput,
  FileProgress,
  Metadata,
  Progress,
  Upload,
  UploadOptions,
  UploadState,
  UploadWarning,
} from "./types.js";
import type { Finalize, Moc, SessionState } from "./wire.js";

const CONCURRENCY = { usual: 4, max: 16 };
const PROGRESS_INTERVAL_MS = 100;
/** Interval of progress events while the speed falls. */
const TICK_MS = 1_000;
/** How many numbers a title is given: more than one where others take them at the same time. */
const TITLE_NUMBERS_MAX = 3;

/** Codes that are not about one file: everything stops, as it does where the service is unavailable. */
const SESSION_CODES = ["ABORTED", "UNAUTHORIZED", "NOT_FOUND", "SESSION_EXPIRED", "SESSION_NOT_ACTIVE"] as const;

/** The state without regard to a pause. */
type Phase = Exclude<UploadState, "paused">;

/** Prepares an upload; nothing is read or sent before `start()`. */
export function createUpload(options: UploadOptions): Upload {
  return new SessionUpload(options);
}

class SessionUpload implements Upload {
  metadata: Metadata;
  sessionId: string | undefined;
  error: UploadError | undefined;
  moc: Moc | undefined;

  readonly #options: UploadOptions;
  readonly #chosen: (File | FileInput)[];
  readonly #api: Connection;
  readonly #policy: RetryPolicy;
  readonly #records: UploadRecords;
  readonly #events = {
    state: new Emitter<UploadState>(),
    progress: new Emitter<Progress>(),
    warning: new Emitter<UploadWarning>(),
  };
  readonly #throttle = throttle(() => this.#notify(), PROGRESS_INTERVAL_MS);
  readonly #meter = new SpeedMeter();

  #phase: Phase = "idle";
  #isPaused = false;
  #gate = new Gate();
  #files: UploadFile[] = [];
  /** Files that were taken out, of which the server may have something. */
  readonly #removed: UploadFile[] = [];
  /** Whether files were taken out since the steps began. */
  #isReduced = false;
  #terms: Pick<SessionState, "partSizeBytes" | "uploadMode"> = { partSizeBytes: 0, uploadMode: "through" };
  /** Whether parts could not go straight to the bucket. */
  #isDirectBlocked = false;
  #createdAt = new Date().toISOString();
  #expiresAt = "";
  #removesLocation: boolean | undefined;
  /** The session that was created for these files, or compared with them. */
  #comparedId: string | undefined;
  #waiting: UploadError | undefined;
  /** What `start()` gives, until it fails. */
  #started: Promise<Moc> | undefined;
  #running: Promise<Moc> | undefined;
  #cancelling: Promise<void> | undefined;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#chosen = [...options.files];
    this.#api = connect(options, this.#onWaiting);
    this.#policy = retryPolicy(options.retry);
    this.#records = uploadRecords(options);
    this.metadata = options.metadata;
    this.sessionId = options.sessionId;
    this.#removesLocation = options.removeLocation;
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal?.aborted) {
      this.#onAbort();
    }
  }

  get state(): UploadState {
    return this.#isPaused ? "paused" : this.#phase;
  }

  get progress(): Progress {
    const totals = { totalBytes: 0, sentBytes: 0, storedBytes: 0 };
    for (const { input, sentBytes, storedBytes } of this.#files) {
      totals.totalBytes += input.blob.size;
      totals.sentBytes += sentBytes;
      totals.storedBytes += storedBytes;
    }
    const files = this.#files.map((file) => file.progress);
    return { ...totals, ...this.#meter.rate(totals), waiting: this.#waiting, files };
  }

  readonly on: Upload["on"] = (event: "state" | "progress" | "warning", listener: (value: never) => void) =>
    this.#events[event].add(listener as never);

  start(metadata?: Metadata): Promise<Moc> {
    if (!this.#started) {
      this.metadata = metadata ?? this.metadata;
      this.error = undefined;
      // Set before listeners are called: they may call this.
      this.#started = Promise.resolve().then(() => this.#start());
      this.#enter("preparing");
    }
    return this.#started;
  }

  pause(): void {
    if (!this.#isPaused && isPausable(this.#phase)) {
      this.#gate.pause();
      this.#change(() => (this.#isPaused = true));
    }
  }

  resume(): void {
    if (this.#isPaused) {
      this.#meter.reset(this.progress.sentBytes);
      this.#gate.resume();
      this.#change(() => (this.#isPaused = false));
    }
  }

  removeFile({ category, name }: Pick<FileProgress, "category" | "name">): void {
    const file = this.#files.find(({ input }) => input.category === category && input.name === name);
    if (file && (this.#phase === "failed" || isPausable(this.#phase))) {
      this.#removed.push(file);
      this.#files = this.#files.filter((other) => other !== file);
      // Ends all requests; the steps begin again.
      this.#isReduced = true;
      this.#gate.close();
      this.#throttle.call();
    }
  }

  cancel(): Promise<void> {
    this.#cancelling ??= this.#cancel().finally(() => (this.#cancelling = undefined));
    return this.#cancelling;
  }

  readonly #onAbort = (): void => {
    // Callers of `start()` get the rejection.
    this.cancel().catch(() => {});
  };

  readonly #onWaiting = (error?: UploadError): void => {
    if (error !== this.#waiting) {
      this.#waiting = error;
      this.#throttle.call();
    }
  };

  async #cancel(): Promise<void> {
    if (this.#phase !== "finalized") {
      this.#gate.close();
      this.#enter("cancelled");
      await this.#running?.catch(() => {});
    }
    // The finalize may have been faster.
    if (this.#phase === "finalized") {
      throw new UploadError("SESSION_NOT_ACTIVE", "The upload is published already.");
    }
    if (this.sessionId !== undefined) {
      await this.#api.cancelSession(this.sessionId).catch(orMissing);
      this.#records.forget(this.sessionId);
    }
  }

  async #start(): Promise<Moc> {
    const ticker = setInterval(() => this.#throttle.call(), TICK_MS);
    try {
      this.#running = this.#run();
      return await this.#running;
    } catch (thrown) {
      if (this.#phase === "cancelled") {
        await this.#cancelling?.catch(() => {});
        throw aborted();
      }
      const error = toUploadError(thrown);
      this.error = error;
      this.#started = undefined;
      this.#enter("failed");
      throw error;
    } finally {
      clearInterval(ticker);
      this.#throttle.flush();
    }
  }

  /** Goes through all steps; where the session turns out to be over, once more with another one. */
  async #run(): Promise<Moc> {
    for (let isSecond = false; ; isSecond = true) {
      if (this.#phase === "cancelled") {
        throw aborted();
      }
      this.#gate = new Gate();
      this.#isReduced = false;
      if (this.#isPaused) {
        this.#gate.pause();
      }
      const live = new AbortController();
      try {
        return await this.#steps(live.signal);
      } catch (error) {
        const isOver = this.sessionId !== undefined && hasCode(error, "SESSION_EXPIRED", "NOT_FOUND");
        if (!this.#isReduced && (isSecond || !isOver)) {
          throw error;
        }
      } finally {
        live.abort();
      }
    }
  }

  async #steps(live: AbortSignal): Promise<Moc> {
    this.#enter("preparing");
    await this.#prepareFiles();
    const wsUrl = await this.#openSession();
    this.#follow(wsUrl, live);
    this.#meter.reset(this.progress.sentBytes);
    this.#enter("uploading");
    await this.#transfer();
    await this.#gate.passed();
    this.#enter("finalizing");
    this.moc = await this.#finalize();
    this.#remember(this.moc.id);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#enter("finalized");
    return this.moc;
  }

  /** Removes the location of pictures, and matches the files with those of the upload that is resumed. */
  async #prepareFiles(): Promise<void> {
    if (this.#chosen.length > 0) {
      this.#files = inputsOf(this.#chosen).map((input) => new UploadFile(input));
      this.#chosen.length = 0;
      this.#throttle.call();
    }
    const record = this.#records.all().find(({ sessionId }) => sessionId === this.sessionId);
    this.#removesLocation ??= record?.removeLocation === true;
    for (const file of this.#files.filter(({ isPrepared }) => !isPrepared)) {
      await this.#gate.passed();
      if (this.#removesLocation) {
        await removeLocation(file.input);
      }
      file.isPrepared = true;
    }
    if (record && this.#comparedId !== this.sessionId) {
      matchRecord([...this.#files, ...this.#removed], record);
      this.#createdAt = record.createdAt;
    }
  }

  /** Finds the session that is known, or creates one; returns where it can be watched. */
  async #openSession(): Promise<string | undefined> {
    const state = await this.#findSession();
    if (state) {
      this.#adopt(state);
      return state.wsUrl;
    }
    this.#files.forEach((file) => file.startAnew());
    const created = await this.#createSession();
    this.sessionId = this.#comparedId = created.sessionId;
    this.#terms = created;
    this.#createdAt = new Date().toISOString();
    this.#expiresAt = created.expiresAt;
    this.#remember();
    return created.wsUrl;
  }

  /** The session as the server has it; one that is over, or has something else than the files, is given up. */
  async #findSession(): Promise<SessionState | undefined> {
    const id = this.sessionId;
    if (id === undefined) {
      return undefined;
    }
    const state = await this.#gate.run((signal) => this.#api.getSession(id, { signal })).catch(orMissing);
    if (state) {
      const remove = (fileId: string) => this.#gate.run((signal) => this.#api.removeFile(id, fileId, { signal }));
      await takeOut(this.#removed, state, remove);
    }
    if (state?.status === "cancelled") {
      throw new UploadError("SESSION_NOT_ACTIVE", "The upload was cancelled.");
    }
    if (state && state.status !== "expired" && (await this.#isContinued(state))) {
      return state;
    }
    if (state) {
      // Clears the bucket of what is there already; where that fails, the bucket's own rules do it.
      await this.#gate.run((signal) => this.#api.cancelSession(id, { signal })).catch(() => {});
      await this.#gate.passed();
    }
    this.#records.forget(id);
    this.sessionId = undefined;
    return undefined;
  }

  /** Whether the files have the bytes that a session has of them. Marks those that were changed. */
  async #isContinued(state: SessionState): Promise<boolean> {
    const { sessionId, status } = state;
    if (status === "finalized" || sessionId === this.#comparedId) {
      return true;
    }
    const next = async () => {
      this.#throttle.call();
      await this.#gate.passed();
    };
    const areContinued = await areContinuedBy(this.#files, state, next);
    this.#comparedId = areContinued ? sessionId : this.#comparedId;
    return areContinued;
  }

  async #createSession() {
    const declared = this.#files.map((file) => file.declaration);
    try {
      return await this.#gate.run((signal) => this.#api.createSession({ files: declared }, { signal }));
    } catch (error) {
      const rejected = rejectedFile(error, declared);
      const file = rejected && this.#files[declared.indexOf(rejected)];
      if (!file) {
        throw error;
      }
      file.failed(inFile(toUploadError(error), file.input.name));
      throw file.error;
    }
  }

  /** Takes over what the server has of the files. */
  #adopt(session: SessionState): void {
    this.#terms = session;
    this.#expiresAt = session.expiresAt;
    const matches = matchSession(this.#files, session.files);
    for (const file of this.#files) {
      const state = matches.get(file);
      if (state && !file.isRejected) {
        file.found(state, session.partSizeBytes);
      } else {
        file.startAnew();
      }
    }
    this.#remember();
    this.#throttle.call();
  }

  #follow(wsUrl: string | undefined, signal: AbortSignal): void {
    const id = this.sessionId!;
    const confirm = (fileId: string | undefined, bytes = 0) => {
      this.#files.find((file) => file.fileId === fileId)?.confirmed(bytes);
      this.#throttle.call();
    };
    void followEvents({
      wsUrl,
      freshUrl: async () => {
        await this.#gate.passed();
        const { files, wsUrl } = await this.#api.getSession(id, { signal });
        files.forEach((file) => confirm(file.fileId, file.bytesCompleted));
        return wsUrl;
      },
      onEvent: ({ fileId, progress }) => confirm(fileId, progress?.bytesCompleted),
      policy: this.#policy,
      signal,
      WebSocket: this.#options.WebSocket,
    });
  }

  /** Uploads all files, small ones first. An error of one file does not stop the others. */
  async #transfer(): Promise<void> {
    const { concurrency: wished = 0, checksums = [], uploadMode = "direct" } = this.#options;
    const { partSizeBytes, uploadMode: offered } = this.#terms;
    const mode = offered === "both" ? uploadMode : offered;
    const concurrency = Math.min(Math.max(1, Math.trunc(wished) || CONCURRENCY.usual), CONCURRENCY.max);
    const gate = this.#gate;
    const transfer = transferTo({
      api: this.#api,
      sessionId: this.sessionId!,
      partSizeBytes,
      isDirect: mode === "direct" && !this.#isDirectBlocked,
      gate,
      concurrency,
      policy: this.#policy,
      checksums,
      onKnown: () => this.#remember(),
      onProgress: () => this.#throttle.call(),
      onWaiting: this.#onWaiting,
      onWarning: (warning) => {
        this.#isDirectBlocked = true;
        console.warn(warning.message);
        this.#events.warning.emit(warning);
      },
    });
    const run = async (file: UploadFile) => {
      try {
        await transfer(file);
      } catch (thrown) {
        const error = toUploadError(thrown);
        if (error.retryable || hasCode(error, ...SESSION_CODES)) {
          file.state = "waiting";
          throw error;
        }
        failFile(file, error);
        this.#throttle.call();
      }
    };
    const pending = this.#files.filter(({ state }) => state !== "completed");
    pending.sort((one, other) => one.input.blob.size - other.input.blob.size);
    await forEach(pending, concurrency, run, () => gate.close());
    this.#throwFailed();
  }

  async #finalize(): Promise<Moc> {
    for (let numbers = 0; ; numbers += 1) {
      const body = { uploadSessionId: this.sessionId!, ...this.metadata } as Finalize;
      try {
        return await this.#gate.run((signal) => this.#api.finalize(body, { signal }));
      } catch (error) {
        const numbered = numbers < TITLE_NUMBERS_MAX ? numberedTitle(body.title, error) : undefined;
        if (numbered === undefined) {
          rejectFiles(error, this.#files);
          this.#throwFailed();
          throw error;
        }
        this.metadata = { ...this.metadata, title: numbered };
      }
    }
  }

  #throwFailed(): void {
    const failed = this.#files.find(({ error }) => error);
    if (failed) {
      throw failed.error;
    }
  }

  #remember(mocId?: string): void {
    this.#records.put({
      sessionId: this.sessionId!,
      title: this.metadata.title,
      createdAt: this.#createdAt,
      expiresAt: this.#expiresAt,
      metadata: this.metadata,
      removeLocation: this.#removesLocation,
      files: this.#files.map((file) => file.record(mocId !== undefined)),
      status: mocId === undefined ? "active" : "finalized",
      mocId,
    });
  }

  #notify(): void {
    this.#meter.add(this.progress.sentBytes);
    this.#events.progress.emit(this.progress);
  }

  /** Enters a phase. A cancelled upload enters none, unless it was published all the same. */
  #enter(phase: Phase): void {
    if (this.#phase !== "cancelled" || phase === "finalized") {
      this.#change(() => {
        this.#phase = phase;
        if (!isPausable(phase)) {
          this.#isPaused = false;
          this.#gate.resume();
        }
      });
    }
  }

  #change(change: () => void): void {
    const before = this.state;
    change();
    if (this.state !== before) {
      this.#waiting = undefined;
      this.#events.state.emit(this.state);
    }
  }
}

function isPausable(phase: Phase): boolean {
  return phase === "preparing" || phase === "uploading";
}
