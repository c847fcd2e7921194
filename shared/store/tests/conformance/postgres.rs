//! PostgreSQL by tokio-postgres.

use std::sync::LazyLock;

use moc_servers::PostgresServer;
use moc_store::{Dialect, Rows, SqlError, Statement, Value};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The connections of one case, times the cases that run at once.
const MAX_CONNECTIONS: u32 = 300;

static SERVER: LazyLock<Result<PostgresServer, &'static str>> =
    LazyLock::new(|| PostgresServer::start(MAX_CONNECTIONS));

/// A new database on the server of this process.
pub fn create_database(isolation: &str) -> Result<String, &'static str> {
    SERVER.as_ref().map(|server| server.create_database(isolation)).map_err(|reason| *reason)
}

/// A connection.
pub struct Postgres(Client);

fn error(error: &tokio_postgres::Error) -> SqlError {
    match error.as_db_error() {
        Some(error) => SqlError::of_sqlstate(error.code().code(), error.message()),
        None => SqlError::unavailable(error.to_string()),
    }
}

impl Postgres {
    pub async fn connect(address: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("PostgreSQL");
        tokio::spawn(connection);
        Self(client)
    }

    pub async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let mut results = Vec::new();
        for statement in statements {
            let parameters: Vec<&(dyn ToSql + Sync)> = statement
                .parameters
                .iter()
                .map(|value| match value {
                    Value::Null => &None::<String> as &(dyn ToSql + Sync),
                    Value::Integer(number) => number,
                    Value::Text(text) => text,
                })
                .collect();
            let sql = Dialect::Postgres.translate(&statement.sql);
            let rows = self.0.query(sql.as_ref(), &parameters).await.map_err(|failed| error(&failed))?;
            let value = |row: &tokio_postgres::Row, column: usize| match *row.columns()[column].type_() {
                Type::INT8 => row.get::<_, Option<i64>>(column).map_or(Value::Null, Value::Integer),
                Type::INT4 => {
                    row.get::<_, Option<i32>>(column).map_or(Value::Null, |number| Value::Integer(number.into()))
                }
                _ => row.get::<_, Option<String>>(column).into(),
            };
            results.push(rows.iter().map(|row| (0..row.len()).map(|column| value(row, column)).collect()).collect());
        }
        Ok(results)
    }

    pub async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        // One simple query is one transaction.
        let result: Result<Vec<SimpleQueryMessage>, _> = self.0.simple_query(&statements.join(";\n")).await;
        result.map(drop).map_err(|failed| error(&failed))
    }
}
