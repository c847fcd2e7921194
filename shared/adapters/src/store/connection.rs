//! One SQLite connection an instance, shared by its requests, and the schema that makes itself.

use std::cell::RefCell;
use std::rc::Rc;

use moc_application::port::{Platform as _, StoreError};
use spin_sdk::sqlite::{self, Error, Value};

use crate::platform::WasiPlatform;

/// What makes the schema: migration `n` leads to version `n`. Each statement of one may run again,
/// so that any number of instances may start at once.
pub const MIGRATIONS: [&str; 2] = [include_str!("migrations/1.sql"), include_str!("migrations/2.sql")];

/// The statements of a migration, in their order.
pub fn statements(migration: &str) -> impl Iterator<Item = &str> {
    migration.split("\n\n")
}

/// Whether a statement of a migration has failed only because it has run before: SQLite has no
/// `ADD COLUMN IF NOT EXISTS`.
#[must_use]
pub fn has_run_before(error: &str) -> bool {
    error.contains("duplicate column name")
}

/// How often a statement is tried. Each attempt waits up to five seconds for a busy file by itself.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; it doubles.
const PAUSE_MS: u64 = 50;

thread_local! {
    static SHARED: Rc<Connection> = Rc::default();
}

/// A connection that opens itself at its first statement, and again after an error.
#[derive(Default)]
pub struct Connection(RefCell<Option<Rc<sqlite::Connection>>>);

impl Connection {
    /// The connection of this instance.
    pub fn shared() -> Rc<Self> {
        SHARED.with(Rc::clone)
    }

    /// Runs a statement and returns its rows. Tried three times: each statement of the store has
    /// the same effect when it runs again, even where only its response was lost.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn run(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut attempts = 1;
        loop {
            match self.attempt(statement, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(error) if attempts == ATTEMPTS_MAX => return Err(StoreError(error.to_string())),
                Err(_) => {
                    self.0.take();
                    WasiPlatform.sleep(PAUSE_MS << attempts).await;
                    attempts += 1;
                }
            }
        }
    }

    /// The first row of a statement's, if it has any.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn first(&self, statement: &str, parameters: &[Value]) -> Result<Option<Vec<Value>>, StoreError> {
        Ok(self.run(statement, parameters).await?.into_iter().next())
    }

    async fn attempt(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let open = self.0.borrow().clone();
        let connection = match open {
            Some(connection) => connection,
            None => {
                let connection = Rc::new(open_and_migrate().await?);
                self.0.replace(Some(Rc::clone(&connection)));
                connection
            }
        };
        rows(&connection, statement, parameters).await
    }
}

/// The rows are drained before anything else runs: their stream holds the connection.
async fn rows(
    connection: &sqlite::Connection,
    statement: &str,
    parameters: &[Value],
) -> Result<Vec<Vec<Value>>, Error> {
    let result = connection.execute(statement, parameters.iter().cloned()).await?;
    Ok(result.collect().await?.into_iter().map(|row| row.values).collect())
}

async fn open_and_migrate() -> Result<sqlite::Connection, Error> {
    let connection = sqlite::Connection::open_default().await?;
    // WAL lets readers and a writer work at once, and NORMAL is safe with it. libSQL takes no
    // PRAGMA and needs none.
    let _ = rows(&connection, "PRAGMA synchronous = NORMAL", &[]).await;
    let version = rows(&connection, "SELECT max(version) FROM schema_version", &[]).await;
    let version = match version.ok().as_deref() {
        Some([row]) => match row.first() {
            Some(Value::Integer(version)) => usize::try_from(*version).unwrap_or(0),
            _ => 0,
        },
        _ => 0,
    };
    if version < MIGRATIONS.len() {
        let _ = rows(&connection, "PRAGMA journal_mode = WAL", &[]).await;
        for migration in MIGRATIONS.iter().skip(version) {
            for statement in statements(migration) {
                match rows(&connection, statement, &[]).await {
                    Err(error) if !has_run_before(&error.to_string()) => return Err(error),
                    _ => {}
                }
            }
        }
    }
    Ok(connection)
}
