//! Puts the fixtures' records into the database, through the store itself.

use std::cell::Cell;
use std::fs::File as LockFile;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures::executor::block_on;
use moc_application::port::{Files as _, Inserted, Mocs as _, Platform, Sessions as _, StoreError};
use moc_domain::file::StoredPart;
use moc_domain::id::LockToken;
use moc_domain::limits::FILES_PER_SESSION_MAX;
use moc_domain::part::PartNumber;
use moc_domain::quota::FileQuotas;
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use moc_store::{SqlStore, SqliteFile};

use crate::fixture::{Fixture, FixtureFile};

/// The store waits for a busy file; nothing else here needs time or randomness.
struct SeedPlatform;

impl Platform for SeedPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn random(&self) -> [u8; 10] {
        [0; 10]
    }

    async fn sleep(&self, millis: u64) {
        std::thread::sleep(Duration::from_millis(millis));
    }
}

/// The app's database.
pub struct Database {
    store: SqlStore<SqliteFile, SeedPlatform>,
    path: PathBuf,
}

fn failed(error: StoreError) -> anyhow::Error {
    anyhow!(error.0)
}

impl Database {
    /// Opens the file, which may be in use by the app, or makes it with the app's own schema.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("the database {} cannot be opened", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(cannot)?;
        }
        let executor = SqliteFile::open(path).with_context(cannot)?;
        let store = SqlStore::new(executor, SeedPlatform, Rc::new(Cell::new(false)));
        Ok(Self { store, path: path.to_owned() })
    }

    /// Puts exactly these fixtures into their state, whatever became of them since.
    pub fn reset(&self, fixtures: &[Fixture]) -> Result<()> {
        // Two seedings at once would delete what the other one inserts.
        let lock = LockFile::create(self.path.with_extension("seed-lock")).context("the database cannot be locked")?;
        lock.lock().context("the database cannot be locked")?;
        block_on(async {
            for fixture in fixtures {
                self.store.delete_session(fixture.session.id).await.map_err(failed)?;
            }
            for fixture in fixtures {
                let inserted = self.insert(fixture).await;
                inserted.with_context(|| format!("the fixture {} cannot be written", fixture.name))?;
            }
            Ok(())
        })
    }

    async fn insert(&self, fixture: &Fixture) -> Result<()> {
        let session = &fixture.session;
        let active = Session { status: Status::Active, finalizing_at: None, moc_id: None, ..session.clone() };
        self.store.insert_session(&active).await.map_err(failed)?;
        for file in &fixture.files {
            self.insert_file(file).await?;
        }
        let locked_at = session.finalizing_at.unwrap_or(session.created_at);
        let token = LockToken::new(locked_at, [0; 10]);
        if matches!(session.status, Status::Finalizing | Status::Finalized) {
            let locked = self.store.lock_session(session.id, token, locked_at, locked_at).await.map_err(failed)?;
            ensure!(locked, "its session cannot be locked");
        }
        if let Some(moc) = &fixture.moc {
            let inserted = self.store.insert_moc(&moc.moc, token, false).await.map_err(failed)?;
            ensure!(inserted == Inserted::Done, "its MOC cannot be inserted: {inserted:?}");
        }
        if let Some(moc) = session.moc_id {
            self.store.complete_moc(moc, session.id).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A completed file was one part, as large as it, which S3 gave the same `ETag` as the object.
    async fn insert_file(&self, FixtureFile { file, .. }: &FixtureFile) -> Result<()> {
        let registered =
            self.store.insert_file(file, FILES_PER_SESSION_MAX, &FileQuotas::default()).await.map_err(failed)?;
        ensure!(registered.is_done(), "the file {} cannot be registered: {registered:?}", file.name);
        let Some(etag) = &file.etag else { return Ok(()) };
        let number = PartNumber::new(1).context("1 is a part number")?;
        let (size_bytes, uploaded_at) = (file.size_bytes, file.created_at);
        let part = StoredPart { number, etag: etag.clone(), size_bytes, uploaded_at };
        self.store.record_part(file.id, &part, None).await.map_err(failed)?;
        let completed = self.store.complete_file(file, etag, file.created_at).await.map_err(failed)?;
        ensure!(completed.is_some(), "the file {} cannot be completed", file.name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moc_domain::etag::ETag;
    use moc_domain::file::File;
    use moc_domain::id::{SessionId, UserId};
    use tempfile::TempDir;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn fixtures(now: Timestamp) -> Vec<Fixture> {
        let mut fixtures = crate::fixture::all(now, &UserId::parse("dev-user").unwrap()).unwrap();
        for file in fixtures.iter_mut().flat_map(|fixture| &mut fixture.files) {
            file.file.etag = file.object.as_ref().map(|_| ETag::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap());
        }
        fixtures
    }

    fn found(database: &Database, id: SessionId) -> Option<(Session, Vec<File>)> {
        block_on(database.store.session_with_files(id)).unwrap()
    }

    fn assert_seeded(database: &Database, fixtures: &[Fixture]) {
        for Fixture { name, session, files, moc, .. } in fixtures {
            let (seeded, seeded_files) = found(database, session.id).expect(name);
            // Each change of a file takes a number.
            let sequence = seeded.sequence;
            assert_eq!(seeded, Session { sequence, ..session.clone() }, "{name}");
            let files: Vec<File> = files.iter().map(|file| file.file.clone()).collect();
            assert_eq!(seeded_files, files, "{name}");
            let seeded = block_on(database.store.moc_of_session(session.id)).unwrap();
            assert_eq!(seeded.map(|moc| moc.id), moc.as_ref().map(|moc| moc.moc.id), "{name}");
        }
    }

    #[test]
    fn running_again_resets_the_fixtures_and_nothing_else() {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("default.db")).unwrap();
        database.reset(&fixtures(NOW)).unwrap();
        assert_seeded(&database, &fixtures(NOW));

        // What a run of the .http files does: cancels one, and makes one of its own.
        let own = Session { id: SessionId::new(NOW, [7; 10]), ..fixtures(NOW)[1].session.clone() };
        block_on(async {
            assert!(database.store.cancel_session(fixtures(NOW)[4].session.id).await.unwrap());
            database.store.insert_session(&own).await.unwrap();
        });
        let later = NOW.plus_millis(1_000_000_000);
        database.reset(&fixtures(later)).unwrap();
        assert_seeded(&database, &fixtures(later));
        assert_eq!(found(&database, own.id), Some((own, Vec::new())));
    }

    #[test]
    fn two_seedings_may_meet() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("sqlite").join("default.db");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Database::open(&path).unwrap().reset(&fixtures(NOW)).unwrap());
            }
        });
        assert_seeded(&Database::open(&path).unwrap(), &fixtures(NOW));
    }
}
