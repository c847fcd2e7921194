//! The statements of a request, as moc-store makes them, for load that goes to a database directly.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use moc_application::port::{Files as _, Platform, Sessions as _};
use moc_domain::etag::ETag;
use moc_domain::file::StoredPart;
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::part::PartNumber;
use moc_domain::session::{FIRST_SEQUENCE, Session, Status};
use moc_domain::time::Timestamp;
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqlStore, Statement};

use crate::api::RemoteFile;

/// Executes nothing, and keeps what it should have executed.
#[derive(Clone)]
struct Recorder {
    dialect: Dialect,
    statements: Rc<RefCell<Vec<Statement<'static>>>>,
}

impl SqlExecutor for Recorder {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let owned = statements.iter().map(|statement| {
            let sql = statement.sql.clone().into_owned();
            Statement::new(sql, statement.parameters.clone())
        });
        self.statements.borrow_mut().extend(owned);
        Ok(statements.iter().map(|_| Rows::new()).collect())
    }

    async fn transaction(&self, _: &[&str]) -> Result<(), SqlError> {
        Ok(())
    }
}

struct Clock;

impl Platform for Clock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> [u8; 10] {
        [0; 10]
    }

    async fn sleep(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

async fn recorded(dialect: Dialect, work: impl AsyncFnOnce(&SqlStore<Recorder, Clock>)) -> Vec<Statement<'static>> {
    let recorder = Recorder { dialect, statements: Rc::default() };
    work(&SqlStore::new(recorder.clone(), Clock, Rc::default())).await;
    recorder.statements.take()
}

/// The statements that create a session with this id.
pub async fn create_session(dialect: Dialect, id: &str) -> Result<Vec<Statement<'static>>> {
    let now = Clock.now();
    let session = Session {
        id: SessionId::parse(id).context("the id is malformed")?,
        user: UserId::parse("dev-user").context("the user is malformed")?,
        status: Status::Active,
        part_size_bytes: 8 << 20,
        created_at: now,
        expires_at: now.plus_millis(3_600_000),
        finalizing_at: None,
        moc_id: None,
        sequence: FIRST_SEQUENCE,
    };
    Ok(recorded(dialect, async |store| {
        // A recorder does not fail.
        let _ = store.insert_session(&session).await;
    })
    .await)
}

/// The statements that show a session.
pub async fn get_session(dialect: Dialect, file: &RemoteFile) -> Result<Vec<Statement<'static>>> {
    let (session, _) = ids(file)?;
    Ok(recorded(dialect, async |store| {
        let _ = store.session_with_files(session).await;
    })
    .await)
}

/// The statements of the part route, before and after its request to S3.
pub async fn part(dialect: Dialect, file: &RemoteFile, size_bytes: u64) -> Result<Vec<Statement<'static>>> {
    let (session, file) = ids(file)?;
    let number = PartNumber::new(1).context("1 is not a part number")?;
    let part = StoredPart { number, etag: ETag::of_digest([7; 16]), size_bytes, uploaded_at: Clock.now() };
    Ok(recorded(dialect, async |store| {
        let _ = store.file(session, file).await;
        let _ = store.record_part(file, &part, None).await;
    })
    .await)
}

fn ids(file: &RemoteFile) -> Result<(SessionId, FileId)> {
    let session = SessionId::parse(&file.session).context("the id of a session is malformed")?;
    Ok((session, FileId::parse(&file.id).context("the id of a file is malformed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_have_the_statements_of_the_store() {
        let id = "01900000-0000-7000-8000-000000000000".to_owned();
        let file = RemoteFile { session: id.clone(), id: id.clone() };
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let create = create_session(dialect, &id).await.unwrap();
            assert!(create[0].sql.starts_with("INSERT INTO sessions") && create.len() == 1);
            assert_eq!(get_session(dialect, &file).await.unwrap().len(), 1);
            assert_eq!(part(dialect, &file, 1).await.unwrap().len(), 2);
        }
    }
}
