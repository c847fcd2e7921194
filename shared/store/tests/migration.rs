//! Requests of one instance share what they know of the schema.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::cell::Cell;
use std::rc::Rc;

use moc_application::port::{Platform, Sessions as _};
use moc_domain::id::SessionId;
use moc_domain::time::Timestamp;
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqlStore, SqliteFile, Statement};

/// A platform whose pauses take no time.
struct Instant;

impl Platform for Instant {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn random(&self) -> [u8; 10] {
        [0; 10]
    }

    async fn sleep(&self, _: u64) {}
}

fn connect() -> SqliteFile {
    SqliteFile::in_memory("migration").expect("a database in memory")
}

/// A connection whose first result arrives after another request has migrated.
struct Late {
    connection: SqliteFile,
    schema_is_current: Rc<Cell<bool>>,
    is_first: Cell<bool>,
}

impl SqlExecutor for Late {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let results = self.connection.execute_all(statements).await;
        if self.is_first.replace(false) {
            let other = SqlStore::new(connect(), Instant, Rc::clone(&self.schema_is_current));
            other.session(id()).await.expect("the other request migrates");
        }
        results
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        self.connection.transaction(statements).await
    }
}

fn id() -> SessionId {
    SessionId::new(Timestamp::from_millis(0), [0; 10])
}

#[tokio::test]
async fn repeats_a_statement_that_ran_before_another_request_migrated() {
    let schema_is_current = Rc::new(Cell::new(false));
    let late =
        Late { connection: connect(), schema_is_current: Rc::clone(&schema_is_current), is_first: Cell::new(true) };
    let store = SqlStore::new(late, Instant, schema_is_current);
    assert_eq!(store.session(id()).await.expect("a result"), None);
}

/// The first statement of a new version may work on the old schema, and the second one not.
#[tokio::test]
async fn a_statement_that_succeeds_hides_no_missing_migration() {
    let connect = || SqliteFile::in_memory("old-schema").expect("a database in memory");
    let keep = connect();
    let store = || SqlStore::new(connect(), Instant, Rc::new(Cell::new(false)));
    store().session(id()).await.expect("a new schema");
    let undo = [
        "DROP TABLE secrets",
        "DROP TRIGGER number_new_file",
        "DROP TRIGGER number_recorded_part",
        "DROP TRIGGER number_changed_file",
        "DROP TRIGGER number_removed_file",
        "ALTER TABLE sessions DROP COLUMN sequence",
        "DROP TABLE removed_files",
        "DROP INDEX sessions_to_sweep",
        "DROP INDEX sessions_swept",
        "DROP INDEX session_counts_by_window",
        "DROP INDEX webhook_deliveries_by_status",
        "ALTER TABLE sessions DROP COLUMN sweep_at",
        "ALTER TABLE sessions DROP COLUMN swept",
        "DROP TRIGGER change_parts",
        "ALTER TABLE files DROP COLUMN changed_parts",
        "ALTER TABLE files DROP COLUMN has_claims",
        "DELETE FROM schema_version WHERE version > 5",
    ];
    keep.transaction(&undo).await.expect("an old schema");
    let store = store();
    let now = Timestamp::from_millis(0);
    store.extend_session(id(), now).await.expect("a statement that the old schema has all columns for");
    store.session_with_files(id()).await.expect("a migration");
}
