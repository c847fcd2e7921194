//! The database of a stack, past the app: a test sets times and locks in it that would otherwise take minutes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::database_file;

/// How long a statement waits for the app's.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// Stands in `MOC_TEST_DATABASE_URL` for a name that is a stack's own.
const NAME: &str = "{n}";

/// The database that `MOC_TEST_DATABASE_URL`, `MOC_TEST_DATABASE_ORIGIN` and `MOC_TEST_DATABASE_TOKEN` name, as the
/// application's variables have it; none if the host's own SQLite file is used. `{n}` in the URL becomes the name of
/// a new database.
pub(crate) fn variables() -> Vec<(String, String)> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(template) = set("MOC_TEST_DATABASE_URL") else { return Vec::new() };
    let name = format!("moc_test_{}", uuid::Uuid::new_v4().simple());
    let url = template.replace(NAME, &name);
    if template.contains(NAME) && is_postgres(&url) {
        psql(&template.replace(NAME, "postgres"), &format!("CREATE DATABASE {name}"));
    }
    let mut variables = vec![("database_url".to_owned(), url)];
    for (name, variable) in
        [("database_origin", "MOC_TEST_DATABASE_ORIGIN"), ("database_token", "MOC_TEST_DATABASE_TOKEN")]
    {
        variables.extend(set(variable).map(|value| (name.to_owned(), value)));
    }
    variables
}

pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Runs a statement with `psql`, which the tests need only for such a database; gives what it writes.
fn psql(url: &str, statement: &str) -> String {
    let arguments = ["--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command"];
    let output = Command::new("psql").arg(url).args(arguments).arg(statement).stdin(Stdio::null()).output();
    let output = output.expect("`psql` is installed");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A database that tests can look into.
pub struct Database(Kind);

enum Kind {
    SqliteFile(PathBuf),
    Postgres(String),
}

impl Database {
    /// The database of an application with these variables and the state in this folder; none if it is of a kind
    /// that the tests cannot open.
    pub(crate) fn of(state: &Path, variables: &[(String, String)]) -> Option<Self> {
        match variables.iter().find(|(name, _)| name == "database_url") {
            None => Some(Self(Kind::SqliteFile(database_file(state)))),
            Some((_, url)) if is_postgres(url) => Some(Self(Kind::Postgres(url.clone()))),
            Some(_) => None,
        }
    }

    /// The SQLite file, for what only SQLite has.
    pub fn sqlite(&self) -> Option<rusqlite::Connection> {
        let Kind::SqliteFile(path) = &self.0 else { return None };
        // Hosts make the folder when they first need it.
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        let database = rusqlite::Connection::open(path).expect("the database opens");
        database.busy_timeout(BUSY_LIMIT).expect("a busy timeout");
        Some(database)
    }

    /// Runs one statement that changes rows; gives how many.
    pub fn execute(&self, statement: &str) -> usize {
        match &self.0 {
            Kind::SqliteFile(_) => self
                .sqlite()
                .expect("a file")
                .execute(statement, ())
                .unwrap_or_else(|error| panic!("{statement}: {error}")),
            Kind::Postgres(url) => {
                // For example `UPDATE 1`, or `INSERT 0 1`.
                let tag = psql(url, statement);
                tag.split_whitespace().next_back().and_then(|count| count.parse().ok()).expect("a count")
            }
        }
    }

    /// The columns of the first row of a query, as text, in which NULL is empty; none if there is no row.
    pub fn row(&self, query: &str) -> Option<Vec<String>> {
        use rusqlite::types::ValueRef;
        match &self.0 {
            Kind::SqliteFile(_) => {
                let database = self.sqlite().expect("a file");
                let mut statement = database.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
                let width = statement.column_count();
                let mut rows = statement.query(()).expect("rows");
                let row = rows.next().expect("a row, or none")?;
                let text = |column| match row.get_ref(column).expect("a column") {
                    ValueRef::Null => String::new(),
                    ValueRef::Integer(integer) => integer.to_string(),
                    ValueRef::Real(real) => real.to_string(),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                };
                Some((0..width).map(text).collect())
            }
            Kind::Postgres(url) => {
                let rows = psql(url, query);
                let row = rows.lines().next().filter(|row| !row.is_empty())?;
                Some(row.split('|').map(str::to_owned).collect())
            }
        }
    }

    /// The first column of [`Database::row`].
    pub fn value(&self, query: &str) -> Option<String> {
        self.row(query)?.into_iter().next()
    }
}
