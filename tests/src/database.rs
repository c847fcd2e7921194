//! The database of a stack, past the app: a test sets times and locks in it that would otherwise take minutes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use moc_servers::{LibsqlServer, PostgresServer};
use serde_json::{Value, json};

use crate::host::database_file;
use crate::host_kind::HostKind;

/// How long a statement waits for the app's.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// Stands in `MOC_TEST_DATABASE_URL` for a name that is a stack's own.
const NAME: &str = "{n}";
/// More than the pools of all hosts together open.
const MAX_CONNECTIONS: u32 = 1000;

/// The database of a stack and of the hosts next to it, and the server that ends with them.
#[derive(Default)]
pub(crate) struct Provided {
    /// As the application has them; none if the host's own SQLite file is used.
    pub(crate) variables: Vec<(String, String)>,
    _server: Option<LibsqlServer>,
    _created: Option<Created>,
}

/// A database of the tests' PostgreSQL. Dropping it deletes it: an empty one has 8 MB.
struct Created {
    server: &'static PostgresServer,
    url: String,
}

impl Drop for Created {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.drop_database(&self.url);
        }
    }
}

/// An empty database: as `MOC_TEST_DATABASE_URL`, `MOC_TEST_DATABASE_ORIGIN` and `MOC_TEST_DATABASE_TOKEN` name it,
/// otherwise in a server of the tests, of the kind `MOC_TEST_DATABASE`.
pub(crate) fn provide() -> Provided {
    if let Some(template) = set("MOC_TEST_DATABASE_URL") {
        return Provided { variables: named(&template), ..Provided::default() };
    }
    let variables =
        |url: String, origin: String| vec![("database_url".to_owned(), url), ("database_origin".to_owned(), origin)];
    match &*kind() {
        "sqlite" => Provided::default(),
        "postgres" => {
            static SERVER: OnceLock<PostgresServer> = OnceLock::new();
            let server = SERVER
                .get_or_init(|| PostgresServer::start(MAX_CONNECTIONS).unwrap_or_else(|reason| panic!("{reason}")));
            let url = server.create_database("read committed");
            let variables = variables(url.clone(), server.origin());
            Provided { variables, _created: Some(Created { server, url }), ..Provided::default() }
        }
        "libsql" => {
            let server = LibsqlServer::start().unwrap_or_else(|reason| panic!("{reason}"));
            let variables = variables(server.url(), server.url());
            Provided { variables, _server: Some(server), ..Provided::default() }
        }
        other => panic!("MOC_TEST_DATABASE must be sqlite, postgres or libsql, not {other}"),
    }
}

/// The kind of database that the tests' hosts have, where no URL names one.
fn kind() -> String {
    set("MOC_TEST_DATABASE").unwrap_or_else(|| HostKind::chosen().database().to_owned())
}

/// Whether the tests' hosts have a SQLite file of their own.
pub(crate) fn is_sqlite() -> bool {
    set("MOC_TEST_DATABASE_URL").is_none() && kind() == "sqlite"
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The database of this URL, in which `{n}` becomes the name of a new one.
fn named(template: &str) -> Vec<(String, String)> {
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

fn is_postgres(url: &str) -> bool {
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

/// Runs a statement in a libSQL server of this machine, over HTTP 1.0, in which a response ends with its connection;
/// gives the result, as
/// [Hrana](https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md) describes it.
fn hrana(origin: &str, statement: &str) -> Value {
    let requests = [json!({ "type": "execute", "stmt": { "sql": statement } }), json!({ "type": "close" })];
    let body = json!({ "requests": requests }).to_string();
    let address = origin.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("the database server accepts connections");
    let request = format!(
        "POST /v2/pipeline HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((request + &body).as_bytes()).expect("it reads the request");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it responds");
    let json = response.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str::<Value>(body).ok());
    let result = json.map(|mut json| json["results"][0].take()).unwrap_or_default();
    assert_eq!(result["type"], "ok", "{statement}: {response}");
    result["response"]["result"].clone()
}

/// A database that tests can look into.
pub struct Database(Kind);

enum Kind {
    SqliteFile(PathBuf),
    Postgres(String),
    LibSql(String),
}

impl Database {
    /// The database of an application with these variables and the state in this folder.
    pub(crate) fn of(state: &Path, variables: &[(String, String)]) -> Self {
        Self(match variables.iter().find(|(name, _)| name == "database_url") {
            None => Kind::SqliteFile(database_file(state)),
            Some((_, url)) if is_postgres(url) => Kind::Postgres(url.clone()),
            Some((_, url)) => Kind::LibSql(url.clone()),
        })
    }

    /// The section of the documentation that this kind of database has, and the variable in its commands with its value.
    pub(crate) fn documented(&self) -> (&'static str, &'static str, String) {
        match &self.0 {
            Kind::SqliteFile(path) => ("SQLite", "DATABASE_FILE", path.display().to_string()),
            Kind::Postgres(url) => ("PostgreSQL", "DATABASE_URL", url.clone()),
            Kind::LibSql(url) => ("libSQL", "DATABASE_URL", url.trim_end_matches('/').to_owned()),
        }
    }

    /// Whether [`Database::of`] can open the database of the tests' hosts.
    pub(crate) fn can_be_opened() -> bool {
        // A server elsewhere may want TLS and a token.
        set("MOC_TEST_DATABASE_URL").is_none_or(|url| is_postgres(&url))
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
            Kind::LibSql(url) => {
                let changed = hrana(url, statement)["affected_row_count"].as_u64().expect("a count");
                changed.try_into().expect("a small count")
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
            Kind::LibSql(url) => {
                let result = hrana(url, query);
                // NULL has no value, and a real number is one in JSON.
                let text = |value: &Value| match &value["value"] {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                Some(result["rows"].get(0)?.as_array().expect("columns").iter().map(text).collect())
            }
        }
    }

    /// The first column of [`Database::row`].
    pub fn value(&self, query: &str) -> Option<String> {
        self.row(query)?.into_iter().next()
    }
}
