//! What each operation costs: statements in the database, requests to S3 and to others, and CPU time of the host.
//!
//! Whole uploads are made, one request after the other, as one client would. The S3 is in another process, and so are
//! PostgreSQL and who gets events, webhooks and traces: the CPU time is the application's alone.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::Method;
use moc_servers::PostgresServer;
use serde_json::{Value, json};
use url::Url;

use super::Bench;
use crate::api::{self, RemoteFile};
use crate::client::{Connection, Message, Response, message};
use crate::counting::{PostgresProxy, Sink};
use crate::process_cpu::cpu_time;
use crate::report::{Figure, Report, Unit};
use crate::slow_s3::SlowS3;
use crate::stack::Stack;

/// Connections that PostgreSQL allows.
const MAX_CONNECTIONS: u32 = 200;
/// A full part, and so MiB of it.
const PART_BYTES: usize = 5 << 20;
/// What comes after the full part of a file.
const SMALL_BYTES: usize = 1 << 10;
/// How often a cheap request is repeated for each session, because CPU time is counted in ticks of 10 ms.
const REPEATED: usize = 5;
/// How long work after a response may take: events, the webhook and the trace of a finalize.
const SETTLING: Duration = Duration::from_millis(1_500);
/// An upload in the documentation.
const UPLOAD: Upload = Upload { files: 3.0, parts: 4.0, mib: 12.0 };
/// Uploads of a day.
const DAILY: [(&str, f64); 3] = [("10 thousand", 1e4), ("1 million", 1e6), ("100 million", 1e8)];
/// How many times the average of the day the busiest hour has.
const PEAK: f64 = 5.0;

/// What an upload consists of, next to its session and its finalize.
struct Upload {
    files: f64,
    parts: f64,
    mib: f64,
}

/// What one operation costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    statements: f64,
    s3: f64,
    others: f64,
    cpu_ms: f64,
}

impl Cost {
    fn map(self, other: Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            statements: combine(self.statements, other.statements),
            s3: combine(self.s3, other.s3),
            others: combine(self.others, other.others),
            cpu_ms: combine(self.cpu_ms, other.cpu_ms),
        }
    }

    fn times(self, factor: f64) -> Self {
        self.map(self, |value, _| value * factor)
    }

    fn plus(self, other: Self) -> Self {
        self.map(other, |left, right| left + right)
    }
}

/// The application with everything that it talks to.
struct Surroundings {
    app: Stack,
    connection: Connection,
    s3: SlowS3,
    sink: Sink,
    database: PostgresProxy,
    rows: Vec<(&'static str, Cost)>,
    // They end when they are dropped.
    _s3: Stack,
    _server: PostgresServer,
}

impl Surroundings {
    async fn start(bench: &Bench, server: PostgresServer) -> Result<Self> {
        let store = bench.stack(&bench.manifest).await?;
        let s3 = SlowS3::start(store.s3(), Duration::ZERO).await?;
        let (sink, database) = (Sink::start().await?, PostgresProxy::start(server.port()).await?);
        let through = |url: String| url.replace(&server.port().to_string(), &database.port.to_string());
        let (url, origin) = (through(server.create_database("read committed")), through(server.origin()));
        let endpoint = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let (endpoint, other) = (endpoint(&s3.origin), endpoint(&sink.origin));
        let (events, webhook) = (format!("{other}/events"), format!("{other}/webhook"));
        let variables = [
            ("MULTIPART_PART_SIZE_MB", "5"),
            ("S3_ENDPOINT", endpoint.as_str()),
            ("S3_ACCESS_KEY_ID", "local"),
            ("S3_SECRET_ACCESS_KEY", "local-secret"),
            ("DATABASE_URL", &url),
            ("DATABASE_ORIGIN", &origin),
            ("WEBSOCKET_API_URL", &events),
            ("WEBSOCKET_API_ORIGIN", &other),
            ("WEBSOCKET_API_KEY", "key"),
            ("MOC_FINALIZE_WEBHOOK_URL", &webhook),
            ("MOC_FINALIZE_WEBHOOK_ORIGIN", &other),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &other),
        ];
        let app = bench.stack_with(&bench.manifest, &variables).await?;
        let connection = Connection::open(app.app()).await?;
        Ok(Self { app, connection, s3, sink, database, rows: Vec::new(), _s3: store, _server: server })
    }

