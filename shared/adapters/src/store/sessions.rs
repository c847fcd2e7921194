//! Statements on sessions.

use moc_application::port::StoreError;
use moc_domain::file::File;
use moc_domain::id::{LockToken, MocId, SessionId, UserId};
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use spin_sdk::sqlite::Value;

use super::connection::Connection;
use super::row::{FILE, FileRow, SESSION, SessionRow, all, integer, json, number, text, time};

pub async fn count(store: &Connection, user: &UserId, window_start: Timestamp) -> Result<u64, StoreError> {
    let statement = "INSERT INTO session_counts (user_id, window_start, sessions) VALUES (?1, ?2, 1)
        ON CONFLICT (user_id) DO UPDATE SET
          sessions = CASE WHEN window_start = excluded.window_start THEN sessions + 1 ELSE 1 END,
          window_start = excluded.window_start
        RETURNING sessions";
    let row = store.first(statement, &[text(user), time(window_start)]).await?;
    number(&row.unwrap_or_default(), 0)
}

pub async fn insert(store: &Connection, session: &Session) -> Result<(), StoreError> {
    let statement = "INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let parameters = [
        text(session.id),
        text(&session.user),
        text(session.status.as_str()),
        integer(session.part_size_bytes),
        time(session.created_at),
        time(session.expires_at),
    ];
    store.run(statement, &parameters).await?;
    Ok(())
}

pub async fn get(store: &Connection, id: SessionId) -> Result<Option<Session>, StoreError> {
    let statement = format!("SELECT {SESSION} FROM sessions s WHERE s.id = ?1");
    let Some(row) = store.first(&statement, &[text(id)]).await? else { return Ok(None) };
    json::<SessionRow>(&row, 0)?.try_into().map(Some)
}

pub async fn get_with_files(store: &Connection, id: SessionId) -> Result<Option<(Session, Vec<File>)>, StoreError> {
    let statement = format!(
        "SELECT {SESSION},
           (SELECT json_group_array({FILE}) FROM (SELECT * FROM files WHERE session_id = s.id ORDER BY id) f)
         FROM sessions s WHERE s.id = ?1"
    );
    let Some(row) = store.first(&statement, &[text(id)]).await? else { return Ok(None) };
    let session = json::<SessionRow>(&row, 0)?.try_into()?;
    Ok(Some((session, all(json::<Vec<FileRow>>(&row, 1)?)?)))
}

pub async fn extend(store: &Connection, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError> {
    let statement = "UPDATE sessions SET expires_at = ?2 WHERE id = ?1 AND status = 'active' AND expires_at < ?2";
    store.run(statement, &[text(id), time(expires_at)]).await?;
    Ok(())
}

pub async fn cancel(store: &Connection, id: SessionId) -> Result<bool, StoreError> {
    let statement = "UPDATE sessions SET status = 'cancelled' WHERE id = ?1 AND status = 'active' RETURNING 1";
    Ok(store.first(statement, &[text(id)]).await?.is_some())
}

pub async fn lock(
    store: &Connection,
    id: SessionId,
    token: LockToken,
    now: Timestamp,
    stale_before: Timestamp,
) -> Result<bool, StoreError> {
    // A token that holds the lock already has lost the response to its first attempt.
    let statement = "UPDATE sessions SET status = 'finalizing', lock_token = ?2, finalizing_at = ?3
        WHERE id = ?1 AND (
          (status = 'active' AND expires_at > ?3)
          OR (status = 'finalizing' AND (coalesce(finalizing_at, created_at) <= ?4 OR lock_token = ?2)))
        RETURNING 1";
    let parameters = [text(id), text(token), time(now), time(stale_before)];
    Ok(store.first(statement, &parameters).await?.is_some())
}

pub async fn unlock(store: &Connection, id: SessionId, token: LockToken) -> Result<(), StoreError> {
    let statement = "UPDATE sessions SET status = 'active', lock_token = NULL, finalizing_at = NULL
        WHERE id = ?1 AND status = 'finalizing' AND lock_token = ?2
          AND NOT EXISTS (SELECT 1 FROM mocs WHERE session_id = ?1)";
    store.run(statement, &[text(id), text(token)]).await?;
    Ok(())
}

pub async fn finish(store: &Connection, id: SessionId, moc: MocId) -> Result<(), StoreError> {
    let statement = "UPDATE sessions SET status = 'finalized', moc_id = ?2, lock_token = NULL
        WHERE id = ?1 AND status IN ('active', 'finalizing')";
    let parameters: [Value; 2] = [text(id), text(moc)];
    store.run(statement, &parameters).await?;
    Ok(())
}
