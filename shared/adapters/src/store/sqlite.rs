//! `spin:sqlite`: the host's database `default`. One connection per instance, shared by its requests.

use std::cell::RefCell;
use std::rc::Rc;

use moc_store::{Rows, SqlError, Statement, Value};
use spin_sdk::sqlite::{Connection, Error, Value as HostValue};

/// The connection of this instance, which opens at its first statement and again after an error.
pub struct Sqlite(Rc<RefCell<Option<Rc<Connection>>>>);

thread_local! {
    static SHARED: Rc<RefCell<Option<Rc<Connection>>>> = Rc::default();
}

impl Sqlite {
    pub fn shared() -> Self {
        Self(SHARED.with(Rc::clone))
    }

    pub async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let mut results = Vec::with_capacity(statements.len());
        for statement in statements {
            match self.execute(statement).await {
                Ok(rows) => results.push(rows),
                Err(error) => {
                    self.0.take();
                    // The host's errors are texts: any of them may be a busy file.
                    return Err(SqlError::unavailable(error.to_string()));
                }
            }
        }
        Ok(results)
    }

    async fn execute(&self, statement: &Statement<'_>) -> Result<Rows, Error> {
        let open = self.0.borrow().clone();
        let connection = match open {
            Some(connection) => connection,
            None => {
                let connection = Rc::new(Connection::open_default().await?);
                // Safe with WAL. libSQL takes no PRAGMA and needs none.
                let _ = rows(&connection, "PRAGMA synchronous = NORMAL", Vec::new()).await;
                self.0.replace(Some(Rc::clone(&connection)));
                connection
            }
        };
        let parameter = |value: &Value| match value {
            Value::Null => HostValue::Null,
            Value::Integer(number) => HostValue::Integer(*number),
            Value::Text(text) => HostValue::Text(text.clone()),
        };
        rows(&connection, &statement.sql, statement.parameters.iter().map(parameter).collect()).await
    }

    pub async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        let failed = |error: Error| SqlError::unavailable(error.to_string());
        // Of its own: other requests go on with the shared one. It is rolled back when it is dropped.
        let connection = Connection::open_default().await.map_err(failed)?;
        // Readers and a writer work at once. The file keeps the mode.
        let _ = rows(&connection, "PRAGMA journal_mode = WAL", Vec::new()).await;
        for sql in ["BEGIN IMMEDIATE"].iter().chain(statements).chain(&["COMMIT"]) {
            rows(&connection, sql, Vec::new()).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// The rows are drained before anything else runs: their stream holds the connection.
async fn rows(connection: &Connection, sql: &str, parameters: Vec<HostValue>) -> Result<Rows, Error> {
    let value = |value| match value {
        HostValue::Integer(number) => Value::Integer(number),
        HostValue::Text(text) => Value::Text(text),
        _ => Value::Null,
    };
    let result = connection.execute(sql, parameters).await?;
    Ok(result.collect().await?.into_iter().map(|row| row.values.into_iter().map(value).collect()).collect())
}
