//! Quotas of users, as conditions of the statements that they limit.
//!
//! In SQLite writers take turns, so what a statement counts is what is there, and triggers count what it has
//! registered. In PostgreSQL a statement counts what was there when it began: so it locks the user's row first, and
//! does nothing if another request of the user has changed that since. Its caller repeats it then.

use moc_application::port::{Opened, Platform, StoreError};
use moc_domain::error::ErrorKind;
use moc_domain::file::File;
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::{QUOTA_ATTEMPTS_MAX, QUOTA_DAY_MS};
use moc_domain::quota::{FileQuotas, SessionQuotas, Usage, window_start};
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, text};
use crate::files::{ACTIVE_SESSION, SEQUENCE_SQLITE};
use crate::row::number;
use crate::sessions;

/// Open sessions of a user are counted up to this number for a response.
const COUNTED_MAX: u64 = 100_000;

/// Inserts a session while its user has fewer than `?7` open ones; the index on these is read that far at most.
const OPEN_SQLITE: &str = "INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6
    WHERE (SELECT count(*) FROM (SELECT 1 FROM sessions
      WHERE user_id = ?2 AND status IN ('active', 'finalizing') AND expires_at > ?5 LIMIT ?7)) < ?7
    ON CONFLICT DO NOTHING RETURNING 1";

const OPEN_POSTGRES: &str = "WITH q AS (
      SELECT user_id FROM user_quotas
      WHERE user_id = ?2 AND version = (SELECT version FROM user_quotas WHERE user_id = ?2) FOR UPDATE),
    s AS (
      INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
      SELECT ?1, q.user_id, ?3, CAST(?4 AS BIGINT), CAST(?5 AS BIGINT), CAST(?6 AS BIGINT) FROM q
      WHERE (SELECT count(*) FROM (SELECT 1 FROM sessions
        WHERE user_id = ?2 AND status IN ('active', 'finalizing') AND expires_at > CAST(?5 AS BIGINT)
        LIMIT CAST(?7 AS BIGINT)) AS o) < CAST(?7 AS BIGINT)
      ON CONFLICT DO NOTHING RETURNING user_id),
    u AS (UPDATE user_quotas SET version = version + 1 FROM s WHERE user_quotas.user_id = s.user_id)
    SELECT 1 FROM s";

/// The row that requests of a user lock in PostgreSQL, and that triggers count in in SQLite.
const INSERT_USER: &str = "INSERT INTO user_quotas (user_id) VALUES (?1) ON CONFLICT DO NOTHING";
const INSERT_USER_OF_SESSION: &str = "INSERT INTO user_quotas (user_id) SELECT user_id FROM sessions WHERE id = ?1
    ON CONFLICT DO NOTHING";

/// See [`moc_application::port::Sessions::open_session`].
pub async fn open_session<E: SqlExecutor, P: Platform>(
    store: &SqlStore<E, P>,
    session: &Session,
    quotas: &SessionQuotas,
) -> Result<Opened, StoreError> {
    let mut parameters = sessions::values(session);
    parameters.push(quotas.open.unwrap_or(i64::MAX.unsigned_abs()).into());
    let sql = if store.is_postgres() { OPEN_POSTGRES } else { OPEN_SQLITE };
    for _ in 0..QUOTA_ATTEMPTS_MAX {
        if store.changed(Statement::new(sql, parameters.clone())).await? {
            return Ok(Opened::Done);
        }
        // The result of an earlier attempt may have been lost.
        let exists = Statement::new("SELECT 1 FROM sessions WHERE id = ?1", [text(session.id)]);
        if store.changed(exists).await? {
            return Ok(Opened::Done);
        }
        let usage = usage(store, &session.user, session.created_at).await?;
        if let Err(kind) = quotas.check_open(&usage, session.created_at) {
            return Ok(Opened::OverQuota(kind));
        }
        if store.is_postgres() {
            // The user's first session: every other one finds the row.
            store.execute(Statement::new(INSERT_USER, [text(&session.user)])).await?;
        }
    }
    Err(StoreError("the user creates sessions all the time".to_owned()))
}

/// See [`moc_application::port::Sessions::usage`].
pub async fn usage<E: SqlExecutor, P: Platform>(
    store: &SqlStore<E, P>,
    user: &UserId,
    now: Timestamp,
) -> Result<Usage, StoreError> {
    let open = "user_id = ?1 AND status IN ('active', 'finalizing') AND expires_at > ?2";
    let sql = format!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM sessions WHERE {open} LIMIT {COUNTED_MAX}) AS o),
          coalesce((SELECT min(expires_at) FROM sessions WHERE {open}), 0),
          (SELECT count(*) FROM (SELECT 1 FROM sessions s JOIN files f ON f.session_id = s.id
            WHERE {open} AND f.etag IS NULL LIMIT {COUNTED_MAX}) AS u),
          coalesce((SELECT registered_bytes FROM user_quotas WHERE user_id = ?1 AND day_start >= ?3), 0)"
    );
    let parameters = [text(user), now.into(), window_start(now, QUOTA_DAY_MS).into()];
    let row = store.first(Statement::new(sql, parameters)).await?.unwrap_or_default();
    let first_expires_at = i64::try_from(number(&row, 1)?).ok().filter(|at| *at > 0);
    Ok(Usage {
        open_sessions: number(&row, 0)?,
        first_expires_at: first_expires_at.map(Timestamp::from_millis),
        open_uploads: number(&row, 2)?,
        day_bytes: number(&row, 3)?,
    })
}

