//! create-session, parts of 1 KiB and get-session with SQLite, PostgreSQL and libSQL over HTTP, next to the same
//! statements sent to the servers directly, and a component that does nothing but insert a session into PostgreSQL.
//!
//! The servers flush commits to the disk, as they do by default.

mod edges;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::Method;
use moc_servers::{LibsqlServer, PostgresServer};
use moc_store::{Dialect, Statement, hrana};
use url::Url;

use super::{Bench, NO_BROADCASTER, TemporaryFile, build_component};
use crate::api::{Api, RemoteFile};
use crate::client::{Connection, message};
use crate::databases::{AppWork, LibsqlWork, NEW_ID, pipeline, show_failures, variables};
use crate::load::{self, Failures, Round};
use crate::manifest::{HELLO_ROUTE, write_with_hello};
use crate::pgbench;
use crate::report::{Figure, Goal, Report, Unit};
use crate::stack::Stack;
use crate::statements;
use crate::statistics::median;

/// The crate of the component that inserts.
const HELLO_CRATE: &str = "moc-bench-hello-postgres";
/// Connections of the load generators.
const CONNECTIONS: [usize; 4] = [1, 8, 32, 128];
/// The ones that the goals are for.
const GOAL_CONNECTIONS: usize = 32;
/// Bytes of every part.
const PART_BYTES: usize = 1024;
/// What the 99th percentile of latency must stay below, in microseconds.
const P99_LIMIT: f64 = 150_000.0;
/// What part of the direct or bare throughput the application must reach.
const RATIO: f64 = 0.8;
/// Connections of PostgreSQL: the host has a pool of 64 for each component.
const MAX_CONNECTIONS: u32 = 500;
/// Connections of the PostgreSQL that allows few.
const FEW_CONNECTIONS: u32 = 20;
/// How long the application may take to work again after it had too few connections.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);

/// How long a libSQL server may take to execute one statement without load.
const PROBE_LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    CreateSession,
    Part,
    GetSession,
}

const OPERATIONS: [Operation; 3] = [Operation::CreateSession, Operation::Part, Operation::GetSession];

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::CreateSession => "create-session",
            Self::Part => "part",
            Self::GetSession => "get-session",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Sqlite,
    Postgres,
    PostgresBare,
    PostgresDirect,
    Libsql,
    LibsqlDirect,
}

const TARGETS: [Target; 6] = [
    Target::Sqlite,
    Target::Postgres,
    Target::PostgresBare,
    Target::PostgresDirect,
    Target::Libsql,
    Target::LibsqlDirect,
];

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::PostgresBare => "PostgreSQL, bare component",
            Self::PostgresDirect => "PostgreSQL, pgbench",
            Self::Libsql => "libSQL",
            Self::LibsqlDirect => "libSQL, direct",
        }
    }
}

/// The application on one database.
struct App {
    stack: Stack,
    /// As many as the most connections: a connection has a file of its own.
    files: Vec<RemoteFile>,
}

impl App {
    async fn start(bench: &Bench, manifest: &std::path::Path, variables: &[(&str, &str)]) -> Result<Self> {
        let stack = bench.stack_with(manifest, variables).await?;
        let mut api = Api::connect(stack.app()).await?;
        let mut files = Vec::new();
        for _ in 0..CONNECTIONS.into_iter().max().unwrap_or(1) {
            files.push(api.register(PART_BYTES).await?);
        }
        Ok(Self { stack, files })
    }

    fn work(&self, operation: Operation) -> Result<AppWork> {
        let app = self.stack.app();
        match operation {
            Operation::CreateSession => AppWork::create_session(app),
            Operation::Part => AppWork::part(app, &self.files, &part()),
            Operation::GetSession => AppWork::get_session(app, &self.files),
        }
    }

    async fn run(&self, operation: Operation, connections: usize, length: Duration) -> Result<Round> {
        let round = load::run(self.stack.app(), connections, length, &self.work(operation)?).await;
        self.stack.truncate_log()?;
        round
    }

