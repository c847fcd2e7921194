//! PostgreSQL.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::NotInstalled;
use crate::process::{POLL_INTERVAL, START_TIMEOUT, Server, find, is_root, run};

/// The superuser, who needs no password.
const USER: &str = "test";

/// A PostgreSQL server.
pub struct PostgresServer {
    server: Server,
    psql: std::path::PathBuf,
    databases: AtomicU32,
}

/// PostgreSQL does not run as root; Debian's package creates the user `postgres`.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl PostgresServer {
    /// Starts a server that takes so many connections.
    ///
    /// # Errors
    /// If PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(max_connections: u32) -> Result<Self, NotInstalled> {
        // Debian keeps the server's programs outside the search path, in a folder per version.
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let initdb = find("initdb", versions.map(|version| version.path().join("bin")));
        let initdb = initdb.ok_or("PostgreSQL is not installed (Debian: postgresql)")?;
        let server = Server::start(|folder, port| {
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(folder));
            }
            let data = folder.join("data");
            let mut create = unprivileged(&initdb);
            create.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]);
            run(create.arg(&data));
            let mut postgres = unprivileged(&initdb.with_file_name("postgres"));
            postgres.arg("-D").arg(&data).arg("-k").arg(folder).args(["-p", &port.to_string()]);
            postgres.args(["-c", &format!("max_connections={max_connections}")]);
            postgres
        });
        let psql = initdb.with_file_name("psql");
        let started = Self { server, psql, databases: AtomicU32::new(0) };
        // It accepts connections before it answers queries.
        let deadline = Instant::now() + START_TIMEOUT;
        while !started.psql("postgres", "SELECT 1").output().is_ok_and(|output| output.status.success()) {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(started)
    }

    /// The server's origin, as a grant names it.
    pub fn origin(&self) -> String {
        format!("postgres://127.0.0.1:{}", self.server.port)
    }

    /// Creates an empty database whose transactions have this isolation level unless they say otherwise, and returns
    /// its URL.
    ///
    /// # Panics
    /// If the server cannot create it.
    pub fn create_database(&self, isolation: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        self.execute("postgres", &format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"));
        format!("postgres://{USER}@127.0.0.1:{}/{name}?sslmode=disable", self.server.port)
    }

    fn execute(&self, database: &str, sql: &str) {
        run(&mut self.psql(database, sql));
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(&self.psql);
        psql.args(["-h", "127.0.0.1", "-p", &self.server.port.to_string(), "-U", USER, "-qXc", sql, database]);
        psql
    }
}
