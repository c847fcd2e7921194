//! The schema in SQLite and libSQL.
//!
//! Times are milliseconds since the Unix epoch; ids are UUIDs in their hyphenated form.

/// Migration `n` leads from version `n` to version `n + 1`.
pub const MIGRATIONS: &[&[&str]] =
    &[FIRST, SECOND, THIRD, ISSUER_KEYS, OUTCOMES, CLAIMS, SWEEPS, REMOVED_FILES, QUOTAS, SEQUENCE, SECRETS, LEFTOVERS];

const FIRST: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) STRICT",
    "CREATE TABLE IF NOT EXISTS sessions (
      id TEXT PRIMARY KEY,
      user_id TEXT NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('active', 'finalizing', 'finalized', 'cancelled')),
      part_size_bytes INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      lock_token TEXT,
      finalizing_at INTEGER,
      moc_id TEXT
    ) STRICT, WITHOUT ROWID",
    // A file with an ETag is completed. The last_part_ columns carry a part to the trigger below, so that one
    // statement records it, counts it and returns the counts: SQLite has no data-modifying WITH.
    "CREATE TABLE IF NOT EXISTS files (
      id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL,
      category TEXT NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL,
      object_key TEXT NOT NULL,
      upload_id TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      parts_completed INTEGER NOT NULL DEFAULT 0,
      bytes_completed INTEGER NOT NULL DEFAULT 0,
      etag TEXT,
      created_at INTEGER NOT NULL,
      completed_at INTEGER,
      last_part_number INTEGER,
      last_part_etag TEXT,
      last_part_bytes INTEGER,
      last_part_at INTEGER
    ) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX IF NOT EXISTS files_by_name ON files (session_id, category, name)",
    "CREATE TABLE IF NOT EXISTS parts (
      file_id TEXT NOT NULL,
      part_number INTEGER NOT NULL,
      etag TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      uploaded_at INTEGER NOT NULL,
      PRIMARY KEY (file_id, part_number)
    ) STRICT, WITHOUT ROWID",
    "CREATE TRIGGER IF NOT EXISTS record_part AFTER UPDATE OF last_part_number ON files
    BEGIN
      INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at)
      VALUES (NEW.id, NEW.last_part_number, NEW.last_part_etag, NEW.last_part_bytes, NEW.last_part_at)
      ON CONFLICT (file_id, part_number) DO UPDATE
      SET etag = excluded.etag, size_bytes = excluded.size_bytes, uploaded_at = excluded.uploaded_at;
    END",
    "CREATE TABLE IF NOT EXISTS mocs (
      id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL UNIQUE,
      user_id TEXT NOT NULL,
      slug TEXT NOT NULL,
      title TEXT NOT NULL,
      description TEXT NOT NULL,
      tags TEXT NOT NULL,
      theme TEXT,
      thumbnail_url TEXT,
      created_at INTEGER NOT NULL,
      UNIQUE (user_id, slug)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS moc_files (
      moc_id TEXT NOT NULL,
      file_id TEXT NOT NULL,
      category TEXT NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL,
      object_key TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      etag TEXT NOT NULL,
      PRIMARY KEY (moc_id, file_id)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS session_counts (
      user_id TEXT PRIMARY KEY,
      window_start INTEGER NOT NULL,
      sessions INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

const SECOND: &[&str] = &[
    // {"checksums": {"md5": …, "sha256": …}} in hex, as announced by the client.
    "ALTER TABLE files ADD COLUMN metadata TEXT",
    // In hex, if it was computed while the part streamed.
    "ALTER TABLE files ADD COLUMN last_part_sha256 TEXT",
    // 1 if a finalize has rejected the file.
    "ALTER TABLE files ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0",
    // Replaces thumbnail_url, which was never written: the URL follows from the key.
    "ALTER TABLE mocs ADD COLUMN thumbnail_key TEXT",
    // 1 if a webhook is to be delivered: the trigger below inserts the delivery with the MOC.
    "ALTER TABLE mocs ADD COLUMN webhook INTEGER NOT NULL DEFAULT 0",
    // The outbox. A delivery is due from next_attempt_at on; a claim moves that to the end of its lease. cause is
    // why the last attempt failed.
    "CREATE TABLE IF NOT EXISTS webhook_deliveries (
      moc_id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL,
      user_id TEXT NOT NULL,
      occurred_at INTEGER NOT NULL,
      status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
      attempts INTEGER NOT NULL DEFAULT 0,
      next_attempt_at INTEGER NOT NULL DEFAULT 0,
      cause TEXT
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending'",
    "CREATE TRIGGER IF NOT EXISTS write_webhook_delivery AFTER INSERT ON mocs WHEN NEW.webhook = 1
    BEGIN
      INSERT INTO webhook_deliveries (moc_id, session_id, user_id, occurred_at)
      VALUES (NEW.id, NEW.session_id, NEW.user_id, NEW.created_at);
    END",
];

const THIRD: &[&str] = &[
    // When a completion of the file was first requested, and how many were.
    "ALTER TABLE files ADD COLUMN completing_at INTEGER",
    "ALTER TABLE files ADD COLUMN completions INTEGER NOT NULL DEFAULT 0",
];

const ISSUER_KEYS: &[&str] = &[
    // The key sets of tokens' issuers, as fetched. A claim moves next_fetch_at to the end of its lease.
    "CREATE TABLE issuer_keys (
      url TEXT PRIMARY KEY,
      document TEXT NOT NULL DEFAULT '',
      fetched_at INTEGER NOT NULL DEFAULT 0,
      next_fetch_at INTEGER NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed'))
    ) STRICT, WITHOUT ROWID",
];

const OUTCOMES: &[&str] = &[
    // Why a finalize has rejected the file: the name of a fault, or algorithm, expected and actual checksum.
    "ALTER TABLE files ADD COLUMN rejection TEXT",
    // The ETag of the object of which all bytes were read and found right.
    "ALTER TABLE files ADD COLUMN verified_etag TEXT",
    // 1 if a cancellation has cleared the bucket of the file.
    "ALTER TABLE files ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0",
    // Thumbnails that are to be made. One is due from due_at on; a claim moves that to the end of its lease, and it is
    // NULL once the thumbnail is given up. cause is why the last attempt failed.
    "CREATE TABLE thumbnails (
      moc_id TEXT PRIMARY KEY,
      attempts INTEGER NOT NULL DEFAULT 0,
      due_at INTEGER,
      cause TEXT
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX thumbnails_due ON thumbnails (due_at) WHERE due_at IS NOT NULL",
    // Each row lets one instance make thumbnails, one after the other.
    "CREATE TABLE thumbnail_slots (
      slot INTEGER PRIMARY KEY,
      holder TEXT,
      leased_until INTEGER NOT NULL DEFAULT 0
    ) STRICT",
    "INSERT INTO thumbnail_slots (slot) VALUES (1)",
];