    /// The statements of an operation on each of so many files.
    async fn statements(
        &self,
        dialect: Dialect,
        operation: Operation,
        connections: usize,
    ) -> Result<Vec<Vec<Statement<'static>>>> {
        let mut lists = Vec::new();
        for file in self.files.iter().take(connections) {
            lists.push(match operation {
                Operation::CreateSession => statements::create_session(dialect, NEW_ID).await?,
                Operation::Part => statements::part(dialect, file, PART_BYTES as u64).await?,
                Operation::GetSession => statements::get_session(dialect, file).await?,
            });
        }
        Ok(lists)
    }
}

struct Postgres {
    server: PostgresServer,
    url: String,
    app: App,
}

impl Postgres {
    async fn direct(&self, operation: Operation, connections: usize, length: Duration) -> Result<Round> {
        let lists = self.app.statements(Dialect::Postgres, operation, connections).await?;
        let script = |list: &Vec<_>| pgbench::script(list, &[(NEW_ID, "CAST(gen_random_uuid() AS TEXT)")]);
        let mut scripts: Vec<_> = lists.iter().map(script).collect();
        scripts.dedup();
        pgbench::run(&self.server.program("pgbench"), &self.url, connections, length, &scripts).await
    }

    async fn bare(&self, connections: usize, length: Duration) -> Result<Round> {
        let app = self.app.stack.app();
        let request = AppWork(vec![message(app, Method::GET, HELLO_ROUTE, Bytes::new())?]);
        let round = load::run(app, connections, length, &request).await;
        self.app.stack.truncate_log()?;
        round
    }
}

struct Libsql {
    _server: LibsqlServer,
    url: Url,
    app: App,
    next_id: Cell<u64>,
    /// Whether the server has stopped to respond: then every further round would only wait.
    is_silent: Cell<bool>,
}

impl Libsql {
    /// One round; `None` once the server is silent.
    async fn run(
        &self,
        target: Target,
        operation: Operation,
        connections: usize,
        length: Duration,
    ) -> Result<Option<Round>> {
        if self.is_silent.get() {
            return Ok(None);
        }
        let round = match target {
            Target::Libsql => self.app.run(operation, connections, length).await?,
            _ => self.direct(operation, connections, length).await?,
        };
        if round.per_second == 0.0 || round.failures.contains_key(load::NO_RESPONSE) {
            self.is_silent.set(!responds(&self.url).await);
        }
        Ok(Some(round))
    }

    async fn direct(&self, operation: Operation, connections: usize, length: Duration) -> Result<Round> {
        let lists = self.app.statements(Dialect::Sqlite, operation, connections).await?;
        let work = LibsqlWork::new(&self.url, &lists, self.next_id.get())?;
        let round = load::run(&self.url, connections, length, &work).await;
        self.next_id.set(work.next_id());
        round
    }
}

/// All targets that are installed.
struct Setup {
    sqlite: App,
    postgres: Result<Postgres, &'static str>,
    libsql: Result<Libsql, &'static str>,
}

impl Setup {
    async fn start(bench: &Bench, manifest: &std::path::Path) -> Result<Self> {
        let sqlite = App::start(bench, manifest, &NO_BROADCASTER).await?;
        let postgres = match PostgresServer::start_durable(MAX_CONNECTIONS) {
            Ok(server) => {
                let (url, origin) = (server.create_database("read committed"), server.origin());
                let app = App::start(bench, manifest, &variables(&url, &origin)).await?;
                Ok(Postgres { server, url, app })
            }
            Err(reason) => Err(reason),
        };
        let libsql = match LibsqlServer::start() {
            Ok(server) => {
                let url = server.url();
                let app = App::start(bench, manifest, &variables(&url, &url)).await?;
                Ok(Libsql {
                    _server: server,
                    url: Url::parse(&url)?,
                    app,
                    next_id: Cell::new(0),
                    is_silent: Cell::new(false),
                })
            }
            Err(reason) => Err(reason),
        };
        Ok(Self { sqlite, postgres, libsql })
    }

