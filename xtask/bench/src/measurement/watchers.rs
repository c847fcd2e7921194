//! What those cost who watch their uploads by server-sent events, and what they get.
//!
//! Each watches a session of its own, which is what costs most; the last row is about one session that all watch.
//! Meanwhile one client sends parts to a session that is watched, several a second, also where nobody watches: that load
//! is in every row.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue};
use moc_servers::PostgresServer;
use tokio::task::{JoinSet, LocalSet};
use url::Url;

use super::{Bench, capacity};
use crate::api::{self, RemoteFile};
use crate::client::{Connection, message};
use crate::counting::PostgresProxy;
use crate::process_cpu::cpu_time;
use crate::process_memory::resident_bytes;
use crate::report::{Figure, Report, Unit};
use crate::stack::Stack;
use crate::statistics::percentile;

/// Connections that PostgreSQL allows.
const MAX_CONNECTIONS: u32 = 200;
/// Watchers, and whether each has a session of its own.
const ROWS: [(usize, bool); 5] = [(0, true), (1, true), (100, true), (1_000, true), (1_000, false)];
/// Bytes of the part that is sent again and again.
const PART_BYTES: usize = 1 << 10;
/// Pause between two parts.
const PART_PAUSE: Duration = Duration::from_millis(230);
/// From the last connection until the measurement begins.
const SETTLING: Duration = Duration::from_secs(3);

/// The numbers of the states that a watcher got, and when.
type Seen = Rc<RefCell<Vec<(u64, Instant)>>>;

/// What is measured of one number of watchers.
struct Row {
    watchers: usize,
    has_own_sessions: bool,
    memory_bytes: u64,
    cpu_seconds_a_minute: f64,
    statements_a_second: f64,
    /// In microseconds, sorted: from the response to a part until its state arrives.
    news: Vec<u32>,
    /// The same of the part route.
    parts: Vec<u32>,
}

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = match PostgresServer::start_durable(MAX_CONNECTIONS) {
        Ok(server) => server,
        Err(reason) => {
            report.add(Figure::missing("watchers", reason));
            return Ok(());
        }
    };
    let mut rows = Vec::new();
    for (watchers, has_own_sessions) in ROWS {
        let database = PostgresProxy::start(server.port()).await?;
        let through = |url: String| url.replace(&server.port().to_string(), &database.port.to_string());
        let (url, origin) = (through(server.create_database("read committed")), through(server.origin()));
        let variables = [
            ("WEBSOCKET_API_URL", ""),
            ("EVENTS_MAX_SECONDS", "600"),
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_ORIGIN", origin.as_str()),
        ];
        let stack = bench.stack_with(&bench.manifest, &variables).await?;
        let measuring = row(bench, &stack, &database, watchers, has_own_sessions);
        let row = LocalSet::new().run_until(measuring).await;
        rows.push(row.with_context(|| format!("{watchers} watchers"))?);
    }
    show(&rows, report);
    Ok(())
}

