//! Statements on parts that are recorded at a client's word, or as the bucket lists them: several in one
//! statement, all or none.

use std::borrow::Cow;

use moc_application::port::{Platform, StoreError};
use moc_domain::etag::ETag;
use moc_domain::file::{Progress, StoredPart};
use moc_domain::id::FileId;
use moc_domain::part::PartNumber;
use serde_json::json;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::files::numbered;
use crate::row::{self, number, records};

/// Records parts in SQLite: the trigger on `changed_parts` writes them. `RETURNING` shows what the statement has set,
/// and nothing of what a trigger has changed since.
const RECORD_SQLITE: &str = "WITH given AS (
      SELECT json_extract(value, '$.number') AS number, json_extract(value, '$.etag') AS etag,
        json_extract(value, '$.size_bytes') AS size_bytes, json_extract(value, '$.uploaded_at') AS uploaded_at
      FROM json_each(?2)),
    next AS (
      SELECT g.number, g.etag, g.size_bytes, p.size_bytes AS replaced, coalesce(p.etag = g.etag, 0) AS is_same,
        CASE WHEN p.etag = g.etag THEN p.uploaded_at ELSE g.uploaded_at END AS uploaded_at
      FROM given g LEFT JOIN parts p ON p.file_id = ?1 AND p.part_number = g.number)
    UPDATE files SET
      parts_completed = parts_completed + (SELECT count(*) FROM next WHERE replaced IS NULL),
      bytes_completed = bytes_completed + (SELECT sum(size_bytes - coalesce(replaced, 0)) FROM next),
      last_part_sha256 = CASE WHEN (SELECT min(is_same) FROM next) = 1 THEN last_part_sha256 END,
      has_claims = 1,
      changed_parts = (SELECT json_group_array(json_object('number', number, 'etag', etag, 'size_bytes', size_bytes,
        'uploaded_at', uploaded_at, 'replaced', replaced)) FROM next)
    WHERE id = ?1 AND etag IS NULL
      AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_id AND s.status = 'active')
    RETURNING parts_completed, bytes_completed, changed_parts, (SELECT sequence FROM sessions WHERE id = session_id)";

/// Records parts in PostgreSQL, after [`numbered`]. The file's row is locked first, and the rows of the parts say which
/// bytes they replaced, as where one part is recorded.
const RECORD_POSTGRES: &str = "f AS (
      SELECT files.id FROM files JOIN s ON s.id = files.session_id WHERE files.id = ?1 AND files.etag IS NULL
      FOR UPDATE OF files),
    p AS (
      INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at)
      SELECT f.id, g.number, g.etag, g.size_bytes, g.uploaded_at
      FROM f, json_to_recordset(CAST(CAST(?2 AS TEXT) AS JSON))
        AS g(number BIGINT, etag TEXT, size_bytes BIGINT, uploaded_at BIGINT)
      ON CONFLICT (file_id, part_number) DO UPDATE SET previous_bytes = parts.size_bytes,
        uploaded_at = CASE WHEN parts.etag = excluded.etag THEN parts.uploaded_at ELSE excluded.uploaded_at END,
        etag = excluded.etag, size_bytes = excluded.size_bytes
      RETURNING part_number, size_bytes, previous_bytes, uploaded_at),
    n AS (
      SELECT CAST(sum(CASE WHEN previous_bytes IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS parts,
        CAST(sum(size_bytes - coalesce(previous_bytes, 0)) AS BIGINT) AS bytes, max(uploaded_at) AS last_at,
        CAST(json_agg(json_build_object('number', part_number, 'size_bytes', size_bytes,
          'replaced', previous_bytes)) AS TEXT) AS changed
      FROM p)
    UPDATE files SET parts_completed = parts_completed + n.parts, bytes_completed = bytes_completed + n.bytes,
      last_part_sha256 = CASE WHEN n.last_at < CAST(?3 AS BIGINT) THEN last_part_sha256 END, has_claims = 1
    FROM f, n, s WHERE files.id = f.id
    RETURNING parts_completed, bytes_completed, n.changed, s.sequence";

/// Takes records back in SQLite, by the same trigger.
const TAKE_BACK_SQLITE: &str = "WITH removed AS (
      SELECT p.part_number, p.size_bytes FROM json_each(?2) g JOIN parts p ON p.file_id = ?1
        AND p.part_number = json_extract(g.value, '$.number') AND p.etag = json_extract(g.value, '$.etag'))
    UPDATE files SET parts_completed = parts_completed - (SELECT count(*) FROM removed),
      bytes_completed = bytes_completed - (SELECT sum(size_bytes) FROM removed), last_part_sha256 = NULL,
      changed_parts = (SELECT json_group_array(json_object('number', part_number)) FROM removed)
    WHERE id = ?1 AND etag IS NULL AND EXISTS (SELECT 1 FROM removed)";

/// Takes records back in PostgreSQL, after [`numbered`]. A row that another request has replaced since the statement
/// began has another ETag when its turn comes, and stays.
const TAKE_BACK_POSTGRES: &str = "f AS (
      SELECT files.id FROM files JOIN s ON s.id = files.session_id WHERE files.id = ?1 AND files.etag IS NULL
      FOR UPDATE OF files),
    removed AS (
      DELETE FROM parts USING f, json_to_recordset(CAST(CAST(?2 AS TEXT) AS JSON)) AS g(number BIGINT, etag TEXT)
      WHERE parts.file_id = f.id AND parts.part_number = g.number AND parts.etag = g.etag
      RETURNING parts.size_bytes),
    n AS (SELECT count(*) AS parts, CAST(sum(size_bytes) AS BIGINT) AS bytes FROM removed)
    UPDATE files SET parts_completed = parts_completed - n.parts, bytes_completed = bytes_completed - n.bytes,
      last_part_sha256 = NULL
    FROM f, n WHERE files.id = f.id AND n.parts > 0";

