//! `spin:postgres`: PostgreSQL, and the databases that speak its protocol.
//!
//! The host keeps a pool of connections for each component. A connection is taken for one operation of the store and
//! returned at once: a request that streams a part for minutes must not occupy one.

use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_store::{Dialect, Rows, SqlError, Statement, Value};
use spin_sdk::pg::wit::postgres::{Connection, DbValue, Error, ParameterValue, QueryError};

use crate::platform::{WasiPlatform, within};

/// Longest wait for a connection. The host waits for a free one of its pool without a limit, but gives up at once if
/// the server takes no more of them.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause before another attempt to open a connection; half of it is certain.
const OPEN_PAUSE_MS: u64 = 40;
/// Longest time of one operation, the wait included.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Postgres {
    address: String,
}

impl Postgres {
    pub const fn new(address: String) -> Self {
        Self { address }
    }

    pub async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        self.connected(async |connection| {
            let mut results = Vec::with_capacity(statements.len());
            for statement in statements {
                results.push(query(connection, statement).await?);
            }
            Ok(results)
        })
        .await
    }

    pub async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        self.connected(async |connection| {
            execute(connection, "BEGIN").await?;
            for sql in statements {
                if let Err(error) = execute(connection, sql).await {
                    // The pool would hand the connection on inside of the failed transaction.
                    execute(connection, "ROLLBACK").await?;
                    return Err(error);
                }
            }
            execute(connection, "COMMIT").await
        })
        .await
    }

    /// Opens a connection, in several attempts if the server has too many of them or restarts.
    async fn open(&self, deadline: Instant) -> Result<Connection, SqlError> {
        loop {
            let Some(opened) = within(deadline, Connection::open_async(self.address.clone())).await else {
                return Err(SqlError::permanent("no connection to PostgreSQL became free in time"));
            };
            match opened {
                Err(Error::ConnectionFailed(_)) if Instant::now() < deadline => {
                    let [random, ..] = WasiPlatform.random();
                    WasiPlatform.sleep(OPEN_PAUSE_MS / 2 + OPEN_PAUSE_MS * u64::from(random) / 512).await;
                }
                Err(Error::ConnectionFailed(cause)) => return Err(SqlError::permanent(cause)),
                opened => return opened.map_err(error),
            }
        }
    }

    /// Does some work with a connection, which returns to the pool afterwards.
    async fn connected<T>(&self, work: impl AsyncFnOnce(&Connection) -> Result<T, SqlError>) -> Result<T, SqlError> {
        let started = Instant::now();
        let connection = self.open(started + OPEN_TIMEOUT).await?;
        let done = within(started + TOTAL_TIMEOUT, work(&connection)).await;
        done.unwrap_or_else(|| Err(SqlError::permanent("PostgreSQL did not respond in time")))
    }
}

async fn query(connection: &Connection, statement: &Statement<'_>) -> Result<Rows, SqlError> {
    let parameter = |value: &Value| match value {
        Value::Null => ParameterValue::DbNull,
        Value::Integer(number) => ParameterValue::Int64(*number),
        Value::Text(text) => ParameterValue::Str(text.clone()),
    };
    let parameters = statement.parameters.iter().map(parameter).collect();
    let sql = Dialect::Postgres.translate(&statement.sql).into_owned();
    if !statement.returns_rows() {
        connection.execute_async(sql, parameters).await.map_err(error)?;
        return Ok(Rows::new());
    }
    let (_, mut stream, end) = connection.query_async(sql, parameters).await.map_err(error)?;
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        rows.push(row.into_iter().map(value).collect::<Result<_, _>>()?);
    }
    end.await.map_err(error)?;
    Ok(rows)
}

async fn execute(connection: &Connection, sql: &str) -> Result<(), SqlError> {
    connection.execute_async(sql.to_owned(), Vec::new()).await.map(drop).map_err(error)
}

fn value(value: DbValue) -> Result<Value, SqlError> {
    match value {
        DbValue::DbNull => Ok(Value::Null),
        DbValue::Int32(number) => Ok(Value::Integer(number.into())),
        DbValue::Int64(number) => Ok(Value::Integer(number)),
        DbValue::Str(text) => Ok(Value::Text(text)),
        _ => Err(SqlError::permanent("a column is neither null, integer nor text")),
    }
}

fn error(error: Error) -> SqlError {
    match error {
        Error::ConnectionFailed(text) | Error::QueryFailed(QueryError::Text(text)) => SqlError::unavailable(text),
        Error::QueryFailed(QueryError::DbError(error)) => SqlError::of_sqlstate(&error.code, &error.message),
        Error::BadParameter(text) | Error::ValueConversionFailed(text) | Error::Other(text) => {
            SqlError::permanent(text)
        }
    }
}
