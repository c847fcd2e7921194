import type { SessionEvent } from "../events.js";
import type { FileState, SessionStatus } from "../wire.js";

/** What a response or a message of a stream says of a session. */
export interface StateOfSession {
  /** The session's counter when it was read; servers of earlier versions send none. */
  sequence?: number | undefined;
  status: SessionStatus;
  mocId?: string | undefined;
  /** Whether `files` are all that the session has; else those that have changed. */
  allFiles?: boolean | undefined;
  files?: FileState[] | undefined;
}

/** A file, and the counter as of its state. */
interface KnownFile {
  state: FileState;
  sequence: number | undefined;
}

/** What an event means for the session. */
export type Effect =
  /** It is applied. */
  | "applied"
  /** It says that there is more than it says: the session has to be requested. */
  | "incomplete"
  /** It is older than what is known, or of no interest. */
  | "ignored";

/** A session, put together from responses and events that may arrive in another order than they were sent. */
export class WatchedSession {
  status: SessionStatus = "active";
  mocId: string | undefined;
  #files = new Map<string, KnownFile>();
  /** As of the last state of all files. */
  #whole: number | undefined;
  /** The largest one of a state: whatever happened until then is known. */
  #latest: number | undefined;

  /** In the order of their registration. */
  get files(): FileState[] {
    return [...this.#files.values()].map(({ state }) => state);
  }

  /** Of all files. */
  get storedBytes(): number {
    return this.files.reduce((sum, file) => sum + file.bytesCompleted, 0);
  }

  /** The counter up to which everything is known. */
  get sequence(): number | undefined {
    return this.#latest;
  }

  get isOver(): boolean {
    return this.status !== "active" && this.status !== "finalizing";
  }

  /** Applies a state; returns whether anything has changed. */
  update(next: StateOfSession): boolean {
    const before = this.#fingerprint();
    const { sequence, files = [], allFiles } = next;
    if (!isOlder(sequence, this.#whole)) {
      const known = this.#files;
      this.#files = new Map(allFiles ? [] : known);
      files.forEach((state) => this.#put(state, sequence, known.get(state.fileId)));
      if (allFiles) {
        this.#whole = sequence;
        // Those that the state is too old to have.
        const later = [...known].filter(([, file]) => isOlder(sequence, file.sequence));
        later.forEach(([fileId, file]) => this.#files.set(fileId, file));
      }
    }
    this.#become(next);
    return this.#fingerprint() !== before;
  }

  /** Applies an event. */
  apply({ type, fileId, progress, sequence }: SessionEvent): Effect {
    if (isOlder(sequence, this.#whole)) {
      return "ignored";
    }
    if (type !== "part_uploaded") {
      // A state as of the same change has it.
      const isKnown = sequence !== undefined && sequence === this.#whole;
      return /^(file|session)_/.test(type) && !isKnown ? "incomplete" : "ignored";
    }
    const known = this.#files.get(fileId ?? "");
    if (!known) {
      return "incomplete";
    }
    if (isOlder(sequence, known.sequence)) {
      return "ignored";
    }
    const bytesCompleted = Math.max(known.state.bytesCompleted, progress?.bytesCompleted ?? 0);
    this.#files.set(fileId!, { state: { ...known.state, bytesCompleted }, sequence: sequence ?? known.sequence });
    return "applied";
  }

  /** Takes over a file's state unless a later one is known. Only a later one has less of the file: it was replaced. */
  #put(state: FileState, sequence: number | undefined, known: KnownFile | undefined): void {
    if (known && isOlder(sequence, known.sequence)) {
      // In the order of the state.
      this.#files.set(state.fileId, known);
      return;
    }
    const isLater = isOlder(known?.sequence, sequence);
    const stored = isLater ? 0 : (known?.state.bytesCompleted ?? 0);
    const bytesCompleted = Math.max(state.bytesCompleted, stored);
    this.#files.set(state.fileId, { state: { ...state, bytesCompleted }, sequence });
  }

  #become({ sequence, status, mocId }: StateOfSession): void {
    if (!isOlder(sequence, this.#latest)) {
      this.status = status;
      this.mocId = mocId ?? this.mocId;
      this.#latest = sequence;
    }
  }

  #fingerprint(): string {
    return JSON.stringify([
      this.status,
      this.files.map(({ fileId, status, bytesCompleted }) => [fileId, status, bytesCompleted]),
    ]);
  }
}

/** Whether one counter is known to be older than another. */
function isOlder(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && other !== undefined && one < other;
}