/// Checks the quotas of a file that no statement has registered.
pub async fn check<E: SqlExecutor, P: Platform>(
    store: &SqlStore<E, P>,
    quotas: &FileQuotas,
    user: &UserId,
    file: &File,
    others_bytes: u64,
    replaced_bytes: u64,
) -> Result<Result<(), ErrorKind>, StoreError> {
    if let Err(kind) = quotas.check_session(others_bytes.saturating_add(file.size_bytes)) {
        return Ok(Err(kind));
    }
    if !quotas.counts_usage() {
        return Ok(Ok(()));
    }
    let usage = usage(store, user, file.created_at).await?;
    Ok(quotas.check_usage(file.size_bytes.saturating_sub(replaced_bytes), &usage, file.created_at))
}

/// A registration of a file, by an insertion with the file's size in `?8` and its time in `?9`, or by a replacement
/// with them in `?6` and `?7` and the replaced file's id in `?9`. Either has the session's id in `?2`.
pub struct Registration<'a> {
    pub quotas: &'a FileQuotas,
    pub replaces: bool,
    /// When the file is registered.
    pub at: Timestamp,
}

impl Registration<'_> {
    /// The statement from its beginning, which ends with conditions on the session `s`, and what follows these.
    pub fn statement<E: SqlExecutor, P: Platform>(&self, store: &SqlStore<E, P>, sql: &str, tail: &str) -> String {
        let conditions = self.conditions();
        if !store.is_postgres() {
            return format!("{sql}{conditions}{tail} RETURNING {SEQUENCE_SQLITE}");
        }
        if self.quotas.is_off() {
            return format!("WITH {ACTIVE_SESSION} {sql}{tail} RETURNING (SELECT sequence FROM s)");
        }
        let (added, day) = (self.added("o.size_bytes"), self.day());
        let old = if self.replaces { ", (SELECT size_bytes FROM files WHERE id = ?9) AS o" } else { "" };
        format!(
            "WITH q AS (
              SELECT user_id FROM user_quotas
              WHERE user_id = (SELECT user_id FROM sessions WHERE id = ?2) AND version = (
                SELECT version FROM user_quotas WHERE user_id = (SELECT user_id FROM sessions WHERE id = ?2))
              FOR UPDATE),
            s AS (
              UPDATE sessions SET sequence = sequence + 1 FROM q
              WHERE sessions.user_id = q.user_id AND sessions.id = ?2 AND sessions.status = 'active'
              RETURNING sessions.id, sessions.user_id, sessions.sequence),
            f AS ({sql}{conditions}{tail} RETURNING files.session_id),
            u AS (
              UPDATE user_quotas SET version = version + 1,
                registered_bytes = {added} + CASE WHEN day_start >= {day} THEN registered_bytes ELSE 0 END,
                day_start = greatest(day_start, {day})
              FROM f, q{old} WHERE user_quotas.user_id = q.user_id)
            SELECT s.sequence FROM f, s"
        )
    }

    /// Prepares the user's row, if the statement needs it.
    pub async fn begin<E: SqlExecutor, P: Platform>(
        &self,
        store: &SqlStore<E, P>,
        session: SessionId,
    ) -> Result<(), StoreError> {
        let needs_row = if store.is_postgres() { !self.quotas.is_off() } else { self.quotas.day_bytes.is_some() };
        if needs_row {
            store.execute(Statement::new(INSERT_USER_OF_SESSION, [text(session)])).await?;
        }
        Ok(())
    }

    /// How many other registrations may keep this one out, of which `in_session` are of its session.
    pub fn others_max(&self, in_session: u64) -> u64 {
        if self.quotas.is_off() { in_session } else { in_session.max(QUOTA_ATTEMPTS_MAX.into()) }
    }

    const fn day(&self) -> i64 {
        window_start(self.at, QUOTA_DAY_MS).as_millis()
    }

    const fn size(&self) -> &'static str {
        if self.replaces { "CAST(?6 AS BIGINT)" } else { "CAST(?8 AS BIGINT)" }
    }

    /// The bytes that are counted, where a replaced file has `old` ones.
    fn added(&self, old: &str) -> String {
        let size = self.size();
        if self.replaces { format!("CASE WHEN {size} > {old} THEN {size} - {old} ELSE 0 END") } else { size.to_owned() }
    }

    /// What has to be true of the session `s` and its user.
    fn conditions(&self) -> String {
        let FileQuotas { open_uploads, session_bytes, day_bytes } = *self.quotas;
        let mut conditions = String::new();
        if let Some(limit) = open_uploads {
            let now = self.at.as_millis();
            conditions += &format!(
                " AND (SELECT count(*) FROM (SELECT 1 FROM sessions o JOIN files p ON p.session_id = o.id
                  WHERE o.user_id = s.user_id AND o.status IN ('active', 'finalizing') AND o.expires_at > {now}
                    AND p.etag IS NULL LIMIT {limit}) AS uploads) < {limit}"
            );
        }
        if let Some(limit) = session_bytes {
            let size = self.size();
            let others = if self.replaces { " AND p.id <> ?9" } else { "" };
            conditions += &format!(
                " AND (SELECT coalesce(sum(p.size_bytes), 0) FROM files p
                  WHERE p.session_id = s.id{others}) + {size} <= {limit}"
            );
        }
        if let Some(limit) = day_bytes {
            let (added, day) = (self.added("files.size_bytes"), self.day());
            conditions += &format!(
                " AND EXISTS (SELECT 1 FROM user_quotas WHERE user_id = s.user_id)
                AND coalesce((SELECT registered_bytes FROM user_quotas
                  WHERE user_id = s.user_id AND day_start >= {day}), 0) + {added} <= {limit}"
            );
        }
        conditions
    }
}
