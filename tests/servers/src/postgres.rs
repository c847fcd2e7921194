//! PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::NotInstalled;
use crate::process::{Server, find, is_root, run};

/// The data directory, in the server's folder.
const DATA: &str = "data";
/// The superuser, who needs no password.
const USER: &str = "test";

/// How PostgreSQL shuts down ([modes](https://www.postgresql.org/docs/current/server-shutdown.html)).
#[derive(Clone, Copy, Debug)]
pub enum Shutdown {
    /// Rolls running transactions back and closes all connections.
    Fast,
    /// Like a crash: the next start recovers from the write-ahead log.
    Immediate,
}

/// A PostgreSQL server.
pub struct PostgresServer {
    server: Server,
    programs: PathBuf,
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

/// The program that creates a server's files. Debian keeps it outside the search path, in a folder per version.
fn initdb() -> Result<PathBuf, NotInstalled> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let initdb = find("initdb", versions.map(|version| version.path().join("bin")));
    initdb.ok_or("PostgreSQL is not installed (Debian: postgresql)")
}

/// The process id of the server in this folder, if it accepts connections, by the last line of its lock file.
fn ready_process(folder: &Path) -> Option<String> {
    let lock = std::fs::read_to_string(folder.join(DATA).join("postmaster.pid")).ok()?;
    let mut lines = lock.lines();
    let process = lines.next()?.to_owned();
    (lines.nth(6)?.trim() == "ready").then_some(process)
}

impl PostgresServer {
    /// Starts a server with this limit of connections, which loses data if the machine fails and keeps its log small:
    /// for tests.
    ///
    /// # Errors
    /// If PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(max_connections: u32) -> Result<Self, NotInstalled> {
        Self::start_with(
            max_connections,
            &["fsync=off", "wal_level=minimal", "max_wal_senders=0", "min_wal_size=32MB", "max_wal_size=64MB"],
        )
    }

    /// Starts a server with this limit of connections, which flushes every commit to the disk: for measurements.
    ///
    /// # Errors
    /// If PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_durable(max_connections: u32) -> Result<Self, NotInstalled> {
        Self::start_with(max_connections, &[])
    }

    /// Whether it is installed.
    ///
    /// # Errors
    /// If it is not.
    pub fn find() -> Result<(), NotInstalled> {
        initdb().map(drop)
    }

    fn start_with(max_connections: u32, settings: &[&str]) -> Result<Self, NotInstalled> {
        let initdb = initdb()?;
        let command = |folder: &Path, port: u16| {
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(folder));
            }
            let data = folder.join(DATA);
            let mut create = unprivileged(&initdb);
            create.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]);
            run(create.arg(&data).current_dir(folder));
            let mut postgres = unprivileged(&initdb.with_file_name("postgres"));
            postgres.arg("-D").arg(&data).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            postgres.args(["-c", &format!("max_connections={max_connections}")]);
            postgres.args(settings.iter().flat_map(|setting| ["-c", setting]));
            postgres
        };
        let server = Server::start("INT", command, |folder, _| ready_process(folder).is_some());
        let programs = initdb.with_file_name("");
        Ok(Self { server, programs, databases: AtomicU32::new(0) })
    }

    /// Shuts the server down and starts it again.
    ///
    /// # Panics
    /// If it does not start again.
    pub fn restart(&mut self, shutdown: Shutdown) {
        let signal = match shutdown {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        let before = ready_process(&self.server.folder);
        self.server.restart(signal, |folder, _| {
            let now = ready_process(folder);
            now.is_some() && now != before
        });
    }

    /// The path of a program that belongs to this version of PostgreSQL, for example `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
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

    /// Deletes the database of this URL, and ends its connections.
    ///
    /// # Panics
    /// If the server cannot delete it.
    pub fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap_or_default();
        self.execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }

    fn execute(&self, database: &str, sql: &str) {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", USER, "-qXc", sql, database]);
        run(&mut psql);
    }
}