const CLAIMS: &[&str] = &[
    // 1 if parts were recorded at a client's word, or as the bucket listed them.
    "ALTER TABLE files ADD COLUMN has_claims INTEGER NOT NULL DEFAULT 0",
    // Carries parts to the trigger below, as last_part_ does one: [{"number", "etag", "size_bytes", "uploaded_at"}],
    // where a part without a size is deleted. The trigger clears it, so that the row stays short.
    "ALTER TABLE files ADD COLUMN changed_parts TEXT",
    "CREATE TRIGGER IF NOT EXISTS change_parts AFTER UPDATE OF changed_parts ON files WHEN NEW.changed_parts IS NOT NULL
    BEGIN
      DELETE FROM parts WHERE file_id = NEW.id AND part_number IN (
        SELECT json_extract(value, '$.number') FROM json_each(NEW.changed_parts)
        WHERE json_extract(value, '$.size_bytes') IS NULL);
      INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at)
      SELECT NEW.id, json_extract(value, '$.number'), json_extract(value, '$.etag'),
        json_extract(value, '$.size_bytes'), json_extract(value, '$.uploaded_at')
      FROM json_each(NEW.changed_parts) WHERE json_extract(value, '$.size_bytes') IS NOT NULL
      ON CONFLICT (file_id, part_number) DO UPDATE
      SET etag = excluded.etag, size_bytes = excluded.size_bytes, uploaded_at = excluded.uploaded_at;
      UPDATE files SET changed_parts = NULL WHERE id = NEW.id;
    END",
];

const SWEEPS: &[&str] = &[
    // When the session counts as ended for sweeps, if not at expires_at: a claim moves that to the end of its lease, a
    // failure to the end of a pause.
    "ALTER TABLE sessions ADD COLUMN sweep_at INTEGER",
    // 1 if the bucket has nothing of a finalized session but its MOC's objects.
    "ALTER TABLE sessions ADD COLUMN swept INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX sessions_to_sweep ON sessions (coalesce(sweep_at, expires_at)) WHERE swept = 0",
    "CREATE INDEX sessions_swept ON sessions (expires_at) WHERE swept = 1",
    "CREATE INDEX session_counts_by_window ON session_counts (window_start)",
    "CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (status, next_attempt_at)",
];