/// See [`moc_application::port::Files::claim_parts`].
pub async fn record<E: SqlExecutor, P: Platform>(
    store: &SqlStore<E, P>,
    file: FileId,
    parts: &[StoredPart],
) -> Result<Option<Vec<Progress>>, StoreError> {
    let Some(at) = parts.iter().map(|part| part.uploaded_at).min() else { return Ok(Some(Vec::new())) };
    let given: Vec<_> = parts
        .iter()
        .map(|part| {
            json!({
                "number": part.number.get(),
                "etag": part.etag.as_str(),
                "size_bytes": part.size_bytes,
                "uploaded_at": part.uploaded_at.as_millis(),
            })
        })
        .collect();
    let mut parameters = vec![text(file), Value::Text(json!(given).to_string())];
    let sql: Cow<'_, str> = if store.is_postgres() {
        parameters.push(at.into());
        let numbered = numbered("json_array_length(CAST(CAST(?2 AS TEXT) AS JSON))", "status = 'active'");
        format!("WITH {numbered}, {RECORD_POSTGRES}").into()
    } else {
        RECORD_SQLITE.into()
    };
    let Some(row) = store.first(Statement::new(sql, parameters)).await? else { return Ok(None) };
    let changed = records(&row, 2, row::change)?;
    let counts = (number(&row, 0)?, number(&row, 1)?, number(&row, 3)?);
    Ok(Some(progress_after_each(parts, &changed, counts)))
}

/// What was stored after each of the parts, from what is stored after all of them: parts, bytes, and the number of the
/// last change.
fn progress_after_each(parts: &[StoredPart], changed: &[row::Change], after_all: (u64, u64, u64)) -> Vec<Progress> {
    let replaced = |part: &StoredPart| {
        let number = u64::from(part.number.get());
        changed.iter().find(|change| change.number == number).and_then(|change| change.replaced)
    };
    let (mut parts_completed, mut bytes_completed, mut sequence) = after_all;
    let mut progress: Vec<Progress> = parts
        .iter()
        .rev()
        .map(|part| {
            let parts = u16::try_from(parts_completed).unwrap_or(u16::MAX);
            let after = Progress { parts_completed: parts, bytes_completed, sequence };
            sequence = sequence.saturating_sub(1);
            let replaced = replaced(part);
            parts_completed = parts_completed.saturating_sub(u64::from(replaced.is_none()));
            bytes_completed = (bytes_completed + replaced.unwrap_or(0)).saturating_sub(part.size_bytes);
            after
        })
        .collect();
    progress.reverse();
    progress
}

/// See [`moc_application::port::Files::take_back_parts`].
pub async fn take_back<E: SqlExecutor, P: Platform>(
    store: &SqlStore<E, P>,
    file: FileId,
    parts: &[(PartNumber, ETag)],
) -> Result<(), StoreError> {
    let part = |(number, etag): &(PartNumber, ETag)| json!({ "number": number.get(), "etag": etag.as_str() });
    let given: Vec<_> = parts.iter().map(part).collect();
    let sql: Cow<'_, str> = if store.is_postgres() {
        format!("WITH {}, {TAKE_BACK_POSTGRES}", numbered("1", "TRUE")).into()
    } else {
        TAKE_BACK_SQLITE.into()
    };
    store.execute(Statement::new(sql, [text(file), Value::Text(json!(given).to_string())])).await?;
    Ok(())
}
