//! Statements on files and their parts.

use moc_application::port::{Registered, StoreError};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, SessionId};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use spin_sdk::sqlite::Value;

use super::connection::Connection;
use super::row::{FILE, FileRow, PART, PartRow, SESSION, SessionRow, all, integer, json, number, text, time};
use super::sessions;

pub async fn insert(store: &Connection, file: &File, files_max: u64) -> Result<Registered, StoreError> {
    let statement =
        "INSERT INTO files (id, session_id, category, name, media_type, object_key, upload_id, size_bytes, created_at, metadata)
        SELECT ?1, s.id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11 FROM sessions s
        WHERE s.id = ?2 AND s.status = 'active' AND (SELECT count(*) FROM files WHERE session_id = s.id) < ?10
        ON CONFLICT DO NOTHING RETURNING 1";
    let parameters = [
        text(file.id),
        text(file.session_id),
        text(file.category.as_str()),
        text(&file.name),
        text(file.content.media_type()),
        text(&file.key),
        text(&file.upload_id),
        integer(file.size_bytes),
        time(file.created_at),
        integer(files_max),
        metadata(&file.checksums),
    ];
    if store.first(statement, &parameters).await?.is_some() {
        return Ok(Registered::Done);
    }
    // Why not: asked only if it went wrong.
    let Some((session, files)) = sessions::get_with_files(store, file.session_id).await? else {
        return Ok(Registered::NotActive);
    };
    let same = |other: &&File| other.category == file.category && other.name == file.name;
    Ok(match files.iter().find(same) {
        Some(other) if other.id == file.id => Registered::Done,
        Some(other) => Registered::Duplicate(other.id),
        None if session.status != Status::Active => Registered::NotActive,
        None => Registered::Full,
    })
}

/// What the column `metadata` holds of a file: nothing if nothing is announced, so that no part has to parse it.
fn metadata(checksums: &Checksums) -> Value {
    if checksums.is_empty() {
        return Value::Null;
    }
    let Checksums { md5, sha256 } = checksums;
    let checksums = serde_json::json!({ "md5": md5.map(hex::encode), "sha256": sha256.map(hex::encode) });
    text(serde_json::json!({ "checksums": checksums }))
}

pub async fn get(store: &Connection, session: SessionId, file: FileId) -> Result<Option<(Session, File)>, StoreError> {
    let statement = format!(
        "SELECT (SELECT {SESSION} FROM sessions s WHERE s.id = f.session_id), {FILE}
         FROM files f WHERE f.id = ?1 AND f.session_id = ?2"
    );
    let Some(row) = store.first(&statement, &[text(file), text(session)]).await? else { return Ok(None) };
    Ok(Some((json::<SessionRow>(&row, 0)?.try_into()?, json::<FileRow>(&row, 1)?.try_into()?)))
}

pub async fn get_with_parts(
    store: &Connection,
    session: SessionId,
    file: FileId,
) -> Result<Option<(Session, File, Vec<StoredPart>)>, StoreError> {
    let statement = format!(
        "SELECT (SELECT {SESSION} FROM sessions s WHERE s.id = f.session_id), {FILE},
           (SELECT json_group_array({PART}) FROM (SELECT * FROM parts WHERE file_id = f.id ORDER BY part_number) p)
         FROM files f WHERE f.id = ?1 AND f.session_id = ?2"
    );
    let Some(row) = store.first(&statement, &[text(file), text(session)]).await? else { return Ok(None) };
    let parts = all(json::<Vec<PartRow>>(&row, 2)?)?;
    Ok(Some((json::<SessionRow>(&row, 0)?.try_into()?, json::<FileRow>(&row, 1)?.try_into()?, parts)))
}

/// One statement: the trigger on `last_part_number` writes the part, the counters say whether it
/// is new, and both cost the same whatever is stored already.
pub async fn record_part(
    store: &Connection,
    file: FileId,
    part: &StoredPart,
    sha256: Option<[u8; 32]>,
) -> Result<Option<Progress>, StoreError> {
    let statement = "UPDATE files SET
          parts_completed = parts_completed + NOT EXISTS (SELECT 1 FROM parts WHERE file_id = ?1 AND part_number = ?2),
          bytes_completed = bytes_completed + ?4
            - coalesce((SELECT size_bytes FROM parts WHERE file_id = ?1 AND part_number = ?2), 0),
          last_part_number = ?2, last_part_etag = ?3, last_part_bytes = ?4, last_part_at = ?5,
          last_part_sha256 = ?6
        WHERE id = ?1 AND etag IS NULL
          AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active')
        RETURNING parts_completed, bytes_completed";
    let parameters = [
        text(file),
        integer(part.number.get().into()),
        text(&part.etag),
        integer(part.size_bytes),
        time(part.uploaded_at),
        sha256.map(hex::encode).into(),
    ];
    let Some(row) = store.first(statement, &parameters).await? else { return Ok(None) };
    let parts_completed = u16::try_from(number(&row, 0)?).unwrap_or(u16::MAX);
    Ok(Some(Progress { parts_completed, bytes_completed: number(&row, 1)? }))
}

pub async fn complete(store: &Connection, file: &File, etag: &ETag, now: Timestamp) -> Result<bool, StoreError> {
    let statement = "UPDATE files SET etag = ?2, completed_at = ?3, bytes_completed = size_bytes, parts_completed = ?4
        WHERE id = ?1 AND etag IS NULL
          AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active')
        RETURNING 1";
    let parameters = [text(file.id), text(etag), time(now), integer(file.plan.total().into())];
    Ok(store.first(statement, &parameters).await?.is_some())
}

pub async fn reject(store: &Connection, file: FileId) -> Result<(), StoreError> {
    store.run("UPDATE files SET rejected = 1 WHERE id = ?1 AND etag IS NOT NULL", &[text(file)]).await?;
    Ok(())
}

pub async fn forget(store: &Connection, file: FileId) -> Result<bool, StoreError> {
    let statement = "DELETE FROM files WHERE id = ?1 AND (etag IS NULL OR (rejected = 1
          AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active'))) RETURNING 1";
    let forgotten = store.first(statement, &[text(file)]).await?.is_some();
    let statement = "DELETE FROM parts WHERE file_id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE id = ?1)";
    store.run(statement, &[text(file)]).await?;
    Ok(forgotten)
}