async fn row(
    bench: &Bench,
    stack: &Stack,
    database: &PostgresProxy,
    watchers: usize,
    has_own_sessions: bool,
) -> Result<Row> {
    let (app, pid) = (stack.app(), stack.process_id()?);
    let mut connection = Connection::open(app).await?;
    // The first requests make the schema and compile nothing anew.
    let (file, first) = register(&mut connection, app).await?;
    let part = api::put_part(app, &file, 1, Bytes::from(vec![b'x'; PART_BYTES]))?;
    connection.send(part.clone()).await?.success()?;
    let memory_before = resident_bytes(pid)?;
    let seen = Seen::default();
    let mut streams = JoinSet::new();
    for number in 0..watchers {
        let url = match number {
            0 => first.clone(),
            _ if has_own_sessions => register(&mut connection, app).await?.1,
            _ => first.clone(),
        };
        let body = watch(app, &url).await?;
        let seen = if number == 0 { Rc::clone(&seen) } else { Seen::default() };
        streams.spawn_local(read(body, seen));
    }
    tokio::time::sleep(SETTLING).await;
    let memory_bytes = resident_bytes(pid)?.saturating_sub(memory_before);
    stack.truncate_log()?;

    let (cpu, statements, began) = (cpu_time(pid)?, database.statements(), Instant::now());
    let (mut sent, mut parts) = (Vec::new(), Vec::new());
    while began.elapsed() < bench.choose(Duration::from_secs(30), Duration::from_secs(10)) {
        let start = Instant::now();
        connection.send(part.clone()).await?.success()?;
        parts.push(micros(start.elapsed()));
        sent.push(Instant::now());
        tokio::time::sleep(PART_PAUSE).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu_seconds_a_minute = (cpu_time(pid)? - cpu).as_secs_f64() / seconds * 60.0;
    let statements_a_second = (database.statements() - statements) as f64 / seconds;
    // The last part's state may still be on its way.
    tokio::time::sleep(SETTLING).await;
    let mut news = latencies(&seen.borrow(), &sent);
    news.sort_unstable();
    parts.sort_unstable();
    Ok(Row { watchers, has_own_sessions, memory_bytes, cpu_seconds_a_minute, statements_a_second, news, parts })
}

/// A session with one file, and its `eventsUrl`.
async fn register(connection: &mut Connection, app: &Url) -> Result<(RemoteFile, String)> {
    let created = connection.send(api::create_session(app, PART_BYTES)?).await?;
    let session = api::session_id(&created)?;
    let registered = connection.send(capacity::register(app, &session, "castle.pdf", PART_BYTES)?).await?.json()?;
    let id = registered.get("fileId").and_then(|id| id.as_str()).context("a response has no fileId")?.to_owned();
    let url = created.json()?.get("eventsUrl").and_then(|url| url.as_str()).context("no eventsUrl")?.to_owned();
    Ok((RemoteFile { session, id }, url))
}

/// Opens a stream on a connection of its own.
async fn watch(app: &Url, events_url: &str) -> Result<(Connection, Incoming)> {
    let mut request = message(app, Method::GET, events_url, Bytes::new())?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let mut connection = Connection::open(app).await?;
    let response = connection.start(request).await?;
    anyhow::ensure!(response.status() == 200, "the stream is {}", response.status());
    Ok((connection, response.into_body()))
}

/// Reads a stream to its end. A message comes in one piece.
async fn read((_connection, mut body): (Connection, Incoming), seen: Seen) {
    while let Some(Ok(frame)) = body.frame().await {
        let Some(bytes) = frame.data_ref() else { continue };
        let text = String::from_utf8_lossy(bytes);
        let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back();
        seen.borrow_mut().extend(id.and_then(|id| id.parse().ok()).map(|id: u64| (id, Instant::now())));
    }
}

/// How long the state of each part took, in microseconds: the first of its number or a larger one. A part takes the next
/// number of its session.
fn latencies(seen: &[(u64, Instant)], sent: &[Instant]) -> Vec<u32> {
    let Some((first, _)) = seen.first() else { return Vec::new() };
    let arrived = |number: u64| seen.iter().find(|(id, _)| *id >= number).map(|(_, at)| *at);
    let numbers = (first + 1..).zip(sent);
    numbers.filter_map(|(number, sent)| Some(micros(arrived(number)?.saturating_duration_since(*sent)))).collect()
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn show(rows: &[Row], report: &mut Report) {
    println!(
        "| watchers | sessions | memory of the host, MiB | CPU seconds a minute | statements/s | event after a part, ms \
         p50 / p99 | part route, ms p50 / p99 |\n|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let Row { watchers, has_own_sessions, memory_bytes, cpu_seconds_a_minute, statements_a_second, .. } = row;
        let sessions = if *has_own_sessions { *watchers } else { 1 };
        let millis = |sorted: &[u32]| match sorted {
            [] => "-".to_owned(),
            _ => format!("{:.0} / {:.0}", ms(sorted, 50), ms(sorted, 99)),
        };
        let part = format!("{:.1} / {:.1}", ms(&row.parts, 50), ms(&row.parts, 99));
        println!(
            "| {watchers} | {sessions} | {:.1} | {cpu_seconds_a_minute:.1} | {statements_a_second:.0} | {} | {part} |",
            *memory_bytes as f64 / f64::from(1 << 20),
            millis(&row.news),
        );
        if *watchers > 0 {
            let name = format!("event after a part, {watchers} watchers of {sessions} sessions, p50");
            let memory = Unit::Bytes.show(*memory_bytes as f64 / *watchers as f64);
            let figure = Figure::new(name, f64::from(percentile(&row.news, 50)), Unit::Microseconds);
            report.add(figure.note(format!("{memory} of memory for each watcher")));
        }
    }
}

fn ms(sorted: &[u32], percent: usize) -> f64 {
    f64::from(percentile(sorted, percent)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_part_is_the_first_that_has_it() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let seen = [(5, at(0)), (7, at(900)), (8, at(1_900))];
        assert_eq!(latencies(&seen, &[at(100), at(400), at(1_000), at(1_800)]), [800_000, 500_000, 900_000]);
        assert!(latencies(&[], &[at(1)]).is_empty());
    }
}
