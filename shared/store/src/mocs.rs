//! Statements on MOCs.

use moc_application::port::{Inserted, Mocs, Platform, Published, StoreError};
use moc_domain::id::{LockToken, MocId, SessionId, UserId};
use moc_domain::moc::Moc;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::row::{self, MOC, MOC_FILE, list, number, one, record, records};

/// Inserts a MOC in SQLite, where a trigger on `webhook` inserts its delivery.
const INSERT_MOC_SQLITE: &str = "INSERT INTO mocs (id, session_id, user_id, slug, title, description, tags, theme,
      created_at, webhook)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
    WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND status = 'finalizing' AND lock_token = ?11)
    ON CONFLICT DO NOTHING RETURNING 1";

/// Inserts a MOC and its delivery in PostgreSQL. The session is locked meanwhile, so no other finalize takes it.
const INSERT_MOC_POSTGRES: &str = "WITH s AS (
      SELECT id FROM sessions WHERE id = ?2 AND status = 'finalizing' AND lock_token = ?11 FOR UPDATE),
    m AS (
      INSERT INTO mocs (id, session_id, user_id, slug, title, description, tags, theme, created_at)
      SELECT ?1, s.id, ?3, ?4, ?5, ?6, ?7, ?8, CAST(?9 AS BIGINT) FROM s
      ON CONFLICT DO NOTHING RETURNING id, session_id, user_id, created_at),
    d AS (
      INSERT INTO webhook_deliveries (moc_id, session_id, user_id, occurred_at)
      SELECT id, session_id, user_id, created_at FROM m WHERE CAST(?10 AS BIGINT) = 1)
    SELECT 1 FROM m";

/// Selects what [`read`] reads, of the table `m`.
fn columns() -> String {
    let files = list(MOC_FILE, "(SELECT * FROM moc_files WHERE moc_id = m.id ORDER BY file_id) f");
    format!("SELECT {}, {files}", one(MOC))
}

fn select(condition: &str, parameter: Value) -> Statement<'static> {
    Statement::new(format!("{} FROM mocs m WHERE {condition}", columns()), [parameter])
}

fn read(row: &[Value]) -> Result<Moc, StoreError> {
    Ok(Moc { files: records(row, 1, row::moc_file)?, ..row::moc(&record(row, 0)?)? })
}

impl<E: SqlExecutor, P: Platform> Mocs for SqlStore<E, P> {
    async fn insert_moc(&self, moc: &Moc, token: LockToken, webhook: bool) -> Result<Inserted, StoreError> {
        let sql = if self.is_postgres() { INSERT_MOC_POSTGRES } else { INSERT_MOC_SQLITE };
        let parameters = [
            text(moc.id),
            text(moc.session_id),
            text(&moc.user),
            text(&moc.slug),
            text(&moc.description.title),
            text(&moc.description.description),
            text(serde_json::json!(moc.description.tags)),
            moc.description.theme.clone().into(),
            moc.created_at.into(),
            u64::from(webhook).into(),
            text(token),
        ];
        if self.changed(Statement::new(sql, parameters)).await? {
            return Ok(Inserted::Done);
        }
        Ok(match self.moc_of_session(moc.session_id).await? {
            Some(other) if other.id == moc.id => Inserted::Done,
            Some(_) => Inserted::SessionTaken,
            None if self.taken_slugs(&moc.user, std::slice::from_ref(&moc.slug)).await?.is_empty() => {
                Inserted::LockLost
            }
            None => Inserted::SlugTaken,
        })
    }

    async fn complete_moc(&self, moc: MocId, session: SessionId) -> Result<Option<Published>, StoreError> {
        let files = "INSERT INTO moc_files (moc_id, file_id, category, name, media_type, object_key, size_bytes, etag)
            SELECT ?1, id, category, name, media_type, object_key, size_bytes, etag FROM files
            WHERE session_id = ?2 AND etag IS NOT NULL ON CONFLICT DO NOTHING";
        let end = "UPDATE sessions SET status = 'finalized', sequence = sequence + 1, moc_id = ?2, lock_token = NULL
            WHERE id = ?1 AND status IN ('active', 'finalizing')";
        let (found, sequence) = (columns(), "coalesce((SELECT sequence FROM sessions WHERE id = m.session_id), 0)");
        let statements = [
            Statement::new(files, [text(moc), text(session)]),
            Statement::new(end, [text(session), text(moc)]),
            Statement::new(format!("{found}, {sequence} FROM mocs m WHERE m.id = ?1"), [text(moc)]),
        ];
        let results = self.execute_all(&statements).await?;
        let Some(row) = results.last().and_then(|rows| rows.first()) else { return Ok(None) };
        Ok(Some(Published { moc: read(row)?, sequence: number(row, 2)? }))
    }

    async fn set_thumbnail(&self, moc: MocId, key: &str) -> Result<(), StoreError> {
        let statements = [
            Statement::new("UPDATE mocs SET thumbnail_key = ?2 WHERE id = ?1", [text(moc), text(key)]),
            Statement::new("DELETE FROM thumbnails WHERE moc_id = ?1", [text(moc)]),
        ];
        self.execute_all(&statements).await?;
        Ok(())
    }

    async fn taken_slugs(&self, user: &UserId, slugs: &[String]) -> Result<Vec<String>, StoreError> {
        let placeholders: Vec<String> = (2..slugs.len() + 2).map(|number| format!("?{number}")).collect();
        let sql = format!("SELECT slug FROM mocs WHERE user_id = ?1 AND slug IN ({})", placeholders.join(", "));
        let parameters: Vec<Value> = [text(user)].into_iter().chain(slugs.iter().map(text)).collect();
        let slug = |row: Vec<Value>| match row.into_iter().next() {
            Some(Value::Text(slug)) => Ok(slug),
            other => Err(StoreError(format!("the store returned {other:?} and no slug"))),
        };
        self.execute(Statement::new(sql, parameters)).await?.into_iter().map(slug).collect()
    }

    async fn moc(&self, id: MocId) -> Result<Option<Moc>, StoreError> {
        self.first(select("m.id = ?1", text(id))).await?.map(|row| read(&row)).transpose()
    }

    async fn moc_of_session(&self, id: SessionId) -> Result<Option<Moc>, StoreError> {
        self.first(select("m.session_id = ?1", text(id))).await?.map(|row| read(&row)).transpose()
    }
}
