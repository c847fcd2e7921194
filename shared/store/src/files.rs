//! Statements on files and their parts.

use std::borrow::Cow;

use moc_application::port::{Completing, Files, Platform, Registered, Removed, Sessions, StoreError};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, Rejection, StoredPart};
use moc_domain::id::{FileId, LockToken, SessionId};
use moc_domain::part::PartNumber;
use moc_domain::quota::FileQuotas;
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;

use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::quotas::{self, Registration};
use crate::row::{self, FILE, PART, REMOVED_FILE, SESSION, list, metadata, number, one, record, records};
use crate::{SqlStore, claims};

/// The number that a change of a file has taken, in SQLite: a trigger takes it before the change.
pub(crate) const SEQUENCE_SQLITE: &str = "(SELECT sequence FROM sessions WHERE id = session_id)";

/// Takes `count` numbers of the session of the file `?1`, in PostgreSQL. Whatever locks a session and a file locks the
/// session first, so that no two requests wait for each other; and changes of one session take turns, so that their
/// numbers show their order.
pub(crate) fn numbered(count: &str, condition: &str) -> String {
    format!(
        "s AS (
          UPDATE sessions SET sequence = sequence + {count}
          WHERE id = (SELECT session_id FROM files WHERE id = ?1) AND {condition} RETURNING id, sequence)"
    )
}

/// Records a part in SQLite: the trigger on `last_part_number` writes the part, the counters say whether it is new,
/// and both cost the same whatever is stored already.
const RECORD_PART_SQLITE: &str = "UPDATE files SET
      parts_completed = parts_completed + NOT EXISTS (SELECT 1 FROM parts WHERE file_id = ?1 AND part_number = ?2),
      bytes_completed = bytes_completed + ?4
        - coalesce((SELECT size_bytes FROM parts WHERE file_id = ?1 AND part_number = ?2), 0),
      last_part_number = ?2, last_part_etag = ?3, last_part_bytes = ?4, last_part_at = ?5,
      last_part_sha256 = ?6
    WHERE id = ?1 AND etag IS NULL
      AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active')
    RETURNING parts_completed, bytes_completed, (SELECT sequence FROM sessions WHERE id = session_id)";

/// Records a part in PostgreSQL, after [`numbered`]. A data-modifying `WITH` reads the snapshot of its start, so the
/// file's row is locked first, and the part's row itself says which bytes it replaced: two requests that store one part
/// at once count it once.
const RECORD_PART_POSTGRES: &str = "f AS (
      SELECT files.id FROM files JOIN s ON s.id = files.session_id WHERE files.id = ?1 AND files.etag IS NULL
      FOR UPDATE OF files),
    p AS (
      INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at)
      SELECT id, CAST(?2 AS BIGINT), ?3, CAST(?4 AS BIGINT), CAST(?5 AS BIGINT) FROM f
      ON CONFLICT (file_id, part_number) DO UPDATE SET previous_bytes = parts.size_bytes,
        etag = excluded.etag, size_bytes = excluded.size_bytes, uploaded_at = excluded.uploaded_at
      RETURNING file_id, size_bytes, previous_bytes)
    UPDATE files SET
      parts_completed = parts_completed + CASE WHEN p.previous_bytes IS NULL THEN 1 ELSE 0 END,
      bytes_completed = bytes_completed + p.size_bytes - coalesce(p.previous_bytes, 0),
      last_part_sha256 = ?6
    FROM p, s WHERE files.id = p.file_id
    RETURNING parts_completed, bytes_completed, s.sequence";

/// Replaces a rejected file in SQLite: it becomes another one. Conditions on the session `s` may follow.
const REPLACE_FILE_SQLITE: &str = "UPDATE files SET id = ?1, media_type = ?3, object_key = ?4, upload_id = ?5,
      size_bytes = ?6, created_at = ?7, metadata = ?8, parts_completed = 0, bytes_completed = 0, etag = NULL,
      completed_at = NULL, completing_at = NULL, completions = 0, last_part_sha256 = NULL, rejected = 0,
      rejection = NULL, verified_etag = NULL, has_claims = 0
    WHERE id = ?9 AND session_id = ?2 AND etag IS NOT NULL AND rejected = 1
      AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active'";

