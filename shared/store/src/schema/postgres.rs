//! The schema in PostgreSQL and the databases that speak its protocol: no triggers, sequences, foreign keys or
//! session state, which some of them lack.
//!
//! Times are milliseconds since the Unix epoch; ids are UUIDs in their hyphenated form.

/// Migration `n` leads from version `n` to version `n + 1`.
pub const MIGRATIONS: &[&[&str]] =
    &[FIRST, ISSUER_KEYS, OUTCOMES, CLAIMS, FILE_NUMBERS, SWEEPS, REMOVED_FILES, QUOTAS, SEQUENCE, SECRETS, LEFTOVERS];

const FIRST: &[&str] = &[
    "CREATE TABLE schema_version (version BIGINT PRIMARY KEY)",
    "CREATE TABLE sessions (
      id TEXT PRIMARY KEY,
      user_id TEXT NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('active', 'finalizing', 'finalized', 'cancelled')),
      part_size_bytes BIGINT NOT NULL,
      created_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      lock_token TEXT,
      finalizing_at BIGINT,
      moc_id TEXT
    )",
    // A file with an ETag is completed. metadata is {"checksums": {"md5": …, "sha256": …}} in hex, as announced by
    // the client; last_part_sha256 is in hex, if it was computed while the part streamed; rejected is 1 if a
    // finalize has rejected the file.
    "CREATE TABLE files (
      id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL,
      category TEXT NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL,
      object_key TEXT NOT NULL,
      upload_id TEXT NOT NULL,
      size_bytes BIGINT NOT NULL,
      parts_completed BIGINT NOT NULL DEFAULT 0,
      bytes_completed BIGINT NOT NULL DEFAULT 0,
      etag TEXT,
      created_at BIGINT NOT NULL,
      completed_at BIGINT,
      completing_at BIGINT,
      completions BIGINT NOT NULL DEFAULT 0,
      metadata TEXT,
      last_part_sha256 TEXT,
      rejected BIGINT NOT NULL DEFAULT 0
    )",
    "CREATE UNIQUE INDEX files_by_name ON files (session_id, category, name)",
    // previous_bytes is what the part had before it was sent again: it keeps the file's counters right.
    "CREATE TABLE parts (
      file_id TEXT NOT NULL,
      part_number BIGINT NOT NULL,
      etag TEXT NOT NULL,
      size_bytes BIGINT NOT NULL,
      previous_bytes BIGINT,
      uploaded_at BIGINT NOT NULL,
      PRIMARY KEY (file_id, part_number)
    )",
    "CREATE TABLE mocs (
      id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL UNIQUE,
      user_id TEXT NOT NULL,
      slug TEXT NOT NULL,
      title TEXT NOT NULL,
      description TEXT NOT NULL,
      tags TEXT NOT NULL,
      theme TEXT,
      thumbnail_key TEXT,
      created_at BIGINT NOT NULL,
      UNIQUE (user_id, slug)
    )",
    "CREATE TABLE moc_files (
      moc_id TEXT NOT NULL,
      file_id TEXT NOT NULL,
      category TEXT NOT NULL,
      name TEXT NOT NULL,
      media_type TEXT NOT NULL,
      object_key TEXT NOT NULL,
      size_bytes BIGINT NOT NULL,
      etag TEXT NOT NULL,
      PRIMARY KEY (moc_id, file_id)
    )",
    "CREATE TABLE session_counts (
      user_id TEXT PRIMARY KEY,
      window_start BIGINT NOT NULL,
      sessions BIGINT NOT NULL
    )",
    // The outbox. A delivery is due from next_attempt_at on; a claim moves that to the end of its lease. cause is
    // why the last attempt failed.
    "CREATE TABLE webhook_deliveries (
      moc_id TEXT PRIMARY KEY,
      session_id TEXT NOT NULL,
      user_id TEXT NOT NULL,
      occurred_at BIGINT NOT NULL,
      status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
      attempts BIGINT NOT NULL DEFAULT 0,
      next_attempt_at BIGINT NOT NULL DEFAULT 0,
      cause TEXT
    )",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending'",
];

