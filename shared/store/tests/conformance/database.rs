//! A database of one case's own, and connections to it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use moc_application::port::Platform;
use moc_domain::time::Timestamp;
use moc_store::conformance;
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqlStore, SqliteFile, Statement};
use tempfile::TempDir;

use crate::libsql::{Libsql, Server};
use crate::postgres::{self, Postgres};

/// The file of a SQLite database.
const FILE: &str = "db";

/// A database of one case's own.
pub enum Database {
    Sqlite(TempDir),
    Postgres { address: String },
    Libsql(Server),
}

impl Database {
    pub fn sqlite() -> Result<Self, &'static str> {
        let folder = TempDir::new().expect("a temporary directory");
        // While one connection of several turns WAL on, SQLite rejects the others without waiting.
        SqliteFile::open(&folder.path().join(FILE)).expect("SQLite");
        Ok(Self::Sqlite(folder))
    }

    /// A database whose transactions have this isolation level unless they say otherwise.
    pub fn postgres(isolation: &str) -> Result<Self, &'static str> {
        Ok(Self::Postgres { address: postgres::create_database(isolation)? })
    }

    pub fn libsql() -> Result<Self, &'static str> {
        Ok(Self::Libsql(Server::start()?))
    }

    /// A connection, which must not leave the runtime that it was made in.
    async fn connect(&self) -> Executor {
        match self {
            Self::Sqlite(folder) => Executor::Sqlite(SqliteFile::open(&folder.path().join(FILE)).expect("SQLite")),
            Self::Postgres { address } => Executor::Postgres(Postgres::connect(address).await),
            Self::Libsql(server) => Executor::Libsql(server.client()),
        }
    }
}

impl conformance::Database for Database {
    type Executor = Executor;
    type Platform = TestPlatform;

    async fn store(&self) -> SqlStore<Executor, TestPlatform> {
        SqlStore::new(self.connect().await, TestPlatform, Rc::new(Cell::new(false)))
    }

    /// Each with a thread of its own.
    async fn concurrently<T: Send>(
        &self,
        count: usize,
        client: impl AsyncFn(&SqlStore<Executor, TestPlatform>, usize) -> T + Sync,
    ) -> Vec<T> {
        // They begin at the same moment, with their connections open.
        let connected = Barrier::new(count);
        std::thread::scope(|scope| {
            let spawn = |index| {
                let (client, connected) = (&client, &connected);
                scope.spawn(move || {
                    block_on(async {
                        let store = self.store().await;
                        connected.wait();
                        client(&store, index).await
                    })
                })
            };
            let threads: Vec<_> = (0..count).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
        })
    }
}

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// A connection to any of the databases.
pub enum Executor {
    Sqlite(SqliteFile),
    Postgres(Postgres),
    Libsql(Libsql),
}

impl SqlExecutor for Executor {
    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) | Self::Libsql(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute_all(statements).await,
            Self::Postgres(postgres) => postgres.execute_all(statements).await,
            Self::Libsql(libsql) => libsql.execute_all(statements),
        }
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.transaction(statements).await,
            Self::Postgres(postgres) => postgres.transaction(statements).await,
            Self::Libsql(libsql) => libsql.transaction(statements),
        }
    }
}

/// A platform that waits for real.
#[derive(Clone, Copy)]
pub struct TestPlatform;

impl Platform for TestPlatform {
    fn now(&self) -> Timestamp {
        conformance::now()
    }

    fn random(&self) -> [u8; 10] {
        conformance::random()
    }

    async fn sleep(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
