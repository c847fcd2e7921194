//! The schema, which creates and migrates itself.
//!
//! A migration runs in one transaction together with the row that says that it ran: so whether it ran is known, and
//! of several servers that start at once one migrates. Migrations only add, so that a server of the previous version
//! goes on working next to one of this version.

use crate::error::{Repetition, SqlError};
use crate::executor::{Dialect, SqlExecutor, Statement, Value};

mod postgres;
mod sqlite;

/// Further attempts of a migration that conflicts with another server's.
const CONFLICTS_MAX: u32 = 5;

const fn migrations(dialect: Dialect) -> &'static [&'static [&'static str]] {
    match dialect {
        Dialect::Sqlite => sqlite::MIGRATIONS,
        Dialect::Postgres => postgres::MIGRATIONS,
    }
}

/// The version of the schema: the number of migrations that have run, 0 for an empty database.
///
/// # Errors
/// Those of the database.
pub async fn version(executor: &impl SqlExecutor) -> Result<usize, SqlError> {
    let exists = match executor.dialect() {
        Dialect::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'",
        Dialect::Postgres => "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('schema_version')",
    };
    if number(executor, exists).await? == 0 {
        return Ok(0);
    }
    number(executor, "SELECT coalesce(max(version), 0) FROM schema_version").await
}

async fn number(executor: &impl SqlExecutor, sql: &str) -> Result<usize, SqlError> {
    let results = executor.execute_all(&[Statement::new(sql, [])]).await?;
    match results.first().and_then(|rows| rows.first()).and_then(|row| row.first()) {
        Some(Value::Integer(number)) => Ok(usize::try_from(*number).unwrap_or_default()),
        other => Err(SqlError::permanent(format!("{sql}: expected a number and got {other:?}"))),
    }
}

/// Brings the schema to the version of this program; returns whether it changed anything. Does nothing if it has that
/// version or a newer one.
///
/// # Errors
/// Those of the database.
pub async fn migrate(executor: &impl SqlExecutor) -> Result<bool, SqlError> {
    let migrations = migrations(executor.dialect());
    let (mut has_migrated, mut conflicts) = (false, 0);
    let mut current = version(executor).await?;
    while let Some(migration) = migrations.get(current) {
        let record = format!("INSERT INTO schema_version (version) VALUES ({})", current + 1);
        let tables = tables(executor).await?;
        let missing = migration.iter().copied().filter(|sql| !adds_an_existing_column(sql, &tables));
        let statements: Vec<&str> = missing.chain([record.as_str()]).collect();
        let migrating = executor.transaction(&statements).await;
        let found = version(executor).await?;
        match migrating {
            Ok(()) => has_migrated = true,
            // Another server was faster.
            Err(_) if found > current => {}
            Err(error) if error.repetition == Repetition::Conflict && conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
        current = found;
    }
    Ok(has_migrated)
}

/// The definitions of the tables in SQLite, by name; none in PostgreSQL.
async fn tables(executor: &impl SqlExecutor) -> Result<Vec<(String, String)>, SqlError> {
    if executor.dialect() == Dialect::Postgres {
        return Ok(Vec::new());
    }
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'";
    let rows = executor.execute_all(&[Statement::new(sql, [])]).await?.into_iter().flatten();
    let table = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Text(sql)]) => Some((name, sql)),
        _ => None,
    };
    Ok(rows.filter_map(table).collect())
}