    /// One round; `None` where the target is not installed or has no such operation.
    async fn run(
        &self,
        target: Target,
        operation: Operation,
        connections: usize,
        length: Duration,
    ) -> Result<Option<Round>> {
        let (postgres, libsql) = (self.postgres.as_ref().ok(), self.libsql.as_ref().ok());
        Ok(match (target, postgres, libsql) {
            (Target::Sqlite, ..) => Some(self.sqlite.run(operation, connections, length).await?),
            (Target::Postgres, Some(postgres), _) => Some(postgres.app.run(operation, connections, length).await?),
            (Target::PostgresBare, Some(postgres), _) if operation == Operation::CreateSession => {
                Some(postgres.bare(connections, length).await?)
            }
            (Target::PostgresDirect, Some(postgres), _) => Some(postgres.direct(operation, connections, length).await?),
            (Target::Libsql | Target::LibsqlDirect, _, Some(libsql)) => {
                libsql.run(target, operation, connections, length).await?
            }
            _ => None,
        })
    }
}

type Cells = BTreeMap<(Operation, usize, Target), Vec<Round>>;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let hello: PathBuf = match &bench.hello_postgres {
        Some(hello) => hello.clone(),
        None => build_component(&bench.manifest, HELLO_CRATE).await?,
    };
    let copy = TemporaryFile(bench.state.join(format!("moc-bench-{}.toml", std::process::id())));
    write_with_hello(&bench.manifest, &hello, &copy.0)?;
    let setup = Setup::start(bench, &copy.0).await?;

    let (rounds, length) = bench.choose((3, Duration::from_secs(2)), (1, Duration::from_secs(1)));
    let mut cells = Cells::new();
    for _ in 0..rounds {
        for operation in OPERATIONS {
            for connections in CONNECTIONS {
                for target in TARGETS {
                    let round = setup.run(target, operation, connections, length).await;
                    let round = round.with_context(|| name(operation, connections, target))?;
                    cells.entry((operation, connections, target)).or_default().extend(round);
                }
            }
        }
    }
    for (&(operation, connections, target), rounds) in cells.iter().filter(|(_, rounds)| !rounds.is_empty()) {
        report.add(cell(name(operation, connections, target), rounds));
    }
    for reason in [setup.postgres.as_ref().err(), setup.libsql.as_ref().err()].into_iter().flatten() {
        report.add(Figure::missing("database", reason));
    }
    if let Ok(libsql) = &setup.libsql {
        let silent = f64::from(u8::from(libsql.is_silent.get()));
        let figure = Figure::new("libSQL: the server has stopped to respond", silent, Unit::Count);
        report.add(figure.goal(Goal::Below(1.0)));
    }
    goals(&cells, report);
    edges::one_file(&setup, length, report).await?;
    if let Ok(postgres) = &setup.postgres {
        edges::two_hosts(bench, &copy.0, postgres, length, report).await?;
        edges::few_connections(bench, &copy.0, length, report).await?;
    }
    Ok(())
}

/// Whether a libSQL server executes a statement that changes nothing.
async fn responds(server: &Url) -> bool {
    let attempt = async {
        let body = hrana::pipeline(&[Statement::new("DELETE FROM sessions WHERE id = ''", [])]);
        Connection::open(server).await?.send(pipeline(server, body.into())?).await?.success()
    };
    tokio::time::timeout(PROBE_LIMIT, attempt).await.is_ok_and(|result| result.is_ok())
}

fn part() -> Bytes {
    Bytes::from(vec![b'x'; PART_BYTES])
}

fn name(operation: Operation, connections: usize, target: Target) -> String {
    format!("{}, {connections} connections, {}", operation.name(), target.name())
}

fn failures<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> Failures {
    let mut all = Failures::new();
    for (reason, count) in rounds.into_iter().flat_map(|round| &round.failures) {
        *all.entry(reason.clone()).or_default() += count;
    }
    all
}

