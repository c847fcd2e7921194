//! Sessions are created for a minute: by 32 clients on libSQL, and by 128 on PostgreSQL, which restarts twice.
//! Afterwards every session whose creation was acknowledged is in the database.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use moc_servers::{LibsqlServer, PostgresServer, Shutdown};
use moc_store::{Statement, Value, hrana};
use tokio_postgres::NoTls;
use url::Url;

use super::Bench;
use crate::api::{self, Api};
use crate::client::{Connection, Message, Response};
use crate::databases::{AppWork, pipeline, show_failures, variables};
use crate::load::{self, Round, Work};
use crate::report::{Figure, Goal, Report, Unit};

const LIBSQL_CLIENTS: usize = 32;
const POSTGRES_CLIENTS: usize = 128;
/// PostgreSQL's default.
const MAX_CONNECTIONS: u32 = 100;
/// Ids of one page: a response of sqld has at most 10 MB.
const PAGE: u64 = 10_000;

/// Creates sessions and keeps the ids of those that were acknowledged.
struct Creating {
    work: AppWork,
    ids: RefCell<Vec<String>>,
}

impl Creating {
    fn new(app: &Url) -> Result<Self> {
        Ok(Self { work: AppWork::create_session(app)?, ids: RefCell::default() })
    }
}

impl Work for Creating {
    fn requests(&self, connection: usize) -> Result<Vec<Message>> {
        self.work.requests(connection)
    }

    fn failure(&self, response: &Response) -> Option<String> {
        let failure = api::failure(response);
        if failure.is_some() {
            return failure;
        }
        match api::session_id(response) {
            Ok(id) => {
                self.ids.borrow_mut().push(id);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let length = bench.choose(Duration::from_mins(1), Duration::from_secs(15));
    match LibsqlServer::start() {
        Ok(server) => libsql(bench, &server, length, report).await.context("libSQL")?,
        Err(reason) => report.add(Figure::missing("endurance, libSQL", reason)),
    }
    match PostgresServer::start_durable(MAX_CONNECTIONS) {
        Ok(server) => postgres(bench, server, length, report).await.context("PostgreSQL")?,
        Err(reason) => report.add(Figure::missing("endurance, PostgreSQL", reason)),
    }
    Ok(())
}

async fn libsql(bench: &Bench, server: &LibsqlServer, length: Duration, report: &mut Report) -> Result<()> {
    let (url, name) = (server.url(), "endurance, libSQL");
    let stack = bench.stack_with(&bench.manifest, &variables(&url, &url)).await?;
    let creating = Creating::new(stack.app())?;
    let round = load::run(stack.app(), LIBSQL_CLIENTS, length, &creating).await?;
    figures(name, &round, report);
    alive(name, Api::connect(stack.app()).await?.register(1024).await.map(drop), report);

    let server = Url::parse(&url)?;
    let stored = async {
        let mut connection = Connection::open(&server).await?;
        let mut stored = BTreeSet::new();
        let mut last = String::new();
        loop {
            let sql = "SELECT id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2";
            let statement = Statement::new(sql, [Value::Text(last.clone()), PAGE.into()]);
            let response = connection.send(pipeline(&server, hrana::pipeline(&[statement]).into())?).await?;
            response.success()?;
            let rows = hrana::results(&response.body)?.into_iter().flatten().flatten();
            let page: Vec<_> = rows.filter_map(|id| if let Value::Text(id) = id { Some(id) } else { None }).collect();
            let Some(id) = page.last() else { return Ok(stored) };
            last.clone_from(id);
            stored.extend(page);
        }
    };
    lost(name, &creating, stored.await, report);
    Ok(())
}

async fn postgres(bench: &Bench, mut server: PostgresServer, length: Duration, report: &mut Report) -> Result<()> {
    let (url, origin, name) = (server.create_database("read committed"), server.origin(), "endurance, PostgreSQL");
    let stack = bench.stack_with(&bench.manifest, &variables(&url, &origin)).await?;
    let creating = Creating::new(stack.app())?;
    let load = load::run(stack.app(), POSTGRES_CLIENTS, length, &creating);
    let restarts = async {
        for shutdown in [Shutdown::Fast, Shutdown::Immediate] {
            tokio::time::sleep(length / 3).await;
            let restarting = tokio::task::spawn_blocking(move || {
                server.restart(shutdown);
                server
            });
            server = restarting.await.context("PostgreSQL does not restart")?;
        }
        Ok(server)
    };
    // The server ends when it is dropped.
    let (round, _server) = tokio::try_join!(load, restarts)?;
    figures(name, &round, report);
    alive(name, Api::connect(stack.app()).await?.register(1024).await.map(drop), report);

    let stored = async {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        let rows = client.query("SELECT id FROM sessions", &[]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    };
    lost(name, &creating, stored.await, report);
    Ok(())
}

fn figures(name: &str, round: &Round, report: &mut Report) {
    let show = |value: u32| Unit::Microseconds.show(f64::from(value));
    let latency = format!("p50 {}, p99 {}, longest {}", show(round.p50_us), show(round.p99_us), show(round.max_us));
    report.add(Figure::new(name, round.per_second, Unit::RequestsPerSecond).note(latency));
    let others = round.failures.iter().filter(|(reason, _)| *reason != api::RETRYABLE).map(|(_, count)| count);
    let title = format!("{name}: errors that are not retryable");
    let figure = Figure::new(title, others.sum::<usize>() as f64, Unit::Count).goal(Goal::Below(1.0));
    report.add(figure.note(show_failures(&round.failures)));
}

/// Whether a request succeeds afterwards.
fn alive(name: &str, result: Result<()>, report: &mut Report) {
    let figure = Figure::new(format!("{name}: alive afterwards"), f64::from(u8::from(result.is_ok())), Unit::Count);
    let note = result.err().map(|error| format!("{error:#}")).unwrap_or_default();
    report.add(figure.goal(Goal::AtLeast(1.0)).note(note));
}

/// How many sessions were acknowledged and are not in the database.
fn lost(name: &str, creating: &Creating, stored: Result<BTreeSet<String>>, report: &mut Report) {
    let title = format!("{name}: lost sessions");
    let acknowledged = creating.ids.borrow();
    report.add(match stored {
        Ok(stored) => {
            let lost = acknowledged.iter().filter(|id| !stored.contains(*id)).count();
            let note = format!("{} acknowledged, {} in the database", acknowledged.len(), stored.len());
            Figure::new(title, lost as f64, Unit::Count).goal(Goal::Below(1.0)).note(note)
        }
        Err(error) => {
            let note = format!("the database does not respond: {error:#}");
            Figure::new(title, acknowledged.len() as f64, Unit::Count).goal(Goal::Below(1.0)).note(note)
        }
    });
}
