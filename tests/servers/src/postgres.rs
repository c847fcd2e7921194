//! PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::NotInstalled;
use crate::process::{Server, find, is_root, run};

/// The superuser, who needs no password.
const USER: &str = "test";

/// A PostgreSQL server.
pub struct PostgresServer {
    server: Server,
    psql: PathBuf,
    databases: AtomicU32,
}

/// PostgreSQL does not run as root; Debian's package creates the user `postgres`. `setpriv` becomes the program, so
/// that a signal to it reaches PostgreSQL.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Whether the server of this data directory accepts connections, by the last line of its lock file.
fn is_ready(data: &Path) -> bool {
    let lock = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    lock.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}

impl PostgresServer {
    /// Starts a server with this limit of connections.
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
        let command = |folder: &Path, port: u16| {
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(folder));
            }
            let data = folder.join("data");
            let mut create = unprivileged(&initdb);
            create.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]);
            run(create.arg(&data).current_dir(folder));
            let mut postgres = unprivileged(&initdb.with_file_name("postgres"));
            postgres.arg("-D").arg(&data).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            postgres.args(["-c", "fsync=off", "-c", &format!("max_connections={max_connections}")]);
            postgres
        };
        let server = Server::start(command, |folder, _| is_ready(&folder.join("data")));
        let psql = initdb.with_file_name("psql");
        Ok(Self { server, psql, databases: AtomicU32::new(0) })
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The server's origin, as a grant names it.
    pub fn origin(&self) -> String {
        format!("postgres://127.0.0.1:{}", self.port())
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
        format!("postgres://{USER}@127.0.0.1:{}/{name}?sslmode=disable", self.port())
    }

    fn execute(&self, database: &str, sql: &str) {
        let mut psql = Command::new(&self.psql);
        psql.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", USER, "-qXc", sql, database]);
        run(&mut psql);
    }
}