fn cell(name: String, rounds: &[Round]) -> Figure {
    let per_second = median(rounds.iter().map(|round| round.per_second));
    let p50 = median(rounds.iter().map(|round| f64::from(round.p50_us)));
    let p99 = median(rounds.iter().map(|round| f64::from(round.p99_us)));
    let max = rounds.iter().map(|round| round.max_us).max().unwrap_or(0);
    let show = |value| Unit::Microseconds.show(value);
    let failures = failures(rounds);
    let note = format!("p50 {}, p99 {}, {}", show(p50), show(p99), show_failures(&failures));
    let all: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
    Figure::new(name, per_second, Unit::RequestsPerSecond)
        .note(note)
        .detail("requestsPerSecond", all)
        .detail("p50Us", p50)
        .detail("p99Us", p99)
        .detail("maxUs", max)
        .detail("failures", serde_json::json!(failures))
}

/// The goals at [`GOAL_CONNECTIONS`], and that the most connections do not fail either.
fn goals(cells: &Cells, report: &mut Report) {
    let rounds = |operation, connections, target| cells.get(&(operation, connections, target)).map_or(&[][..], |r| r);
    for target in [Target::Sqlite, Target::Postgres, Target::Libsql] {
        let at = |limit| {
            let keys = move |(operation, connections, of): &(Operation, usize, Target)| {
                (*of == target && *connections == limit).then_some((*operation, *connections))
            };
            let found = cells
                .keys()
                .filter_map(keys)
                .flat_map(|(operation, connections)| rounds(operation, connections, target));
            found.collect::<Vec<_>>()
        };
        for connections in [GOAL_CONNECTIONS, 128] {
            let all = at(connections);
            if all.is_empty() {
                continue;
            }
            let failures = failures(all.iter().copied());
            let count: usize = failures.values().sum();
            let title = format!("{}, {connections} connections: errors", target.name());
            let figure = Figure::new(title, count as f64, Unit::Count).goal(Goal::Below(1.0));
            report.add(figure.note(show_failures(&failures)));
        }
    }
    for target in [Target::Sqlite, Target::Postgres, Target::Libsql] {
        for operation in OPERATIONS {
            let rounds = rounds(operation, GOAL_CONNECTIONS, target);
            if !rounds.is_empty() {
                let p99 = median(rounds.iter().map(|round| f64::from(round.p99_us)));
                let title = format!("{}: p99", name(operation, GOAL_CONNECTIONS, target));
                report.add(Figure::new(title, p99, Unit::Microseconds).goal(Goal::Below(P99_LIMIT)));
            }
        }
    }
    let mut ratio = |operation, target: Target, base: Target, goal| {
        let pairs = rounds(operation, GOAL_CONNECTIONS, target).iter().zip(rounds(operation, GOAL_CONNECTIONS, base));
        let ratios: Vec<f64> = pairs.map(|(one, other)| one.per_second / other.per_second).collect();
        if ratios.is_empty() {
            return;
        }
        let title = format!("{} / {}", name(operation, GOAL_CONNECTIONS, target), base.name());
        let figure = Figure::new(title, median(ratios.iter().copied()), Unit::Ratio).detail("ratios", ratios);
        report.add(match goal {
            Some(goal) => figure.goal(Goal::AtLeast(goal)),
            None => figure,
        });
    };
    ratio(Operation::CreateSession, Target::Postgres, Target::PostgresBare, Some(RATIO));
    ratio(Operation::CreateSession, Target::Libsql, Target::LibsqlDirect, Some(RATIO));
    ratio(Operation::GetSession, Target::Libsql, Target::LibsqlDirect, Some(RATIO));
    // A part is also a request to S3, which the statements alone are not.
    ratio(Operation::Part, Target::Libsql, Target::LibsqlDirect, None);
    for operation in OPERATIONS {
        ratio(operation, Target::Postgres, Target::PostgresDirect, None);
    }
}
