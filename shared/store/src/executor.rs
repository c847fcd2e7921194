//! The port to a database: statements in, rows out.

use std::borrow::Cow;

use moc_domain::time::Timestamp;

use crate::error::SqlError;

/// A parameter, or a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// Text.
    Text(String),
}

impl From<u64> for Value {
    /// Saturates at `i64::MAX`.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Value {
    /// Milliseconds since the Unix epoch.
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.as_millis())
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// Text in the form that `value` displays.
pub(crate) fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// Which of the two forms of SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite and libSQL.
    Sqlite,
    /// PostgreSQL and the databases that speak its protocol.
    Postgres,
}

impl Dialect {
    /// A statement of ours in this dialect. Ours have parameters `?1`, `?2`, …, and the functions `json_object`,
    /// which PostgreSQL calls `json_build_object`, and `json_group_array`, which it calls `json_agg`.
    #[must_use]
    pub fn translate(self, sql: &str) -> Cow<'_, str> {
        match self {
            Self::Sqlite => sql.into(),
            Self::Postgres => sql
                .replace('?', "$")
                .replace("json_object(", "json_build_object(")
                .replace("json_group_array(", "json_agg(")
                .into(),
        }
    }
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// The SQL, in the dialect of no database in particular: see [`Dialect::translate`].
    pub sql: Cow<'a, str>,
    /// The values of `?1`, `?2`, ….
    pub parameters: Vec<Value>,
}

impl<'a> Statement<'a> {
    /// A statement with as many parameters as its SQL names.
    pub fn new(sql: impl Into<Cow<'a, str>>, parameters: impl Into<Vec<Value>>) -> Self {
        Self { sql: sql.into(), parameters: parameters.into() }
    }

    /// Whether it may return rows: a database need not set up a result for one that does not.
    #[must_use]
    pub fn returns_rows(&self) -> bool {
        let sql = self.sql.trim_start();
        sql.starts_with("SELECT") || sql.starts_with("WITH") || sql.contains("RETURNING")
    }
}

/// The rows that a statement returned, each with its columns in order.
pub type Rows = Vec<Vec<Value>>;

/// A database that executes statements.
pub trait SqlExecutor {
    /// The dialect that it speaks.
    fn dialect(&self) -> Dialect;

    /// Executes statements in their order and returns the rows of each, in one round trip where the protocol
    /// allows it. Each is atomic by itself; those after one that fails do not run.
    ///
    /// # Errors
    /// That of the first statement that fails.
    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError>;

    /// Executes statements without parameters as one transaction, on a connection of its own, which no other
    /// request shares.
    ///
    /// # Errors
    /// That of the first statement that fails; none has taken effect.
    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_statements_return_rows() {
        let returns_rows = |sql: &str| Statement::new(sql, []).returns_rows();
        assert!(returns_rows(" SELECT 1") && returns_rows("WITH f AS (SELECT 1) SELECT 1 FROM f"));
        assert!(returns_rows("UPDATE files SET etag = ?1 RETURNING 1"));
        assert!(!returns_rows("INSERT INTO sessions (id) VALUES (?1) ON CONFLICT DO NOTHING"));
        assert!(!returns_rows("DELETE FROM parts WHERE file_id = ?1"));
    }

    #[test]
    fn postgres_gets_its_own_placeholders_and_functions() {
        let sql = "SELECT json_group_array(json_object('id', id)) FROM files WHERE id = ?1 OR size_bytes > ?12";
        let translated = "SELECT json_agg(json_build_object('id', id)) FROM files WHERE id = $1 OR size_bytes > $12";
        assert_eq!(Dialect::Postgres.translate(sql), translated);
        assert_eq!(Dialect::Sqlite.translate(sql), sql);
    }
}
