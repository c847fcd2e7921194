//! Where it gets tight: one row for all connections, two hosts on one database, fewer connections than clients.

use std::time::{Duration, Instant};

use anyhow::Result;
use moc_servers::PostgresServer;

use super::{App, FEW_CONNECTIONS, GOAL_CONNECTIONS, OPERATIONS, Operation, PART_BYTES, Postgres, RECOVERY_LIMIT};
use super::{Setup, Target, cell, failures, name, part};
use crate::api::{self, Api};
use crate::client::Connection;
use crate::databases::{AppWork, show_failures, variables};
use crate::load;
use crate::measurement::Bench;
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::median;

/// All connections send one part of one file, whose row is the same for all.
pub async fn one_file(setup: &Setup, length: Duration, report: &mut Report) -> Result<()> {
    let apps = [
        (Target::Sqlite, Some(&setup.sqlite)),
        (Target::Postgres, setup.postgres.as_ref().ok().map(|postgres| &postgres.app)),
        (Target::Libsql, setup.libsql.as_ref().ok().filter(|libsql| !libsql.is_silent.get()).map(|libsql| &libsql.app)),
    ];
    for (target, app) in apps {
        let Some(app) = app else { continue };
        let work = AppWork::part(app.stack.app(), app.files.get(..1).unwrap_or_default(), &part())?;
        let round = load::run(app.stack.app(), GOAL_CONNECTIONS, length, &work).await?;
        report.add(cell(format!("{} of one file", name(Operation::Part, GOAL_CONNECTIONS, target)), &[round]));
    }
    Ok(())
}

/// The same connections on one host and divided between two.
pub async fn two_hosts(
    bench: &Bench,
    manifest: &std::path::Path,
    postgres: &Postgres,
    length: Duration,
    report: &mut Report,
) -> Result<()> {
    let origin = postgres.server.origin();
    let second = bench.stack_with(manifest, &variables(&postgres.url, &origin)).await?;
    let (first, second) = (postgres.app.stack.app(), second.app());
    let works = [AppWork::create_session(first)?, AppWork::create_session(second)?];
    let [first_work, second_work] = &works;
    load::run(second, GOAL_CONNECTIONS, Duration::from_millis(500), second_work).await?;
    let mut ratios = Vec::new();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..bench.choose(3, 1) {
        let alone = load::run(first, 2 * GOAL_CONNECTIONS, length, first_work).await?;
        let together = tokio::try_join!(
            load::run(first, GOAL_CONNECTIONS, length, first_work),
            load::run(second, GOAL_CONNECTIONS, length, second_work),
        )?;
        ratios.push((together.0.per_second + together.1.per_second) / alone.per_second);
        one.push(alone);
        two.extend([together.0, together.1]);
    }
    let failures = failures(one.iter().chain(&two));
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let note = format!(
        "on {processors} processors; one host {}; {}",
        { Unit::RequestsPerSecond.show(median(one.iter().map(|round| round.per_second))) },
        show_failures(&failures)
    );
    let figure = Figure::new("create-session, PostgreSQL: two hosts / one", median(ratios), Unit::Ratio);
    report.add(figure.note(note));
    Ok(())
}

/// More clients than PostgreSQL has connections: only successes and requests to retry, and the application works
/// again afterwards.
pub async fn few_connections(
    bench: &Bench,
    manifest: &std::path::Path,
    length: Duration,
    report: &mut Report,
) -> Result<()> {
    let Ok(server) = PostgresServer::start_durable(FEW_CONNECTIONS) else { return Ok(()) };
    let (url, origin) = (server.create_database("read committed"), server.origin());
    let app = App::start(bench, manifest, &variables(&url, &origin)).await?;
    let mut others = 0;
    for operation in OPERATIONS {
        let round = app.run(operation, 128, length).await?;
        others += round
            .failures
            .iter()
            .filter(|(reason, _)| *reason != api::RETRYABLE)
            .map(|(_, count)| count)
            .sum::<usize>();
        let title = format!("{}, 128 connections, PostgreSQL with {FEW_CONNECTIONS}", operation.name());
        report.add(cell(title, &[round]));
    }
    let title = format!("PostgreSQL with {FEW_CONNECTIONS} connections: errors that are not retryable");
    report.add(Figure::new(title, others as f64, Unit::Count).goal(Goal::Below(1.0)));

    let started = Instant::now();
    let mut attempts = 0;
    let result = loop {
        attempts += 1;
        let result = works(&app).await;
        if result.is_ok() || started.elapsed() > RECOVERY_LIMIT {
            break result;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let title = format!("PostgreSQL with {FEW_CONNECTIONS} connections: works again after");
    let note = match &result {
        Ok(()) => format!("{attempts} attempts"),
        Err(error) => format!("it does not: {error:#}"),
    };
    let figure = Figure::new(title, started.elapsed().as_secs_f64() * 1e6, Unit::Microseconds);
    report.add(figure.goal(Goal::Below(RECOVERY_LIMIT.as_secs_f64() * 1e6)).note(note));
    Ok(())
}

/// Each of the measured routes, once.
async fn works(app: &App) -> Result<()> {
    let origin = app.stack.app();
    let mut api = Api::connect(origin).await?;
    let file = api.register(PART_BYTES).await?;
    let mut connection = Connection::open(origin).await?;
    for request in [api::put_part(origin, &file, 1, part())?, api::get_session(origin, &file.session)?] {
        connection.send(request).await?.success()?;
    }
    Ok(())
}
