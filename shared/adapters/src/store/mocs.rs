//! Statements on MOCs.

use moc_application::port::{Inserted, StoreError};
use moc_domain::id::{LockToken, MocId, SessionId, UserId};
use moc_domain::moc::Moc;
use spin_sdk::sqlite::Value;

use super::connection::Connection;
use super::row::{MOC, MOC_FILE, MocFileRow, MocRow, integer, json, text, time};

pub async fn insert(store: &Connection, moc: &Moc, token: LockToken, webhook: bool) -> Result<Inserted, StoreError> {
    let statement =
        "INSERT INTO mocs (id, session_id, user_id, slug, title, description, tags, theme, created_at, webhook)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
        WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND status = 'finalizing' AND lock_token = ?11)
        ON CONFLICT DO NOTHING RETURNING 1";
    let parameters = [
        text(moc.id),
        text(moc.session_id),
        text(&moc.user),
        text(&moc.slug),
        text(&moc.description.title),
        text(&moc.description.description),
        text(serde_json::json!(moc.description.tags)),
        moc.description.theme.clone().into(),
        time(moc.created_at),
        integer(webhook.into()),
        text(token),
    ];
    if store.first(statement, &parameters).await?.is_some() {
        return Ok(Inserted::Done);
    }
    Ok(match of_session(store, moc.session_id).await? {
        Some(other) if other.id == moc.id => Inserted::Done,
        Some(_) => Inserted::SessionTaken,
        None if taken_slugs(store, &moc.user, std::slice::from_ref(&moc.slug)).await?.is_empty() => Inserted::LockLost,
        None => Inserted::SlugTaken,
    })
}

pub async fn insert_files(store: &Connection, moc: MocId, session: SessionId) -> Result<(), StoreError> {
    let statement = "INSERT INTO moc_files (moc_id, file_id, category, name, media_type, object_key, size_bytes, etag)
        SELECT ?1, id, category, name, media_type, object_key, size_bytes, etag FROM files
        WHERE session_id = ?2 AND etag IS NOT NULL ON CONFLICT DO NOTHING";
    store.run(statement, &[text(moc), text(session)]).await?;
    Ok(())
}

pub async fn set_thumbnail(store: &Connection, moc: MocId, key: &str) -> Result<(), StoreError> {
    store.run("UPDATE mocs SET thumbnail_key = ?2 WHERE id = ?1", &[text(moc), text(key)]).await?;
    Ok(())
}

pub async fn taken_slugs(store: &Connection, user: &UserId, slugs: &[String]) -> Result<Vec<String>, StoreError> {
    let statement = "SELECT json_group_array(slug) FROM mocs
        WHERE user_id = ?1 AND slug IN (SELECT value FROM json_each(?2))";
    let row = store.first(statement, &[text(user), text(serde_json::json!(slugs))]).await?;
    json(&row.unwrap_or_default(), 0)
}

pub async fn get(store: &Connection, id: MocId) -> Result<Option<Moc>, StoreError> {
    select(store, "m.id = ?1", text(id)).await
}

pub async fn of_session(store: &Connection, id: SessionId) -> Result<Option<Moc>, StoreError> {
    select(store, "m.session_id = ?1", text(id)).await
}

async fn select(store: &Connection, condition: &str, parameter: Value) -> Result<Option<Moc>, StoreError> {
    let statement = format!(
        "SELECT {MOC},
           (SELECT json_group_array({MOC_FILE}) FROM (SELECT * FROM moc_files WHERE moc_id = m.id ORDER BY file_id) f)
         FROM mocs m WHERE {condition}"
    );
    let Some(row) = store.first(&statement, &[parameter]).await? else { return Ok(None) };
    json::<MocRow>(&row, 0)?.with_files(json::<Vec<MocFileRow>>(&row, 1)?).map(Some)
}