/// Replaces a rejected file in PostgreSQL, after [`ACTIVE_SESSION`]. The session is locked meanwhile, so a finalize
/// that gets its lock sees one of the two files and keeps it. Conditions on the session `s` may follow.
const REPLACE_FILE_POSTGRES: &str = "UPDATE files SET id = ?1, media_type = ?3, object_key = ?4, upload_id = ?5,
      size_bytes = CAST(?6 AS BIGINT), created_at = CAST(?7 AS BIGINT), metadata = ?8, parts_completed = 0,
      bytes_completed = 0, etag = NULL, completed_at = NULL, completing_at = NULL, completions = 0,
      last_part_sha256 = NULL, rejected = 0, rejection = NULL, verified_etag = NULL, has_claims = 0
    FROM s WHERE files.id = ?9 AND files.session_id = s.id AND files.etag IS NOT NULL AND files.rejected = 1";

/// Registers a file in SQLite, where writers take turns. Conditions on the session `s` may follow. A file that was
/// taken out is not registered again by a statement whose result was lost.
const INSERT_FILE_SQLITE: &str = "INSERT INTO files (id, session_id, category, name, media_type, object_key, upload_id,
      size_bytes, created_at, metadata)
    SELECT ?1, s.id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11 FROM sessions s
    WHERE s.id = ?2 AND s.status = 'active' AND (SELECT count(*) FROM files WHERE session_id = s.id) < ?10
      AND NOT EXISTS (SELECT 1 FROM removed_files WHERE file_id = ?1)";

/// The session `?2` of a file in PostgreSQL, locked, with the next number.
pub(crate) const ACTIVE_SESSION: &str = "s AS (UPDATE sessions SET sequence = sequence + 1
      WHERE id = ?2 AND status = 'active' RETURNING id, user_id, sequence)";

/// Registers a file in PostgreSQL, after [`ACTIVE_SESSION`]. Of several at once each counts those of its snapshot, so
/// they take the same place in the session, and one of them is stored. The session is locked meanwhile, so a finalize
/// that gets its lock sees the file. Conditions on the session `s` may follow.
const INSERT_FILE_POSTGRES: &str =
    "INSERT INTO files (id, session_id, category, name, media_type, object_key, upload_id, size_bytes, created_at,
      metadata, number_in_session)
    SELECT ?1, s.id, ?3, ?4, ?5, ?6, ?7, CAST(?8 AS BIGINT), CAST(?9 AS BIGINT), ?11,
      coalesce((SELECT max(number_in_session) FROM files WHERE session_id = ?2), 0) + 1
    FROM s WHERE (SELECT count(*) FROM files WHERE session_id = ?2) < ?10
      AND NOT EXISTS (SELECT 1 FROM removed_files WHERE file_id = ?1)";

/// Takes a file out in SQLite: a trigger deletes it from `files`.
const REMOVE_FILE_SQLITE: &str =
    "INSERT INTO removed_files (file_id, session_id, category, name, media_type, object_key,
      upload_id, size_bytes, etag, created_at, completing_at)
    SELECT f.id, f.session_id, f.category, f.name, f.media_type, f.object_key, f.upload_id, f.size_bytes, f.etag,
      f.created_at, f.completing_at
    FROM files f WHERE f.id = ?1 AND f.session_id = ?2
      AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = f.session_id AND s.status = 'active')
      AND (SELECT count(*) FROM removed_files WHERE session_id = ?2) < ?3
    ON CONFLICT DO NOTHING RETURNING 1";