const ISSUER_KEYS: &[&str] = &[
    // The key sets of tokens' issuers, as fetched. A claim moves next_fetch_at to the end of its lease.
    "CREATE TABLE issuer_keys (
      url TEXT PRIMARY KEY,
      document TEXT NOT NULL DEFAULT '',
      fetched_at BIGINT NOT NULL DEFAULT 0,
      next_fetch_at BIGINT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed'))
    )",
];

const OUTCOMES: &[&str] = &[
    // Why a finalize has rejected the file: the name of a fault, or algorithm, expected and actual checksum.
    "ALTER TABLE files ADD COLUMN rejection TEXT",
    // The ETag of the object of which all bytes were read and found right.
    "ALTER TABLE files ADD COLUMN verified_etag TEXT",
    // 1 if a cancellation has cleared the bucket of the file.
    "ALTER TABLE files ADD COLUMN cleared BIGINT NOT NULL DEFAULT 0",
    // Thumbnails that are to be made. One is due from due_at on; a claim moves that to the end of its lease, and it is
    // NULL once the thumbnail is given up. cause is why the last attempt failed.
    "CREATE TABLE thumbnails (
      moc_id TEXT PRIMARY KEY,
      attempts BIGINT NOT NULL DEFAULT 0,
      due_at BIGINT,
      cause TEXT
    )",
    "CREATE INDEX thumbnails_due ON thumbnails (due_at) WHERE due_at IS NOT NULL",
    // Each row lets one instance make thumbnails, one after the other.
    "CREATE TABLE thumbnail_slots (
      slot BIGINT PRIMARY KEY,
      holder TEXT,
      leased_until BIGINT NOT NULL DEFAULT 0
    )",
    "INSERT INTO thumbnail_slots (slot) VALUES (1)",
];

const CLAIMS: &[&str] = &[
    // 1 if parts were recorded at a client's word, or as the bucket listed them.
    "ALTER TABLE files ADD COLUMN has_claims BIGINT NOT NULL DEFAULT 0",
];

const FILE_NUMBERS: &[&str] = &[
    // Which of the files of its session it is: of files that are registered at once, one gets each number.
    "ALTER TABLE files ADD COLUMN number_in_session BIGINT",
    "CREATE UNIQUE INDEX files_in_session ON files (session_id, number_in_session)",
];

const SWEEPS: &[&str] = &[
    // When the session counts as ended for sweeps, if not at expires_at: a claim moves that to the end of its lease, a
    // failure to the end of a pause.
    "ALTER TABLE sessions ADD COLUMN sweep_at BIGINT",
    // 1 if the bucket has nothing of a finalized session but its MOC's objects.
    "ALTER TABLE sessions ADD COLUMN swept BIGINT NOT NULL DEFAULT 0",
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
      size_bytes BIGINT NOT NULL,
      etag TEXT,
      created_at BIGINT NOT NULL,
      completing_at BIGINT
    )",
    "CREATE INDEX removed_files_by_session ON removed_files (session_id)",
];

const QUOTAS: &[&str] = &[
    "CREATE INDEX sessions_open ON sessions (user_id, expires_at) WHERE status IN ('active', 'finalizing')",
    // Bytes of files that a user has registered since day_start. version counts what was opened and registered under
    // quotas: of several requests of a user at once, one sees the row as it is, and the others look again.
    "CREATE TABLE user_quotas (
      user_id TEXT PRIMARY KEY,
      version BIGINT NOT NULL DEFAULT 0,
      day_start BIGINT NOT NULL DEFAULT 0,
      registered_bytes BIGINT NOT NULL DEFAULT 0
    )",
];

const SEQUENCE: &[&str] = &[
    // The number of the session's last change that watchers see.
    "ALTER TABLE sessions ADD COLUMN sequence BIGINT NOT NULL DEFAULT 1",
];

const SECRETS: &[&str] = &[
    // Secrets that the application has made for itself.
    "CREATE TABLE secrets (
      name TEXT PRIMARY KEY,
      value TEXT NOT NULL,
      created_at BIGINT NOT NULL
    )",
];

const LEFTOVERS: &[&str] = &["CREATE INDEX IF NOT EXISTS user_quotas_by_day ON user_quotas (day_start)"];