/// Whether a statement adds a column that its table has. Versions before 0.2 migrated without a transaction and may
/// have been interrupted between two columns.
fn adds_an_existing_column(sql: &str, tables: &[(String, String)]) -> bool {
    let Some((table, rest)) = sql.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" ADD COLUMN ")) else {
        return false;
    };
    let column = rest.split(' ').next().unwrap_or(rest);
    let definition = tables.iter().find(|(name, _)| name == table).map(|(_, definition)| definition);
    definition.is_some_and(|definition| definition.split([' ', ',', '(', '\n']).any(|word| word == column))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::SqliteFile;

    #[test]
    fn a_column_is_added_once() {
        let definition = "CREATE TABLE files (\n  id TEXT PRIMARY KEY,\n  etag TEXT, metadata TEXT) STRICT".to_owned();
        let tables = [("files".to_owned(), definition)];
        let adds = |sql| adds_an_existing_column(sql, &tables);
        assert!(adds("ALTER TABLE files ADD COLUMN metadata TEXT"));
        assert!(!adds("ALTER TABLE files ADD COLUMN meta TEXT"));
        assert!(!adds("ALTER TABLE mocs ADD COLUMN metadata TEXT"));
        assert!(!adds("CREATE TABLE metadata (id TEXT)"));
    }

    /// Executes statements on a new database in memory.
    fn database(name: &str, statements: &[&str]) -> SqliteFile {
        let sqlite = SqliteFile::in_memory(name).unwrap();
        for sql in statements {
            sqlite.execute_all(&[Statement::new(*sql, [])]).now_or_never().unwrap().unwrap();
        }
        sqlite
    }

    #[test]
    fn a_database_of_an_earlier_version_is_brought_up_to_date_and_keeps_its_records() {
        let [first, second, ..] = sqlite::MIGRATIONS else { panic!("two migrations") };
        let left = [
            "INSERT INTO schema_version (version) VALUES (1)",
            "INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
             VALUES ('s', 'user', 'active', 5242880, 0, 1)",
        ];
        // Version 0.1 may have been interrupted between any two statements of its second migration.
        for executed in 0..=second.len() {
            let before: Vec<&str> = first.iter().chain(&left).chain(&second[..executed]).copied().collect();
            let sqlite = database(&format!("migration-{executed}"), &before);
            migrate(&sqlite).now_or_never().unwrap().unwrap();
            assert_eq!(version(&sqlite).now_or_never().unwrap(), Ok(sqlite::MIGRATIONS.len()), "{executed} executed");
            let sql = "SELECT s.id, f.completing_at, m.thumbnail_key FROM sessions s
                LEFT JOIN files f ON f.session_id = s.id LEFT JOIN mocs m ON m.session_id = s.id";
            let rows = sqlite.execute_all(&[Statement::new(sql, [])]).now_or_never().unwrap().unwrap();
            assert_eq!(rows, [[vec![Value::Text("s".into()), Value::Null, Value::Null]]]);
            // Once it is up to date, nothing is done.
            migrate(&sqlite).now_or_never().unwrap().unwrap();
        }
    }

    /// A server of the previous version goes on working next to one of this version only as long as its statements do.
    #[test]
    fn migrations_add_and_change_nothing() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for sql in migrations(dialect).iter().copied().flatten() {
                let adds =
                    ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ", "CREATE TRIGGER ", "INSERT INTO "];
                let adds_column =
                    sql.contains(" ADD COLUMN ") && (!sql.contains("NOT NULL") || sql.contains("DEFAULT"));
                assert!(adds_column || adds.iter().any(|start| sql.starts_with(start)), "{dialect:?}: {sql}");
            }
        }
    }

    /// A value that a column takes: the first of those that it is restricted to, if it is.
    fn value(column: &str, kind: &str, definition: &str) -> String {
        let allowed = definition.split_once(&format!("({column} IN ('")).and_then(|(_, rest)| rest.split_once('\''));
        match (allowed, kind) {
            (Some((value, _)), _) => format!("'{value}'"),
            (None, "INTEGER") => "2".to_owned(),
            (None, _) => format!("'{column}'"),
        }
    }

    #[test]
    fn the_newest_schema_takes_what_a_server_of_any_earlier_version_writes() {
        let execute = |sqlite: &SqliteFile, sql: &str| {
            let results = sqlite.execute_all(&[Statement::new(sql.to_owned(), [])]).now_or_never().unwrap();
            results.unwrap_or_else(|error| panic!("{sql}: {error:?}")).remove(0)
        };
        let all: Vec<&str> = sqlite::MIGRATIONS.iter().copied().flatten().copied().collect();
        for version in 1..sqlite::MIGRATIONS.len() {
            let earlier: Vec<&str> = sqlite::MIGRATIONS[..version].iter().copied().flatten().copied().collect();
            let before = database(&format!("before-{version}"), &earlier);
            let now = database(&format!("after-{version}"), &all);
            for (table, definition) in tables(&before).now_or_never().unwrap().unwrap() {
                let columns = execute(&before, &format!("SELECT name, type FROM pragma_table_info('{table}')"));
                let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
                let columns: Vec<(String, String)> = columns
                    .iter()
                    .map(|row| (text(&row[0]), text(&row[1])))
                    .filter(|(name, _)| name != "changed_parts")
                    .collect();
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                let values: Vec<String> = columns.iter().map(|(name, kind)| value(name, kind, &definition)).collect();
                let (names, values) = (names.join(", "), values.join(", "));
                // A database has a version already.
                execute(&now, &format!("INSERT OR REPLACE INTO {table} ({names}) VALUES ({values})"));
                for (column, value) in names.split(", ").zip(values.split(", ")) {
                    execute(&now, &format!("UPDATE {table} SET {column} = {value} WHERE {column} = {value}"));
                }
                let rows = execute(&now, &format!("SELECT {names} FROM {table} WHERE ({names}) = ({values})"));
                assert!(!rows.is_empty(), "{table} of version {version}");
            }
        }
    }
}