/// Takes a file out in PostgreSQL, after [`ACTIVE_SESSION`]. The session is locked meanwhile, so a finalize that gets
/// its lock does not see the file, or keeps it.
const REMOVE_FILE_POSTGRES: &str = "f AS (
      DELETE FROM files USING s WHERE files.id = ?1 AND files.session_id = s.id
        AND (SELECT count(*) FROM removed_files WHERE session_id = ?2) < CAST(?3 AS BIGINT)
      RETURNING files.id, files.session_id, files.category, files.name, files.media_type, files.object_key,
        files.upload_id, files.size_bytes, files.etag, files.created_at, files.completing_at),
    p AS (DELETE FROM parts USING f WHERE parts.file_id = f.id)
    INSERT INTO removed_files (file_id, session_id, category, name, media_type, object_key, upload_id, size_bytes,
      etag, created_at, completing_at)
    SELECT id, session_id, category, name, media_type, object_key, upload_id, size_bytes, etag, created_at,
      completing_at FROM f
    ON CONFLICT DO NOTHING RETURNING 1";

/// Deletes the parts of a file that no longer exists. They are deleted with it, by a trigger in SQLite; but a statement
/// in PostgreSQL does not see those that were recorded since it began.
const DELETE_PARTS: &str = "DELETE FROM parts WHERE file_id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE id = ?1)";

/// Deletes the parts of a rejected file, which nobody needs: it can only be replaced, and takes no parts.
const DELETE_REJECTED_PARTS: &str = "DELETE FROM parts WHERE file_id = ?1
      AND EXISTS (SELECT 1 FROM files WHERE id = ?1 AND etag IS NOT NULL AND rejected = 1)";

impl<E: SqlExecutor, P: Platform> SqlStore<E, P> {
    /// What keeps a file out that would replace `rejected`, or that it is there already: looked up only when that is
    /// needed. `None` if nothing does any more.
    async fn not_registered(
        &self,
        file: &File,
        rejected: Option<FileId>,
        files_max: u64,
        quotas: &FileQuotas,
    ) -> Result<Option<Registered>, StoreError> {
        let Some((session, files)) = self.session_with_files(file.session_id).await? else {
            return Ok(Some(Registered::NotActive));
        };
        let same = |other: &&File| other.category == file.category && other.name == file.name;
        let replaced = files.iter().find(same);
        Ok(match replaced {
            Some(other) if other.id == file.id => Some(Registered::Done { sequence: session.sequence }),
            Some(other) if Some(other.id) != rejected => Some(Registered::Duplicate(other.id)),
            _ if session.status != Status::Active || replaced.is_some() != rejected.is_some() => {
                Some(Registered::NotActive)
            }
            Some(other) if !other.rejected => Some(Registered::NotActive),
            None if files.len() as u64 >= files_max => Some(Registered::Full),
            _ => {
                let others: u64 = files.iter().filter(|file| !same(file)).map(|file| file.size_bytes).sum();
                let replaced_bytes = replaced.map_or(0, |file| file.size_bytes);
                let checked = quotas::check(self, quotas, &session.user, file, others, replaced_bytes).await?;
                checked.err().map(Registered::OverQuota)
            }
        })
    }

    /// Executes a statement that returns the number of a change; `None` if it has changed nothing.
    async fn sequence(&self, statement: Statement<'_>) -> Result<Option<u64>, StoreError> {
        self.first(statement).await?.map(|row| number(&row, 0)).transpose()
    }

    /// A change of the file `?1` under conditions on it and on the table `sessions`; returns its number.
    fn change_file(&self, set: &str, file: &str, session: &str) -> String {
        if self.is_postgres() {
            let numbered = numbered("1", session);
            return format!(
                "WITH {numbered} UPDATE files SET {set} FROM s
                 WHERE files.id = ?1 AND files.session_id = s.id AND {file} RETURNING s.sequence"
            );
        }
        format!(
            "UPDATE files SET {set} WHERE id = ?1 AND {file}
               AND EXISTS (SELECT 1 FROM sessions WHERE sessions.id = session_id AND {session})
             RETURNING {SEQUENCE_SQLITE}"
        )
    }
}

