//! A database of one case's own, and connections to it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moc_application::port::Platform;
use moc_domain::time::Timestamp;
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqlStore, SqliteFile, Statement};
use tempfile::TempDir;

use crate::libsql::{Libsql, Server};
use crate::postgres::{self, Postgres};

/// A database of one case's own.
pub enum Database {
    Sqlite(TempDir),
    Postgres { address: String },
    Libsql(Server),
}

impl Database {
    pub fn sqlite() -> Result<Self, &'static str> {
        Ok(Self::Sqlite(TempDir::new().expect("a temporary directory")))
    }

    /// A database whose transactions have this isolation level unless they say otherwise.
    pub fn postgres(isolation: &str) -> Result<Self, &'static str> {
        Ok(Self::Postgres { address: postgres::create_database(isolation)? })
    }

    pub fn libsql() -> Result<Self, &'static str> {
        Ok(Self::Libsql(Server::start()?))
    }

    /// A connection, which must not leave the runtime of [`Self::client`].
    pub async fn connect(&self) -> Executor {
        match self {
            Self::Sqlite(folder) => Executor::Sqlite(SqliteFile::open(&folder.path().join("db")).expect("SQLite")),
            Self::Postgres { address } => Executor::Postgres(Postgres::connect(address).await),
            Self::Libsql(server) => Executor::Libsql(server.client()),
        }
    }

    /// A store on a connection of its own, as a new instance has it.
    pub async fn store(&self) -> SqlStore<Executor, TestPlatform> {
        SqlStore::new(self.connect().await, TestPlatform, Rc::new(Cell::new(false)))
    }

    /// Runs one client on this thread.
    pub fn client<T>(&self, client: impl AsyncFnOnce(&SqlStore<Executor, TestPlatform>) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { client(&self.store().await).await })
    }

    /// Runs `count` clients at once, each with a connection and a thread of its own; returns what they return.
    pub fn clients<T: Send>(
        &self,
        count: usize,
        client: impl AsyncFn(&SqlStore<Executor, TestPlatform>, usize) -> T + Sync,
    ) -> Vec<T> {
        std::thread::scope(|scope| {
            let spawn = |index| {
                let client = &client;
                scope.spawn(move || self.client(async |store| client(store, index).await))
            };
            let threads: Vec<_> = (0..count).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
        })
    }
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

/// The real clock, and random bytes that never repeat within a test run.
#[derive(Clone, Copy)]
pub struct TestPlatform;

static DRAWN: AtomicU64 = AtomicU64::new(1);

impl Platform for TestPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn random(&self) -> [u8; 10] {
        // Multiplying by an odd number spreads the counter over all bits.
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&drawn.to_be_bytes());
        bytes
    }

    async fn sleep(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
