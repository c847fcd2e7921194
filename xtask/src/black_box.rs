//! The black-box tests on each kind of host, over each kind of database.

use anyhow::{Result, bail};
use clap::ValueEnum;
use moc_servers::{LibsqlServer, PostgresServer};

use crate::build::{self, Target};
use crate::process;
use crate::project::Project;
use crate::python;
use crate::test::{BLACK_BOX_TESTS, StepResult, WAITING_TESTS};

/// Say to the tests which host they start, and over which database.
const TEST_HOST: &str = "MOC_TEST_HOST";
const TEST_DATABASE: &str = "MOC_TEST_DATABASE";

/// What runs the application.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Host {
    /// The local host
    Local,
    /// `spin up`
    Spin,
    /// The local host under the limits of Akamai Functions
    Akamai,
    /// The local host, with the application as one component
    Wasi,
    /// `wasmtime serve`, with the application as one component
    Wasmtime,
}

/// Where the application keeps its sessions.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Database {
    Sqlite,
    Postgres,
    Libsql,
}

/// The hosts and databases of the whole test run, besides the local host over SQLite. Those over libSQL are not among
/// them: under the load of all tests its server now and then stops responding.
pub const OTHERS: [(&str, Host, Database); 1] =
    [("black-box tests under the limits of Akamai Functions, over PostgreSQL", Host::Akamai, Database::Postgres)];

impl Host {
    fn database(self) -> Database {
        match self {
            Self::Local | Self::Spin => Database::Sqlite,
            Self::Akamai => Database::Postgres,
            Self::Wasi | Self::Wasmtime => Database::Libsql,
        }
    }

    fn check(self) -> Result<(), &'static str> {
        match self {
            Self::Spin if !process::is_installed("spin") => {
                Err("the `spin` command is not installed: see https://spinframework.dev/install")
            }
            Self::Wasmtime if !process::is_installed("wasmtime") => {
                Err("the `wasmtime` command is not installed: see https://wasmtime.dev")
            }
            _ => Ok(()),
        }
    }
}

impl Database {
    fn check(self) -> Result<(), &'static str> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => PostgresServer::find(),
            Self::Libsql => LibsqlServer::find(),
        }
    }
}

/// Builds what this host runs.
pub fn build(project: &Project, host: Host) -> Result<StepResult> {
    match host {
        Host::Local | Host::Spin => build::components(project, Target::Spin)?,
        Host::Akamai => build::components(project, Target::Akamai)?,
        Host::Wasi | Host::Wasmtime => build::components(project, Target::Wasi)?,
    }
    Ok(StepResult::Passed)
}

/// Runs the tests on this host, which must be installed, as must the server of the database.
pub fn run(project: &Project, host: Host, database: Option<Database>) -> Result<StepResult> {
    match run_if_installed(project, host, database.unwrap_or_else(|| host.database()))? {
        StepResult::Skipped(reason) => bail!("{reason}"),
        passed => Ok(passed),
    }
}

/// As [`run`], but skipped where something is not installed. On CI nothing may be skipped.
pub fn run_if_installed(project: &Project, host: Host, database: Database) -> Result<StepResult> {
    if database == Database::Libsql && python::is_available() {
        python::install(project)?;
    }
    if let Err(reason) = host.check().and_then(|()| database.check()) {
        if crate::is_ci() {
            bail!("on CI nothing may be skipped: {reason}");
        }
        return Ok(StepResult::Skipped(reason));
    }
    let mut cargo = build::for_native_crates(project, "test")?;
    cargo.args(["--test", BLACK_BOX_TESTS, "--", WAITING_TESTS]);
    cargo.env(TEST_HOST, name(&host)).env(TEST_DATABASE, name(&database));
    process::run("black-box tests", &mut cargo)?;
    Ok(StepResult::Passed)
}

/// As the option and the tests have it.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