    fn counts(&self) -> Result<Cost> {
        Ok(Cost {
            statements: self.database.statements() as f64,
            s3: self.s3.requests() as f64,
            others: self.sink.requests() as f64,
            cpu_ms: cpu_time(self.app.process_id()?)?.as_secs_f64() * 1_000.0,
        })
    }

    /// Sends requests one after the other; their average cost becomes a row. Returns the responses.
    async fn measure(&mut self, operation: &'static str, requests: Vec<Message>) -> Result<Vec<Response>> {
        let count = requests.len() as f64;
        // What earlier requests have left to do is theirs.
        tokio::time::sleep(SETTLING).await;
        let before = self.counts()?;
        let responses = self.send(requests).await.with_context(|| format!("measuring {operation}"))?;
        tokio::time::sleep(SETTLING).await;
        let cost = self.counts()?.map(before, |after, before| (after - before) / count);
        self.rows.push((operation, cost));
        Ok(responses)
    }

    async fn send(&mut self, requests: Vec<Message>) -> Result<Vec<Response>> {
        let mut responses = Vec::with_capacity(requests.len());
        for request in requests {
            let response = self.connection.send(request).await?;
            response.success()?;
            responses.push(response);
        }
        Ok(responses)
    }

    fn cost(&self, operation: &str) -> Cost {
        self.rows.iter().find(|(name, _)| *name == operation).map(|(_, cost)| *cost).unwrap_or_default()
    }
}

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = match PostgresServer::start_durable(MAX_CONNECTIONS) {
        Ok(server) => server,
        Err(reason) => {
            report.add(Figure::missing("capacity", reason));
            return Ok(());
        }
    };
    let mut on = Surroundings::start(bench, server).await?;
    let sessions = bench.choose(60, 10);
    // The first requests make the schema and compile nothing anew.
    let app = on.app.app().clone();
    on.send(vec![api::create_session(&app, SMALL_BYTES)?; 3]).await?;
    uploads(&mut on, &app, sessions).await?;
    direct(&mut on, &app, sessions).await?;

    let (through, direct) = sums(&mut on);
    show(&on.rows, report);
    sizes(through, direct);
    Ok(())
}

/// Adds what follows from the rows: a MiB of a part, and a whole upload both ways, which are returned.
fn sums(on: &mut Surroundings) -> (Cost, Cost) {
    let Upload { files, parts, mib } = UPLOAD;
    let (full, small) = (on.cost("part of 5 MiB"), on.cost("part of 1 KiB"));
    let per_mib = full.map(small, |full, small| (full - small).max(0.0) / 5.0);
    on.rows.push(("each MiB of a part", per_mib));
    let ends = on.cost("create a session").plus(on.cost("register a file").times(files));
    let ends = ends.plus(on.cost("finalize, 3 files"));
    let through = ends.plus(small.times(parts)).plus(per_mib.times(mib)).plus(on.cost("complete a file").times(files));
    let per_file = on.cost("direct: URLs of parts").plus(on.cost("direct: record parts"));
    let mut direct = ends.plus(per_file.plus(on.cost("direct: complete a file")).times(files));
    // The client's own requests to the bucket.
    direct.s3 += parts;
    on.rows.push(("**an upload**", through));
    on.rows.push(("**a direct upload**", direct));
    (through, direct)
}

