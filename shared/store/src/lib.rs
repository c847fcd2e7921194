//! The store in SQL: statements, schema and rows, over any database that can execute them.
//!
//! A statement is written once, for SQLite and PostgreSQL alike; the few that have to differ stand next to each
//! other. Every change of state is one conditional statement, so no transaction is held across calls, and a
//! statement whose result was lost may run again.

#![allow(async_fn_in_trait, reason = "components run on one thread: no future has to be Send")]

mod claims;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod executor;
mod files;
pub mod hrana;
mod key_sets;
mod mocs;
mod outbox;
mod quotas;
mod row;
mod schema;
mod secrets;
mod sessions;
#[cfg(feature = "sqlite-file")]
mod sqlite_file;
mod sweeps;
mod thumbnails;

use std::cell::Cell;
use std::rc::Rc;

use moc_application::port::{Platform, StoreError};

use error::Repetition;
pub use error::SqlError;
pub use executor::{Dialect, Rows, SqlExecutor, Statement, Value};
pub use schema::version;
#[cfg(feature = "sqlite-file")]
pub use sqlite_file::SqliteFile;

/// Attempts of a statement that meets a broken connection or a busy database.
const ATTEMPTS_MAX: u32 = 3;
/// Longest pause before the second of them; it doubles, and half of it is certain.
const PAUSE_MS: u64 = 100;
/// Attempts of a statement that conflicts with concurrent ones.
const CONFLICT_ATTEMPTS_MAX: u32 = 12;
/// Longest pause before the second of them; it grows by as much each time.
const CONFLICT_PAUSE_MS: u64 = 10;

/// Sessions, files, MOCs, webhook deliveries, key sets and secrets in one SQL database.
pub struct SqlStore<E, P> {
    executor: E,
    platform: P,
    /// Whether the schema was looked at since this instance started. That a statement has succeeded does not show that
    /// it is current: the next one may need what a migration adds.
    schema_is_current: Rc<Cell<bool>>,
}

impl<E: SqlExecutor, P: Platform> SqlStore<E, P> {
    /// A store that creates or migrates the schema if a statement fails without it, once for all stores that share
    /// `schema_is_current`.
    pub fn new(executor: E, platform: P, schema_is_current: Rc<Cell<bool>>) -> Self {
        Self { executor, platform, schema_is_current }
    }

    /// The database.
    pub const fn executor(&self) -> &E {
        &self.executor
    }

    /// Executes a statement, and again if that may help: each has the same effect when it runs again.
    async fn execute(&self, statement: Statement<'_>) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut results = self.execute_all(&[statement]).await?;
        Ok(results.pop().unwrap_or_default())
    }

    /// Executes statements in their order, in one round trip where the database allows it.
    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, StoreError> {
        let (mut failures, mut conflicts) = (0, 0);
        loop {
            // On the heap: the caller's future then holds a pointer, and this one is compiled once.
            let error = match Box::pin(self.attempt(statements)).await {
                Ok(results) => return Ok(results),
                Err(error) => error,
            };
            let pause_ms = match error.repetition {
                Repetition::Conflict => {
                    conflicts += 1;
                    (conflicts < CONFLICT_ATTEMPTS_MAX).then(|| CONFLICT_PAUSE_MS * u64::from(conflicts))
                }
                Repetition::Unavailable => {
                    failures += 1;
                    (failures < ATTEMPTS_MAX).then(|| PAUSE_MS << (failures - 1))
                }
                Repetition::Useless => None,
            };
            let Some(pause_ms) = pause_ms else { return Err(StoreError(error.to_string())) };
            // Jitter keeps clients apart that were rolled back for each other.
            let [random, ..] = self.platform.random();
            self.platform.sleep(pause_ms / 2 + pause_ms * u64::from(random) / 512).await;
        }
    }

    /// Only a statement that fails makes the store look at the schema: an instance that serves one request pays
    /// nothing for it.
    async fn attempt(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        // Another request of this instance may migrate while this statement runs.
        let was_current = self.schema_is_current.get();
        let result = self.executor.execute_all(statements).await;
        match &result {
            Err(error) if !was_current && error.repetition != Repetition::Conflict => {
                let has_migrated = schema::migrate(&self.executor).await?;
                self.schema_is_current.set(true);
                // Another server may have migrated since. A database that is only busy is tried again after a pause.
                if has_migrated || error.repetition == Repetition::Useless {
                    return self.executor.execute_all(statements).await;
                }
                result
            }
            _ => result,
        }
    }

    async fn first(&self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, StoreError> {
        Ok(self.execute(statement).await?.into_iter().next())
    }

    /// Whether a statement has returned a row: conditional changes end with `RETURNING 1`.
    async fn changed(&self, statement: Statement<'_>) -> Result<bool, StoreError> {
        Ok(self.first(statement).await?.is_some())
    }

    fn is_postgres(&self) -> bool {
        self.executor.dialect() == Dialect::Postgres
    }
}