const REMOVED_FILES: &[&str] = &[
    // Files that were taken out of their sessions, until the bucket is cleared of them.
    "CREATE TABLE removed_files (
      file_id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL,
      category TEXT NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL,
      object_key TEXT NOT NULL,
      upload_id TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      etag TEXT,
      created_at INTEGER NOT NULL,
      completing_at INTEGER
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX removed_files_by_session ON removed_files (session_id)",
    "CREATE TRIGGER remove_file AFTER INSERT ON removed_files
    BEGIN
      DELETE FROM files WHERE id = NEW.file_id;
    END",
];

const QUOTAS: &[&str] = &[
    "CREATE INDEX IF NOT EXISTS sessions_open ON sessions (user_id, expires_at) WHERE status IN ('active', 'finalizing')",
    // Bytes of files that a user has registered since day_start, for users to whom a quota of them applies.
    "CREATE TABLE IF NOT EXISTS user_quotas (
      user_id TEXT PRIMARY KEY,
      day_start INTEGER NOT NULL DEFAULT 0,
      registered_bytes INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID",
    // Files are counted where they are registered, so that none is counted twice, or without being registered. The
    // window never moves back: a clock may be late.
    "CREATE TRIGGER IF NOT EXISTS count_registered_file AFTER INSERT ON files
    BEGIN
      UPDATE user_quotas SET
        registered_bytes = NEW.size_bytes
          + CASE WHEN day_start >= NEW.created_at - NEW.created_at % 86400000 THEN registered_bytes ELSE 0 END,
        day_start = max(day_start, NEW.created_at - NEW.created_at % 86400000)
      WHERE user_id = (SELECT user_id FROM sessions WHERE id = NEW.session_id);
    END",
    "CREATE TRIGGER IF NOT EXISTS count_replaced_file AFTER UPDATE OF id ON files
    BEGIN
      UPDATE user_quotas SET
        registered_bytes = max(NEW.size_bytes - OLD.size_bytes, 0)
          + CASE WHEN day_start >= NEW.created_at - NEW.created_at % 86400000 THEN registered_bytes ELSE 0 END,
        day_start = max(day_start, NEW.created_at - NEW.created_at % 86400000)
      WHERE user_id = (SELECT user_id FROM sessions WHERE id = NEW.session_id);
    END",
];

const SEQUENCE: &[&str] = &[
    // The number of the session's last change that watchers see.
    "ALTER TABLE sessions ADD COLUMN sequence INTEGER NOT NULL DEFAULT 1",
    // Each change of a file takes the next number; parts that are recorded together take one each. RETURNING sees what
    // a BEFORE trigger has done, and nothing of an AFTER trigger.
    "CREATE TRIGGER IF NOT EXISTS number_new_file BEFORE INSERT ON files
    BEGIN
      UPDATE sessions SET sequence = sequence + 1 WHERE id = NEW.session_id;
    END",
    "CREATE TRIGGER IF NOT EXISTS number_recorded_part BEFORE UPDATE OF last_part_number ON files
    BEGIN
      UPDATE sessions SET sequence = sequence + 1 WHERE id = NEW.session_id;
    END",
    // That changed_parts is cleared is no change.
    "CREATE TRIGGER IF NOT EXISTS number_changed_file
    BEFORE UPDATE OF id, media_type, etag, rejected, changed_parts ON files
    WHEN OLD.changed_parts IS NULL
    BEGIN
      UPDATE sessions SET sequence = sequence + coalesce(json_array_length(NEW.changed_parts), 1)
      WHERE id = NEW.session_id;
    END",
    "CREATE TRIGGER IF NOT EXISTS number_removed_file BEFORE DELETE ON files
    BEGIN
      UPDATE sessions SET sequence = sequence + 1 WHERE id = OLD.session_id;
    END",
];

const SECRETS: &[&str] = &[
    // Secrets that the application has made for itself.
    "CREATE TABLE secrets (
      name TEXT PRIMARY KEY,
      value TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

const LEFTOVERS: &[&str] = &[
    // The parts of a file end with it, also if nothing follows on its deletion.
    "CREATE TRIGGER IF NOT EXISTS delete_parts AFTER DELETE ON files
    BEGIN
      DELETE FROM parts WHERE file_id = OLD.id;
    END",
    "CREATE INDEX IF NOT EXISTS user_quotas_by_day ON user_quotas (day_start)",
];
