//! Statements on sessions.

use moc_application::port::{Opened, Platform, Sessions, StoreError};
use moc_domain::file::File;
use moc_domain::id::{LockToken, SessionId, UserId};
use moc_domain::quota::{SessionQuotas, Usage};
use moc_domain::session::{Session, SessionProgress};
use moc_domain::time::Timestamp;

use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::row::{self, FILE, PROGRESS, SESSION, list, number, one, record, records};
use crate::{SqlStore, quotas};

/// What the statements insert of a session.
pub(crate) fn values(session: &Session) -> Vec<Value> {
    vec![
        text(session.id),
        text(&session.user),
        text(session.status.as_str()),
        session.part_size_bytes.into(),
        session.created_at.into(),
        session.expires_at.into(),
    ]
}

impl<E: SqlExecutor, P: Platform> Sessions for SqlStore<E, P> {
    async fn count_session(&self, user: &UserId, window_start: Timestamp) -> Result<u64, StoreError> {
        let sql = "INSERT INTO session_counts (user_id, window_start, sessions) VALUES (?1, ?2, 1)
            ON CONFLICT (user_id) DO UPDATE SET
              sessions = CASE WHEN session_counts.window_start = excluded.window_start
                THEN session_counts.sessions + 1 ELSE 1 END,
              window_start = excluded.window_start
            RETURNING sessions";
        let row = self.first(Statement::new(sql, [text(user), window_start.into()])).await?;
        number(&row.unwrap_or_default(), 0)
    }

    async fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        let sql = "INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
        self.execute(Statement::new(sql, values(session))).await?;
        Ok(())
    }

    async fn open_session(&self, session: &Session, quotas: &SessionQuotas) -> Result<Opened, StoreError> {
        quotas::open_session(self, session, quotas).await
    }

    async fn usage(&self, user: &UserId, now: Timestamp) -> Result<Usage, StoreError> {
        quotas::usage(self, user, now).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let sql = format!("SELECT {} FROM sessions s WHERE s.id = ?1", one(SESSION));
        let Some(row) = self.first(Statement::new(sql, [text(id)])).await? else { return Ok(None) };
        row::session(&record(&row, 0)?).map(Some)
    }

    async fn progress(&self, id: SessionId) -> Result<Option<SessionProgress>, StoreError> {
        let sql = format!("SELECT {} FROM sessions s WHERE s.id = ?1", one(PROGRESS));
        let Some(row) = self.first(Statement::new(sql, [text(id)])).await? else { return Ok(None) };
        row::progress(&record(&row, 0)?).map(Some)
    }

    async fn session_with_files(&self, id: SessionId) -> Result<Option<(Session, Vec<File>)>, StoreError> {
        let files = list(FILE, "(SELECT * FROM files WHERE session_id = s.id ORDER BY id) f");
        let sql = format!("SELECT {}, {files} FROM sessions s WHERE s.id = ?1", one(SESSION));
        let Some(row) = self.first(Statement::new(sql, [text(id)])).await? else { return Ok(None) };
        Ok(Some((row::session(&record(&row, 0)?)?, records(&row, 1, row::file)?)))
    }

    async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET expires_at = ?2 WHERE id = ?1 AND status = 'active' AND expires_at < ?2";
        self.execute(Statement::new(sql, [text(id), expires_at.into()])).await?;
        Ok(())
    }

    async fn cancel_session(&self, id: SessionId) -> Result<bool, StoreError> {
        let sql = "UPDATE sessions SET status = 'cancelled', sequence = sequence + 1
            WHERE id = ?1 AND status = 'active' RETURNING 1";
        self.changed(Statement::new(sql, [text(id)])).await
    }

    async fn lock_clearing(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError> {
        // A cancelled session has no finalize: the lock's columns are free.
        let sql = "UPDATE sessions SET lock_token = ?2, finalizing_at = ?3
            WHERE id = ?1 AND status = 'cancelled'
              AND (lock_token IS NULL OR lock_token = ?2 OR coalesce(finalizing_at, created_at) <= ?4)
            RETURNING 1";
        self.changed(Statement::new(sql, [text(id), text(token), now.into(), stale_before.into()])).await
    }

    async fn unlock_clearing(&self, id: SessionId, token: LockToken) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET lock_token = NULL, finalizing_at = NULL
            WHERE id = ?1 AND status = 'cancelled' AND lock_token = ?2";
        self.execute(Statement::new(sql, [text(id), text(token)])).await?;
        Ok(())
    }

    async fn lock_session(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError> {
        // If `token` holds the lock already, the result of its first attempt was lost.
        let sql =
            "UPDATE sessions SET status = 'finalizing', sequence = sequence + 1, lock_token = ?2, finalizing_at = ?3
            WHERE id = ?1 AND (
              (status = 'active' AND expires_at > ?3)
              OR (status = 'finalizing' AND (coalesce(finalizing_at, created_at) <= ?4 OR lock_token = ?2)))
            RETURNING 1";
        self.changed(Statement::new(sql, [text(id), text(token), now.into(), stale_before.into()])).await
    }

    async fn renew_lock(&self, id: SessionId, token: LockToken, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE sessions SET
              finalizing_at = CASE WHEN coalesce(finalizing_at, 0) < ?3 THEN ?3 ELSE finalizing_at + 1 END
            WHERE id = ?1 AND status IN ('finalizing', 'cancelled') AND lock_token = ?2
            RETURNING 1";
        self.changed(Statement::new(sql, [text(id), text(token), now.into()])).await
    }

    async fn delete_session(&self, id: SessionId) -> Result<(), StoreError> {
        let statements = [
            "DELETE FROM moc_files WHERE moc_id IN (SELECT id FROM mocs WHERE session_id = ?1)",
            "DELETE FROM thumbnails WHERE moc_id IN (SELECT id FROM mocs WHERE session_id = ?1)",
            "DELETE FROM webhook_deliveries WHERE session_id = ?1",
            "DELETE FROM mocs WHERE session_id = ?1",
            "DELETE FROM parts WHERE file_id IN (SELECT id FROM files WHERE session_id = ?1)",
            "DELETE FROM files WHERE session_id = ?1",
            "DELETE FROM removed_files WHERE session_id = ?1",
            "DELETE FROM sessions WHERE id = ?1",
        ];
        self.execute_all(&statements.map(|sql| Statement::new(sql, [text(id)]))).await?;
        Ok(())
    }

    async fn unlock_session(&self, id: SessionId, token: LockToken) -> Result<(), StoreError> {
        let sql =
            "UPDATE sessions SET status = 'active', sequence = sequence + 1, lock_token = NULL, finalizing_at = NULL
            WHERE id = ?1 AND status = 'finalizing' AND lock_token = ?2
              AND NOT EXISTS (SELECT 1 FROM mocs WHERE session_id = ?1)";
        self.execute(Statement::new(sql, [text(id), text(token)])).await?;
        Ok(())
    }
}
