/** The uploads that can be resumed: a file for each, so that processes do not overwrite what others remember. */

import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

import { findUploads, type StoredUpload, type UploadStorage } from "../src/index.js";
import type { FileArgument } from "./files.js";
import type { Checksum } from "./options.js";

/** Most uploads that are remembered: the one that was used least recently is forgotten first. */
const UPLOADS_MAX = 50;
/** Largest file that is read. The digests of 10,000 parts take 250 KB, and a session has 1,000 files at most. */
const FILE_MAX_BYTES = 16 * 1024 * 1024;

/** What an upload was started with. */
export interface Settings {
  baseUrl: string;
  files: FileArgument[];
  checksums: Checksum[];
}

/** What is in a file. */
interface Content {
  settings: Settings;
  /** What the client stores. */
  items: Record<string, string>;
}

/** The folder with the files: below `XDG_STATE_HOME`, which is `~/.local/state` by default. */
export function stateFolder({ XDG_STATE_HOME: home = "" }: NodeJS.ProcessEnv): string {
  // https://specifications.freedesktop.org/basedir-spec/latest/: a relative path is ignored.
  return join(isAbsolute(home) ? home : join(homedir(), ".local", "state"), "moc-uploads");
}

/** The uploads in a folder. */
export class UploadStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Those that are not finished, the newest first. Files that cannot be read are skipped. */
  all(): SavedUpload[] {
    const names = this.#names().filter((name) => name.endsWith(".json"));
    const uploads = names.map((name) => SavedUpload.read(join(this.#folder, name)));
    const known = uploads.filter((upload) => upload?.record !== undefined) as SavedUpload[];
    return known.sort((one, other) => other.record!.createdAt.localeCompare(one.record!.createdAt));
  }

  /** Prepares to remember an upload; its file is written with its session. */
  create(settings: Settings): SavedUpload {
    const path = join(this.#folder, `${randomUUID()}.json`);
    return new SavedUpload(path, { settings, items: {} }, () => this.#makeSpace());
  }

  #makeSpace(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const paths = this.#names().map((name) => join(this.#folder, name));
    const times = new Map(paths.map((path) => [path, statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0]));
    paths.sort((one, other) => times.get(other)! - times.get(one)!);
    paths.slice(UPLOADS_MAX - 1).forEach((path) => rmSync(path, { force: true }));
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder);
    } catch {
      return [];
    }
  }
}

/** An upload that is remembered in a file, which only its own process writes. */
export class SavedUpload implements UploadStorage {
  /** Called once if the file cannot be written. */
  onError: ((error: Error) => void) | undefined;

  readonly #path: string;
  readonly #content: Content;
  readonly #beforeFirst: () => void;
  #isWritten = false;

  constructor(path: string, content: Content, beforeFirst: () => void) {
    this.#path = path;
    this.#content = content;
    this.#beforeFirst = beforeFirst;
  }

  /** What a file has; nothing if it is not one of these. */
  static read(path: string): SavedUpload | undefined {
    try {
      if (statSync(path).size > FILE_MAX_BYTES) {
        return undefined;
      }
      const content = JSON.parse(readFileSync(path, "utf8")) as Content;
      const upload = new SavedUpload(path, content, () => {});
      const { baseUrl, files, checksums } = content.settings;
      upload.#isWritten = typeof baseUrl === "string" && [files, checksums].every(Array.isArray);
      return upload;
    } catch {
      return undefined;
    }
  }

  get settings(): Settings {
    return this.#content.settings;
  }

  /** What the client remembers, while it can be resumed. */
  get record(): StoredUpload | undefined {
    return this.#isWritten ? findUploads({ storage: this, baseUrl: this.settings.baseUrl })[0] : undefined;
  }

  getItem(key: string): string | null {
    return this.#content.items?.[key] ?? null;
  }

  setItem(key: string, value: string): void {
    this.#content.items[key] = value;
    try {
      if (!this.#isWritten) {
        this.#beforeFirst();
      }
      // The new file replaces the old one at once: a crash leaves either.
      const next = `${this.#path}.tmp`;
      writeFileSync(next, JSON.stringify(this.#content), { mode: 0o600 });
      renameSync(next, this.#path);
      this.#isWritten = true;
    } catch (error) {
      this.onError?.(error as Error);
      this.onError = undefined;
      throw error;
    }
  }

  removeItem(key: string): void {
    delete this.#content.items[key];
    this.forget();
  }

  /** Deletes the file. If that fails, the upload stays in the list. */
  forget(): void {
    this.#isWritten = false;
    for (const path of [this.#path, `${this.#path}.tmp`]) {
      try {
        rmSync(path, { force: true });
      } catch {
        // Its folder cannot be written.
      }
    }
  }
}