/// Sessions with three files and four parts each, from the first request to the MOC.
async fn uploads(on: &mut Surroundings, app: &Url, sessions: usize) -> Result<()> {
    let create = vec![api::create_session(app, SMALL_BYTES)?; sessions * REPEATED];
    let created = on.measure("create a session", create).await?;
    let ids: Vec<String> = created.iter().take(sessions).map(api::session_id).collect::<Result<_>>()?;
    let kinds = [("castle.pdf", PART_BYTES + SMALL_BYTES), ("front.png", PART_BYTES), ("parts.csv", SMALL_BYTES)];
    let mut requests = Vec::new();
    for (id, (name, size)) in ids.iter().flat_map(|id| kinds.map(|kind| (id, kind))) {
        requests.push(register(app, id, name, size)?);
    }
    let registered = on.measure("register a file", requests).await?;
    let files: Vec<RemoteFile> = remote_files(&registered, ids.iter().flat_map(|id| [id; 3]))?;

    let [pdf, png, csv] = [b"%PDF-1.7\n".as_slice(), b"\x89PNG\r\n\x1a\n", b"part,count\n"].map(|start| start.to_vec());
    let content = |mut start: Vec<u8>, size: usize| {
        start.resize(size, b' ');
        Bytes::from(start)
    };
    let (pdf, rest) = (content(pdf, PART_BYTES), content(Vec::new(), SMALL_BYTES));
    let (png, csv) = (content(png, PART_BYTES), content(csv, SMALL_BYTES));
    let (mut full, mut small) = (Vec::new(), Vec::new());
    for files in files.chunks(kinds.len()) {
        let [castle, front, list] = files else { continue };
        full.push(api::put_part(app, castle, 1, pdf.clone())?);
        full.push(api::put_part(app, front, 1, png.clone())?);
        small.push(api::put_part(app, castle, 2, rest.clone())?);
        small.push(api::put_part(app, list, 1, csv.clone())?);
    }
    on.measure("part of 5 MiB", full).await?;
    on.measure("part of 1 KiB", small).await?;
    let list = files.iter().map(|file| api::list_parts(app, file)).collect::<Result<_>>()?;
    on.measure("list the parts of a file", list).await?;
    let get = ids.iter().flat_map(|id| [id; REPEATED]).map(|id| api::get_session(app, id)).collect::<Result<_>>()?;
    on.measure("get a session", get).await?;
    let complete = files.iter().map(|file| message(app, Method::POST, &api::complete_path(file), Bytes::new()));
    on.measure("complete a file", complete.collect::<Result<_>>()?).await?;
    let finalize = ids.iter().map(|id| api::finalize(app, id)).collect::<Result<_>>()?;
    let mocs = on.measure("finalize, 3 files", finalize).await?;
    let moc = |response: &Response| {
        let id = response.json()?.get("id").and_then(Value::as_str).context("a MOC has no id")?.to_owned();
        message(app, Method::GET, &format!("/api/mocs/{id}"), Bytes::new())
    };
    on.measure("get a MOC", mocs.iter().map(moc).collect::<Result<_>>()?).await?;
    Ok(())
}

