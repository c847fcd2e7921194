//! SQLite itself, for tests and fixtures.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, TransactionBehavior, params_from_iter};
use std::cell::RefCell;

use crate::error::SqlError;
use crate::executor::{Dialect, Rows, SqlExecutor, Statement, Value};

/// How long a statement waits for a busy file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two attempts to open a busy file.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A connection to a SQLite database.
pub struct SqliteFile(RefCell<Connection>);

impl SqliteFile {
    /// Opens or creates a file in WAL mode.
    ///
    /// # Errors
    /// [`SqlError`] if the file is no database or cannot be written.
    pub fn open(path: &Path) -> Result<Self, SqlError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let began = Instant::now();
        // For the lock that this needs in a new file, SQLite does not wait.
        while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
            let is_busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
            if !is_busy || began.elapsed() >= BUSY_TIMEOUT {
                return Err(error.into());
            }
            std::thread::sleep(BUSY_PAUSE);
        }
        Ok(Self(RefCell::new(connection)))
    }

    /// Opens a database in memory, which all connections of this name share and which ends with the last of them.
    ///
    /// # Errors
    /// [`SqlError`] if SQLite cannot allocate it.
    pub fn in_memory(name: &str) -> Result<Self, SqlError> {
        let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file:{name}?mode=memory&cache=shared"), flags)?;
        Ok(Self(RefCell::new(connection)))
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::unavailable(error.to_string()),
            _ => Self::permanent(error.to_string()),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn execute(connection: &Connection, statement: &Statement<'_>) -> Result<Vec<Vec<Value>>, SqlError> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    let columns = prepared.column_count();
    let mut rows = prepared.query(params_from_iter(&statement.parameters))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |column| {
            Ok::<_, rusqlite::Error>(match row.get_ref(column)? {
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                _ => Value::Null,
            })
        };
        found.push((0..columns).map(value).collect::<Result<_, _>>()?);
    }
    Ok(found)
}

impl SqlExecutor for SqliteFile {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let connection = self.0.borrow();
        statements.iter().map(|statement| execute(&connection, statement)).collect()
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        let mut connection = self.0.borrow_mut();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for statement in statements {
            transaction.execute(statement, [])?;
        }
        Ok(transaction.commit()?)
    }
}