impl<E: SqlExecutor, P: Platform> Files for SqlStore<E, P> {
    async fn insert_file(&self, file: &File, files_max: u64, quotas: &FileQuotas) -> Result<Registered, StoreError> {
        let sql = if self.is_postgres() { INSERT_FILE_POSTGRES } else { INSERT_FILE_SQLITE };
        let registration = Registration { quotas, replaces: false, at: file.created_at };
        let sql = registration.statement(self, sql, " ON CONFLICT DO NOTHING");
        let parameters = [
            text(file.id),
            text(file.session_id),
            text(file.category.as_str()),
            text(&file.name),
            text(file.content.media_type()),
            text(&file.key),
            text(&file.upload_id),
            file.size_bytes.into(),
            file.created_at.into(),
            files_max.into(),
            metadata(&file.checksums),
        ];
        // Whoever is kept out by another one of the same number repeats it: as often as there are others, at most.
        for _ in 0..=registration.others_max(files_max) {
            registration.begin(self, file.session_id).await?;
            if let Some(sequence) = self.sequence(Statement::new(&*sql, parameters.clone())).await? {
                return Ok(Registered::Done { sequence });
            }
            if let Some(outcome) = self.not_registered(file, None, files_max, quotas).await? {
                return Ok(outcome);
            }
            let is_removed = Statement::new("SELECT 1 FROM removed_files WHERE file_id = ?1", [text(file.id)]);
            if self.changed(is_removed).await? {
                return Ok(Registered::NotActive);
            }
        }
        Err(StoreError("files are registered and removed all the time".to_owned()))
    }

    async fn replace_file(&self, rejected: FileId, file: &File, quotas: &FileQuotas) -> Result<Registered, StoreError> {
        let (sql, tail) = if self.is_postgres() { (REPLACE_FILE_POSTGRES, "") } else { (REPLACE_FILE_SQLITE, ")") };
        let registration = Registration { quotas, replaces: true, at: file.created_at };
        let sql = registration.statement(self, sql, tail);
        let parameters = [
            text(file.id),
            text(file.session_id),
            text(file.content.media_type()),
            text(&file.key),
            text(&file.upload_id),
            file.size_bytes.into(),
            file.created_at.into(),
            metadata(&file.checksums),
            text(rejected),
        ];
        for _ in 0..=registration.others_max(0) {
            registration.begin(self, file.session_id).await?;
            let parts = Statement::new(DELETE_REJECTED_PARTS, [text(rejected)]);
            let results = self.execute_all(&[parts, Statement::new(&*sql, parameters.clone())]).await?;
            if let Some(row) = results.last().and_then(|rows| rows.first()) {
                return Ok(Registered::Done { sequence: number(row, 0)? });
            }
            if let Some(outcome) = self.not_registered(file, Some(rejected), u64::MAX, quotas).await? {
                return Ok(outcome);
            }
        }
        Ok(Registered::NotActive)
    }

    async fn file(&self, session: SessionId, file: FileId) -> Result<Option<(Session, File)>, StoreError> {
        let sql = format!(
            "SELECT (SELECT {} FROM sessions s WHERE s.id = f.session_id), {}
             FROM files f WHERE f.id = ?1 AND f.session_id = ?2",
            one(SESSION),
            one(FILE)
        );
        let Some(row) = self.first(Statement::new(sql, [text(file), text(session)])).await? else { return Ok(None) };
        Ok(Some((row::session(&record(&row, 0)?)?, row::file(&record(&row, 1)?)?)))
    }

    async fn file_with_parts(
        &self,
        session: SessionId,
        file: FileId,
    ) -> Result<Option<(Session, File, Vec<StoredPart>)>, StoreError> {
        let sql = format!(
            "SELECT (SELECT {} FROM sessions s WHERE s.id = f.session_id), {}, {}
             FROM files f WHERE f.id = ?1 AND f.session_id = ?2",
            one(SESSION),
            one(FILE),
            list(PART, "(SELECT * FROM parts WHERE file_id = f.id ORDER BY part_number) p")
        );
        let Some(row) = self.first(Statement::new(sql, [text(file), text(session)])).await? else { return Ok(None) };
        let parts = records(&row, 2, row::part)?;
        Ok(Some((row::session(&record(&row, 0)?)?, row::file(&record(&row, 1)?)?, parts)))
    }

