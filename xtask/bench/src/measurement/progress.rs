//! What events cost a part: without a broadcaster, with one, and with one that is dead or hangs.
//!
//! One small part is sent again and again on one connection, so that the bytes hide nothing.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use tokio::net::TcpListener;

use super::{Bench, NO_BROADCASTER};
use crate::api::{self, Api};
use crate::client::Connection;
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::percentile;

const PART_BYTES: usize = 1024;
/// Requests that are not counted.
const WARM_UP: usize = 50;
/// What the median latency with a broken broadcaster must stay below, as a multiple of that without one.
const MEDIAN_LIMIT: f64 = 1.2;
/// What no request may reach: `websocket_emit_timeout_ms`, and room for a busy machine.
const LONGEST_US: f64 = 650_000.0;
/// A request that takes longer has waited for the broadcaster.
const WAITED_US: u32 = 100_000;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let off = latencies(bench, &NO_BROADCASTER).await?;
    add(report, "broadcaster off: part p50", &off, None);
    add(report, "broadcaster on: part p50", &latencies(bench, &[]).await?, None);
    // Whoever listens there never reads: the connection stands, and no response comes.
    let hanging = TcpListener::bind("127.0.0.1:0").await?;
    let hanging_url = format!("http://{}", hanging.local_addr()?);
    for (state, origin) in [("dead", "http://127.0.0.1:1"), ("hanging", hanging_url.as_str())] {
        let variables = [("WEBSOCKET_API_URL", origin), ("WEBSOCKET_API_ORIGIN", origin), ("WEBSOCKET_API_KEY", "key")];
        let taken = latencies(bench, &variables).await?;
        add(report, &format!("broadcaster {state}: part p50"), &taken, Some(&off));
        let longest = taken.last().copied().map(f64::from).unwrap_or_default();
        let name = format!("broadcaster {state}: slowest part");
        report.add(Figure::new(name, longest, Unit::Microseconds).goal(Goal::Below(LONGEST_US)));
    }
    Ok(())
}

fn add(report: &mut Report, name: &str, taken: &[u32], off: Option<&[u32]>) {
    let at = |percent| f64::from(percentile(taken, percent));
    let longest = taken.last().copied().map(f64::from).unwrap_or_default();
    let waited = taken.iter().filter(|taken| **taken > WAITED_US).count();
    let show = |value| Unit::Microseconds.show(value);
    let note = format!("p99 {}, longest {}; {waited} of {} parts waited", show(at(99)), show(longest), taken.len());
    let mut figure = Figure::new(name, at(50), Unit::Microseconds)
        .note(note)
        .detail("p99Us", at(99))
        .detail("longestUs", longest)
        .detail("parts", taken.len())
        .detail("waited", waited);
    if let Some(off) = off {
        figure = figure.goal(Goal::Below(MEDIAN_LIMIT * f64::from(percentile(off, 50))));
    }
    report.add(figure);
}

/// The latencies of parts that are sent for some seconds, in order of their length.
async fn latencies(bench: &Bench, variables: &[(&str, &str)]) -> Result<Vec<u32>> {
    let stack = bench.stack_with(&bench.manifest, variables).await?;
    let file = Api::connect(stack.app()).await?.register(PART_BYTES).await?;
    let request = api::put_part(stack.app(), &file, 1, Bytes::from(vec![b'x'; PART_BYTES]))?;
    let mut connection = Connection::open(stack.app()).await?;
    for _ in 0..WARM_UP {
        connection.send(request.clone()).await?.success()?;
    }
    let mut taken = Vec::new();
    let started = Instant::now();
    while started.elapsed() < bench.choose(Duration::from_secs(16), Duration::from_secs(6)) {
        let sent = Instant::now();
        connection.send(request.clone()).await?.success()?;
        taken.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    taken.sort_unstable();
    Ok(taken)
}
