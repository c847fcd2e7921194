//! Puts the fixtures' records into the database.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moc_adapters::store::{MIGRATIONS, has_run_before, statements};
use moc_domain::moc::Moc;
use moc_domain::session::Session;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, named_params};

use crate::fixture::{Fixture, FixtureFile};

/// How long a busy database is waited for.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// The pause between two attempts of what SQLite does not wait for.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Whoever held the stale lock.
const LOCK_TOKEN: &str = "01941f29-7c00-7000-8000-400000000001";

/// The app's database.
pub struct Database(Connection);

impl Database {
    /// Opens the file, which may be in use by the app, or makes it with the app's own schema.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = || format!("the database {} cannot be opened", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(failed)?;
        }
        let connection = Connection::open(path).with_context(failed)?;
        Self::prepare(connection).with_context(failed)
    }

    fn prepare(connection: Connection) -> Result<Self> {
        connection.busy_timeout(BUSY_LIMIT)?;
        use_wal(&connection)?;
        // Each migration may run again.
        for statement in MIGRATIONS.into_iter().flat_map(statements) {
            match connection.execute_batch(statement) {
                Err(error) if !has_run_before(&error.to_string()) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(Self(connection))
    }

    /// Puts exactly these fixtures into their state, whatever became of them since.
    pub fn reset(&mut self, fixtures: &[Fixture]) -> Result<()> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for fixture in fixtures {
            remove(&transaction, &fixture.session).context("an old fixture cannot be removed")?;
        }
        for fixture in fixtures {
            let written = insert(&transaction, fixture);
            written.with_context(|| format!("the fixture {} cannot be written", fixture.name))?;
        }
        transaction.commit().context("the fixtures cannot be written")
    }
}

/// SQLite itself does not wait for a connection that changes the mode at the same time.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_LIMIT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Removes a session, and what it has become.
fn remove(transaction: &Transaction<'_>, session: &Session) -> rusqlite::Result<()> {
    let id = session.id.to_string();
    for statement in [
        "DELETE FROM moc_files WHERE moc_id IN (SELECT id FROM mocs WHERE session_id = ?1)",
        "DELETE FROM mocs WHERE session_id = ?1",
        "DELETE FROM parts WHERE file_id IN (SELECT id FROM files WHERE session_id = ?1)",
        "DELETE FROM files WHERE session_id = ?1",
        "DELETE FROM sessions WHERE id = ?1",
    ] {
        transaction.execute(statement, [&id])?;
    }
    Ok(())
}

fn insert(transaction: &Transaction<'_>, fixture: &Fixture) -> rusqlite::Result<()> {
    insert_session(transaction, &fixture.session)?;
    for file in &fixture.files {
        insert_file(transaction, file)?;
    }
    match &fixture.moc {
        Some(moc) => insert_moc(transaction, &moc.moc),
        None => Ok(()),
    }
}

fn insert_session(transaction: &Transaction<'_>, session: &Session) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO sessions
           (id, user_id, status, part_size_bytes, created_at, expires_at, lock_token, finalizing_at, moc_id)
         VALUES (:id, :user, :status, :part_size, :created, :expires, :token, :finalizing, :moc)",
        named_params! {
            ":id": session.id.to_string(),
            ":user": session.user.as_str(),
            ":status": session.status.as_str(),
            ":part_size": integer(session.part_size_bytes),
            ":created": session.created_at.as_millis(),
            ":expires": session.expires_at.as_millis(),
            ":token": session.finalizing_at.map(|_| LOCK_TOKEN),
            ":finalizing": session.finalizing_at.map(|time| time.as_millis()),
            ":moc": session.moc_id.map(|id| id.to_string()),
        },
    )?;
    Ok(())
}

/// A completed file was one part, as large as it, which S3 gave the same `ETag` as the object.
fn insert_file(transaction: &Transaction<'_>, FixtureFile { file, .. }: &FixtureFile) -> rusqlite::Result<()> {
    let (id, etag) = (file.id.to_string(), file.etag.as_ref().map(|etag| etag.as_str()));
    let created = file.created_at.as_millis();
    transaction.execute(
        "INSERT INTO files
           (id, session_id, category, name, media_type, object_key, upload_id, size_bytes,
            parts_completed, bytes_completed, etag, created_at, completed_at)
         VALUES (:id, :session, :category, :name, :type, :key, :upload, :size,
            :parts, :bytes, :etag, :created, :completed)",
        named_params! {
            ":id": id,
            ":session": file.session_id.to_string(),
            ":category": file.category.as_str(),
            ":name": file.name,
            ":type": file.content.media_type(),
            ":key": file.key,
            ":upload": file.upload_id,
            ":size": integer(file.size_bytes),
            ":parts": file.parts_completed,
            ":bytes": integer(file.bytes_completed),
            ":etag": etag,
            ":created": created,
            ":completed": etag.map(|_| created),
        },
    )?;
    transaction.execute(
        "INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at)
         SELECT ?1, 1, ?2, ?3, ?4 WHERE ?2 IS NOT NULL",
        (&id, etag, integer(file.size_bytes), created),
    )?;
    Ok(())
}