    async fn record_part(
        &self,
        file: FileId,
        part: &StoredPart,
        sha256: Option<[u8; 32]>,
    ) -> Result<Option<Progress>, StoreError> {
        let sql: Cow<'_, str> = if self.is_postgres() {
            format!("WITH {}, {RECORD_PART_POSTGRES}", numbered("1", "status = 'active'")).into()
        } else {
            RECORD_PART_SQLITE.into()
        };
        let parameters = [
            text(file),
            u64::from(part.number.get()).into(),
            text(&part.etag),
            part.size_bytes.into(),
            part.uploaded_at.into(),
            sha256.map(hex::encode).into(),
        ];
        let Some(row) = self.first(Statement::new(sql, parameters)).await? else { return Ok(None) };
        let parts_completed = u16::try_from(number(&row, 0)?).unwrap_or(u16::MAX);
        Ok(Some(Progress { parts_completed, bytes_completed: number(&row, 1)?, sequence: number(&row, 2)? }))
    }

    async fn claim_parts(&self, file: FileId, parts: &[StoredPart]) -> Result<Option<Vec<Progress>>, StoreError> {
        claims::record(self, file, parts).await
    }

    async fn take_back_parts(&self, file: FileId, parts: &[(PartNumber, ETag)]) -> Result<(), StoreError> {
        claims::take_back(self, file, parts).await
    }

    async fn begin_completion(
        &self,
        file: FileId,
        now: Timestamp,
        over_before: Timestamp,
    ) -> Result<Option<Completing>, StoreError> {
        let sql = "UPDATE files SET completing_at = CASE WHEN coalesce(completing_at, 0) < ?2 THEN ?2
                ELSE completing_at + 1 END,
              completions = CASE WHEN coalesce(completing_at, 0) <= ?3 THEN 1 ELSE completions + 1 END
            WHERE id = ?1 AND etag IS NULL
              AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active')
            RETURNING completing_at, completions";
        let parameters = [text(file), now.into(), over_before.into()];
        let Some(row) = self.first(Statement::new(sql, parameters)).await? else { return Ok(None) };
        let at = i64::try_from(number(&row, 0)?).unwrap_or(i64::MAX);
        Ok(Some(Completing { at: Timestamp::from_millis(at), requests: number(&row, 1)? }))
    }

    async fn end_completion(&self, file: FileId) -> Result<(), StoreError> {
        let sql = "UPDATE files SET completing_at = NULL WHERE id = ?1 AND etag IS NULL";
        self.execute(Statement::new(sql, [text(file)])).await?;
        Ok(())
    }

    async fn complete_file(&self, file: &File, etag: &ETag, now: Timestamp) -> Result<Option<u64>, StoreError> {
        let set = "etag = ?2, completed_at = ?3, bytes_completed = size_bytes, parts_completed = ?4,
              last_part_sha256 = ?5";
        let sql = self.change_file(set, "etag IS NULL", "status = 'active'");
        let total = u64::from(file.plan.total());
        let sha256 = file.last_part_sha256.map(hex::encode);
        let parameters = [text(file.id), text(etag), now.into(), total.into(), sha256.into()];
        self.sequence(Statement::new(sql, parameters)).await
    }

    async fn reject_file(&self, file: FileId, rejection: &Rejection, token: LockToken) -> Result<bool, StoreError> {
        let session = "status = 'finalizing' AND lock_token = ?3
              AND NOT EXISTS (SELECT 1 FROM mocs m WHERE m.session_id = sessions.id)";
        let sql = self.change_file("rejected = 1, rejection = ?2", "etag IS NOT NULL", session);
        self.changed(Statement::new(sql, [text(file), text(rejection.to_text()), text(token)])).await
    }

    async fn verify_file(&self, file: FileId, etag: &ETag) -> Result<(), StoreError> {
        let sql = "UPDATE files SET verified_etag = ?2 WHERE id = ?1 AND etag IS NOT NULL AND rejected = 0";
        self.execute(Statement::new(sql, [text(file), text(etag)])).await?;
        Ok(())
    }

    async fn retype_file(&self, file: FileId, content: Content, etag: &ETag) -> Result<(), StoreError> {
        let sql = self.change_file("media_type = ?2, etag = ?3", "etag IS NOT NULL", "TRUE");
        self.execute(Statement::new(sql, [text(file), text(content.media_type()), text(etag)])).await?;
        Ok(())
    }

    async fn remove_file(
        &self,
        session: SessionId,
        file: FileId,
        uncleared_max: u64,
    ) -> Result<Option<Removed>, StoreError> {
        let remove: Cow<'_, str> = if self.is_postgres() {
            format!("WITH {ACTIVE_SESSION}, {REMOVE_FILE_POSTGRES}").into()
        } else {
            REMOVE_FILE_SQLITE.into()
        };
        let find =
            format!("SELECT {} FROM removed_files r WHERE r.file_id = ?1 AND r.session_id = ?2", one(REMOVED_FILE));
        let statements = [
            Statement::new(remove, [text(file), text(session), uncleared_max.into()]),
            Statement::new(DELETE_PARTS, [text(file)]),
            Statement::new(find, [text(file), text(session)]),
        ];
        let results = self.execute_all(&statements).await?;
        let Some(row) = results.last().and_then(|rows| rows.first()) else { return Ok(None) };
        let again = results.first().is_none_or(Vec::is_empty);
        Ok(Some(Removed { file: row::file(&record(row, 0)?)?, again }))
    }

    async fn uncleared_files(&self, session: SessionId) -> Result<Vec<File>, StoreError> {
        let of_session = "(SELECT * FROM files WHERE session_id = ?1 AND cleared = 0
            AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status <> 'finalized')) f";
        let removed = "(SELECT * FROM removed_files WHERE session_id = ?1) r";
        let sql = format!("SELECT {}, {}", list(FILE, of_session), list(REMOVED_FILE, removed));
        let row = self.first(Statement::new(sql, [text(session)])).await?.unwrap_or_default();
        Ok([records(&row, 0, row::file)?, records(&row, 1, row::file)?].concat())
    }

    async fn clear_files(&self, session: SessionId, files: &[FileId]) -> Result<(), StoreError> {
        let placeholders: Vec<String> = (2..files.len() + 2).map(|number| format!("?{number}")).collect();
        let placeholders = placeholders.join(", ");
        let clear = format!(
            "UPDATE files SET cleared = 1 WHERE session_id = ?1 AND id IN ({placeholders})
               AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'cancelled')"
        );
        let forget = format!("DELETE FROM removed_files WHERE session_id = ?1 AND file_id IN ({placeholders})");
        let parameters: Vec<Value> = [text(session)].into_iter().chain(files.iter().map(text)).collect();
        self.execute_all(&[clear, forget].map(|sql| Statement::new(sql, parameters.clone()))).await?;
        Ok(())
    }

    async fn forget_file(&self, file: FileId, completing_at: Option<Timestamp>) -> Result<bool, StoreError> {
        let pending = "etag IS NULL AND coalesce(completing_at, 0) = ?2";
        let sql = if self.is_postgres() {
            let numbered = numbered("1", "TRUE");
            format!(
                "WITH {numbered},
                 f AS (DELETE FROM files USING s
                   WHERE files.id = ?1 AND files.session_id = s.id AND {pending} RETURNING files.id),
                 p AS (DELETE FROM parts USING f WHERE parts.file_id = f.id)
                 SELECT 1 FROM f"
            )
        } else {
            format!("DELETE FROM files WHERE id = ?1 AND {pending} RETURNING 1")
        };
        let completing_at = completing_at.unwrap_or(Timestamp::from_millis(0));
        let forget = Statement::new(sql, [text(file), completing_at.into()]);
        let results = self.execute_all(&[forget, Statement::new(DELETE_PARTS, [text(file)])]).await?;
        Ok(results.first().is_some_and(|rows| !rows.is_empty()))
    }
}
