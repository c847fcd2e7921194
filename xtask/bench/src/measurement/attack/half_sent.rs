//! Requests whose bodies are never sent to their end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use super::{Bench, Target};
use crate::api::{Api, batch_path, complete_path};
use crate::client::{Connection, message};
use crate::process_memory::{peak_bytes, reset_peak, resident_bytes};
use crate::report::{Figure, Goal, Report, Unit};

/// More than Spin has instances: some of them get two, and others none.
const HANGING: usize = 1_500;
/// Requests after which a host replaces an instance, less the one that hangs.
const QUICK: usize = 127;
/// A route that responds later than this counts as down.
const PATIENCE: Duration = Duration::from_secs(5);
const SESSIONS: &str = "/api/mocs/uploads/sessions";

/// Each half-sent request is followed by as many quick ones as its instance serves in its life, until no route responds
/// any more.
pub async fn sessions(bench: &Bench, report: &mut Report) -> Result<()> {
    let target = Target::start(bench, &[]).await?;
    let app = target.stack.app();
    let process = target.stack.process_id()?;
    let idle = resident_bytes(process)?;
    reset_peak(process)?;
    let began = Instant::now();
    let hanging = bench.choose(HANGING, HANGING / 8);
    let attacking = async {
        // One after the other: at once, several would hang in one instance.
        let mut open = Vec::new();
        let mut connection = Connection::open(app).await?;
        for _ in 0..hanging {
            open.push(half_sent(app, SESSIONS, "application/json", 1_000, b"{").await?);
            for _ in 0..QUICK {
                let request = message(app, Method::POST, SESSIONS, Bytes::from_static(b"{}"))?;
                if connection.send(request).await.is_err() {
                    connection = Connection::open(app).await?;
                }
            }
        }
        anyhow::Ok(open)
    };
    let down = async {
        loop {
            if !responds(app).await {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let name = format!("{hanging} half-sent create-session, {QUICK} quick ones after each");
    let figure = tokio::select! {
        took = down => Figure::new(format!("{name}: down"), 1.0, Unit::Count)
            .note(format!("after {:.1} s", took.as_secs_f64())),
        open = attacking => {
            let open = open?;
            let down = f64::from(u8::from(!responds(app).await));
            drop(open);
            Figure::new(format!("{name}: down"), down, Unit::Count)
                .note(format!("after all of it, {:.1} s", began.elapsed().as_secs_f64()))
        }
    };
    report.add(figure.goal(Goal::Below(1.0)));
    let peak = peak_bytes(process)?.saturating_sub(idle);
    report.add(Figure::new(format!("{name}: memory beyond idle"), peak as f64, Unit::Bytes));
    Ok(())
}

/// Lists of parts of which all but the last byte is sent.
pub async fn completes(bench: &Bench, report: &mut Report) -> Result<()> {
    const BODY_BYTES: usize = 2 * 1024 * 1024;
    let target = Target::start(bench, &[]).await?;
    let app = target.stack.app();
    let file = Api::connect(app).await?.register(1024).await?;
    let process = target.stack.process_id()?;
    let idle = resident_bytes(process)?;
    reset_peak(process)?;
    let count = bench.choose(200, 50);
    let sent = vec![b' '; BODY_BYTES - 1];
    let open = futures::future::try_join_all(
        (0..count).map(|_| half_sent(app, complete_path(&file), "application/json", BODY_BYTES, &sent)),
    );
    // A host that takes no more of a body lets its sender wait.
    let open = tokio::time::timeout(Duration::from_secs(15), open).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let peak = peak_bytes(process)?.saturating_sub(idle);
    report.add(Figure::new(
        format!("{count} half-sent complete of 2 MiB: memory beyond idle"),
        peak as f64,
        Unit::Bytes,
    ));
    drop(open);
    Ok(())
}

/// Batches that send nothing while somebody else uploads one.
pub async fn batches(bench: &Bench, report: &mut Report) -> Result<()> {
    const SILENT: usize = 14;
    const PART_BYTES: usize = 5 * 1024 * 1024;
    let target = Target::start(bench, &[("MULTIPART_PART_SIZE_MB", "5"), ("PART_TIMEOUT_SECONDS", "60")]).await?;
    let app = target.stack.app();
    let mut api = Api::connect(app).await?;
    let file = api.register(PART_BYTES).await?;
    let form = |bytes: &[u8]| {
        let mut form = b"--border\r\nContent-Disposition: form-data; name=\"part1\"\r\n\r\n".to_vec();
        form.extend_from_slice(bytes);
        form
    };
    let kind = "multipart/form-data; boundary=border";
    let start = form(b"");
    let mut open = Vec::new();
    for _ in 0..SILENT {
        open.push(half_sent(app, batch_path(&file), kind, 2 * PART_BYTES, &start).await?);
        // One instance serves them all, where they do not come at once.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let other = api.register(PART_BYTES).await?;
    let mut body = form(&vec![7; PART_BYTES]);
    body.extend_from_slice(b"\r\n--border--\r\n");
    let mut request = message(app, Method::POST, &batch_path(&other), body.into())?;
    request.headers_mut().insert("content-type", kind.parse()?);
    let began = Instant::now();
    let response = Connection::open(app).await?.send(request).await?;
    let took = began.elapsed();
    drop(open);
    let name = format!("a batch next to {SILENT} silent ones");
    report.add(Figure::new(name, took.as_secs_f64() * 1e6, Unit::Microseconds).note(response.status.to_string()));
    Ok(())
}

/// Sends the head of a POST and the first bytes of its body.
async fn half_sent(app: &Url, target: impl AsRef<str>, kind: &str, length: usize, bytes: &[u8]) -> Result<TcpStream> {
    let address = app.socket_addrs(|| None).context("the application has no address")?;
    let mut stream = TcpStream::connect(&*address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
        target.as_ref(),
        app.authority()
    );
    stream.write_all(head.as_bytes()).await?;
    // A body that is rejected while it is sent is no failure of the attack.
    let _ = stream.write_all(bytes).await;
    Ok(stream)
}

/// Whether a route of another component responds as it should.
async fn responds(app: &Url) -> bool {
    let asking = async {
        let request = message(app, Method::GET, "/api/mocs/00000000-0000-7000-8000-000000000000", Bytes::new())?;
        Connection::open(app).await?.send(request).await
    };
    let response = tokio::time::timeout(PATIENCE, asking).await;
    response.is_ok_and(|response| response.is_ok_and(|response| response.status == 404))
}