fn insert_moc(transaction: &Transaction<'_>, moc: &Moc) -> rusqlite::Result<()> {
    let (id, session) = (moc.id.to_string(), moc.session_id.to_string());
    transaction.execute(
        "INSERT INTO mocs (id, session_id, user_id, slug, title, description, tags, theme, created_at)
         VALUES (:id, :session, :user, :slug, :title, :description, :tags, :theme, :created)",
        named_params! {
            ":id": id,
            ":session": session,
            ":user": moc.user.as_str(),
            ":slug": moc.slug,
            ":title": moc.description.title,
            ":description": moc.description.description,
            ":tags": serde_json::json!(moc.description.tags).to_string(),
            ":theme": moc.description.theme,
            ":created": moc.created_at.as_millis(),
        },
    )?;
    transaction.execute(
        "INSERT INTO moc_files (moc_id, file_id, category, name, media_type, object_key, size_bytes, etag)
         SELECT ?1, id, category, name, media_type, object_key, size_bytes, etag FROM files
         WHERE session_id = ?2 AND etag IS NOT NULL",
        (&id, &session),
    )?;
    Ok(())
}

/// SQLite's integers have a sign.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moc_domain::etag::ETag;
    use moc_domain::id::UserId;
    use moc_domain::time::Timestamp;

    fn fixtures(now: Timestamp) -> Vec<Fixture> {
        let mut fixtures = crate::fixture::all(now, &UserId::parse("dev-user").unwrap()).unwrap();
        for file in fixtures.iter_mut().flat_map(|fixture| &mut fixture.files) {
            file.file.etag = file.object.as_ref().map(|_| ETag::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap());
        }
        fixtures
    }

    fn count(database: &Database, table: &str) -> i64 {
        database.0.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn running_again_resets_the_fixtures_and_nothing_else() {
        let mut database = Database::prepare(Connection::open_in_memory().unwrap()).unwrap();
        database.reset(&fixtures(Timestamp::from_millis(1_000_000_000_000))).unwrap();
        let counts = || ["sessions", "files", "parts", "mocs", "moc_files"];
        assert_eq!(counts().map(|table| count(&database, table)), [8, 8, 7, 2, 2]);

        // What a run of the .http files does: finalizes one, uploads to another, makes a third.
        database
            .0
            .execute_batch(
                "UPDATE sessions SET status = 'finalized', moc_id = 'm' WHERE id LIKE '%5';
                 INSERT INTO mocs (id, session_id, user_id, slug, title, description, tags, created_at)
                   SELECT 'm', id, user_id, 'slug', 'title', '', '[]', 0 FROM sessions WHERE id LIKE '%5';
                 INSERT INTO moc_files SELECT 'm', id, category, name, media_type, object_key, size_bytes, 'e'
                   FROM files WHERE session_id LIKE '%5';
                 INSERT INTO sessions SELECT 'own', user_id, status, part_size_bytes, created_at, expires_at,
                   NULL, NULL, NULL FROM sessions WHERE id LIKE '%2';",
            )
            .unwrap();
        database.reset(&fixtures(Timestamp::from_millis(2_000_000_000_000))).unwrap();
        assert_eq!(counts().map(|table| count(&database, table)), [9, 8, 7, 2, 2]);
        let active: i64 = database
            .0
            .query_row(
                "SELECT count(*) FROM sessions WHERE status = 'active' AND created_at > 1900000000000",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(active, 5);
    }

    #[test]
    fn two_seedings_may_meet() {
        let dir = std::env::temp_dir().join(format!("moc-seed-{}", std::process::id()));
        let path = dir.join("sqlite").join("default.db");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let now = Timestamp::from_millis(1_000_000_000_000);
                    Database::open(&path).unwrap().reset(&fixtures(now)).unwrap();
                });
            }
        });
        let sessions = count(&Database::open(&path).unwrap(), "sessions");
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(sessions, 8);
    }
}
