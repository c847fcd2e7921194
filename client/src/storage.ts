import { originOf } from "./api.js";
import type { StoredUpload, StoredUploadsOptions, UploadStorage } from "./types.js";

/** Most uploads that are remembered: the oldest is forgotten first. */
const RECORDS_MAX = 50;

/** Uploads that are remembered, the newest first. */
export function findUploads(options: StoredUploadsOptions = {}): StoredUpload[] {
  return uploadRecords(options).all();
}

/** Forgets an upload. The server still has it until its session ends: `Api.cancelSession` ends it there. */
export function forgetUpload(sessionId: string, options: StoredUploadsOptions = {}): void {
  uploadRecords(options).forget(sessionId);
}

/** The uploads to one service that a storage remembers. Nothing fails where the storage does. */
export interface UploadRecords {
  /** The newest first. */
  all(): StoredUpload[];
  /** Remembers an upload, in the place of what was remembered of its session. */
  put(record: StoredUpload): void;
  /** Forgets a session. */
  forget(sessionId: string): void;
}

/** What is remembered in this storage. */
export function uploadRecords({ storage = localStorageIfAny(), baseUrl }: StoredUploadsOptions): UploadRecords {
  const key = `moc-uploads:${originOf(baseUrl)}`;
  const all = (): StoredUpload[] => {
    try {
      const records: unknown = JSON.parse(storage?.getItem(key) ?? "[]");
      return Array.isArray(records) ? records.filter(isRecord) : [];
    } catch {
      return [];
    }
  };
  /** Returns whether it could be written. */
  const write = (records: StoredUpload[]): boolean => {
    try {
      if (records.length > 0) {
        storage?.setItem(key, JSON.stringify(records.slice(0, RECORDS_MAX)));
      } else {
        storage?.removeItem(key);
      }
      return true;
    } catch {
      return false;
    }
  };
  return {
    all,
    put: (record) => {
      const records = all();
      const isSame = ({ sessionId }: StoredUpload) => sessionId === record.sessionId;
      const next = records.some(isSame) ? records.map((old) => (isSame(old) ? record : old)) : [record, ...records];
      // Digests of 10,000 parts take 250 KB. If the storage is full or forbidden, the upload continues, but cannot be
      // resumed after a reload, or not without sending everything again.
      void (
        write(next) ||
        write(next.map((old) => (old === record ? old : withoutDigests(old)))) ||
        write(next.map(withoutDigests))
      );
    },
    forget: (id) => void write(all().filter(({ sessionId }) => sessionId !== id)),
  };
}

function withoutDigests(record: StoredUpload): StoredUpload {
  return { ...record, files: record.files.map((file) => ({ ...file, digests: undefined })) };
}

function localStorageIfAny(): UploadStorage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/** Whether this is a record: who can write to the storage may have written anything. */
function isRecord(value: unknown): value is StoredUpload {
  const { sessionId, title, createdAt, expiresAt, metadata, files } = (value ?? {}) as Partial<StoredUpload>;
  return (
    [sessionId, title, metadata?.title].every(isText) &&
    [createdAt, expiresAt].every((time) => Date.parse(time!) >= 0) &&
    Array.isArray(files) &&
    files.every((file) => isText(file?.name) && file.sizeBytes >= 0)
  );
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}