/// Files whose parts go straight to the bucket, and sessions that are cancelled.
async fn direct(on: &mut Surroundings, app: &Url, sessions: usize) -> Result<()> {
    let created = on.send(vec![api::create_session(app, SMALL_BYTES)?; sessions]).await?;
    let ids: Vec<String> = created.iter().map(api::session_id).collect::<Result<_>>()?;
    let requests = ids.iter().map(|id| register(app, id, "castle.pdf", SMALL_BYTES)).collect::<Result<_>>()?;
    let registered = on.send(requests).await?;
    let files = remote_files(&registered, ids.iter())?;
    let urls = files.iter().map(|file| api::to_parts(app, file, "urls", &json!({ "partNumbers": [1] })));
    let urls = on.measure("direct: URLs of parts", urls.collect::<Result<_>>()?).await?;
    let mut bucket = Connection::open(&on.s3.origin).await?;
    let mut requests = Vec::new();
    for (file, response) in files.iter().zip(&urls) {
        let response = response.json()?;
        let url = Url::parse(response.pointer("/urls/0/url").and_then(Value::as_str).context("no URL")?)?;
        let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let put = message(&on.s3.origin, Method::PUT, &target, Bytes::from(vec![b' '; SMALL_BYTES]))?;
        let stored = bucket.send(put).await?;
        stored.success()?;
        let etag = stored.headers.get("etag").context("S3 sends no ETag")?.to_str()?.trim_matches('"');
        let part = json!({ "partNumber": 1, "etag": etag, "sizeBytes": SMALL_BYTES });
        requests.push(api::to_parts(app, file, "stored", &json!({ "parts": [part] }))?);
    }
    on.measure("direct: record parts", requests).await?;
    let complete = files.iter().map(|file| message(app, Method::POST, &api::complete_path(file), Bytes::new()));
    on.measure("direct: complete a file", complete.collect::<Result<_>>()?).await?;
    let cancel = ids.iter().map(|id| api::cancel(app, id)).collect::<Result<_>>()?;
    on.measure("cancel a session, 1 file", cancel).await?;
    Ok(())
}

pub(super) fn register(app: &Url, session: &str, name: &str, size: usize) -> Result<Message> {
    let body = json!({ "fileKey": name, "fileSizeBytes": size }).to_string().into();
    message(app, Method::POST, &format!("{}/{session}/files", api::SESSIONS), body)
}

fn remote_files<'a>(registered: &[Response], sessions: impl Iterator<Item = &'a String>) -> Result<Vec<RemoteFile>> {
    let file = |(response, session): (&Response, &String)| {
        let id = response.json()?.get("fileId").and_then(Value::as_str).context("a file has no id")?.to_owned();
        Ok(RemoteFile { session: session.clone(), id })
    };
    registered.iter().zip(sessions).map(file).collect()
}

/// Prints the table of docs/operations/capacity.md, and adds its figures to the report.
fn show(rows: &[(&'static str, Cost)], report: &mut Report) {
    let mut table =
        "\n| operation | statements | S3 requests | other requests | CPU ms |\n|---|---|---|---|---|\n".to_owned();
    for (operation, cost) in rows {
        let Cost { statements, s3, others, cpu_ms } = cost;
        // Writing to a text cannot fail.
        let _ = writeln!(table, "| {operation} | {statements:.1} | {s3:.1} | {others:.1} | {cpu_ms:.1} |");
        let figure = Figure::new(format!("capacity, {operation}"), cpu_ms * 1_000.0, Unit::Microseconds);
        let note = format!("{statements:.1} statements, {s3:.1} requests to S3, {others:.1} to others");
        report.add(figure.note(note).detail("statements", *statements).detail("s3", *s3).detail("others", *others));
    }
    println!("{table}");
}

/// Prints the sizes of docs/operations/capacity.md, for the busiest hour.
fn sizes(through: Cost, direct: Cost) {
    let mut table = "| uploads a day | uploads/s | statements/s | S3 requests/s | other requests/s | cores ".to_owned();
    table += "| cores, direct | Gbit/s in, and out |\n";
    table += "|---|---|---|---|---|---|---|---|\n";
    for (name, daily) in DAILY {
        let rate = daily * PEAK / 86_400.0;
        let Cost { statements, s3, others, cpu_ms } = through.times(rate);
        let (cores, direct) = (cpu_ms / 1_000.0, direct.cpu_ms * rate / 1_000.0);
        let gbits = rate * UPLOAD.mib * 1_048_576.0 * 8.0 / 1e9;
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "| {name} | {rate:.1} | {statements:.0} | {s3:.0} | {others:.0} | {cores:.1} | {direct:.1} | {gbits:.2} |"
        );
    }
    println!("{table}");
}
