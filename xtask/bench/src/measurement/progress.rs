//! What events cost: without a broadcaster and with one, in turns, then with one that is dead or hangs.
//!
//! One small part is sent again and again on one connection, so that the bytes hide nothing; sessions are created over
//! many connections.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use tokio::net::TcpListener;

use super::{Bench, NO_BROADCASTER};
use crate::api::{self, Api};
use crate::client::{Connection, Message};
use crate::load;
use crate::report::{Figure, Goal, Report, Unit};
use crate::stack::Stack;
use crate::statistics::{median, percentile};

const PART_BYTES: usize = 1024;
/// Size of the file that a session is created for, in bytes.
const FILE_BYTES: usize = 100 << 20;
/// Requests that are not counted.
const WARM_UP: usize = 50;
/// What create-session must reach with a broadcaster, as a share of what it reaches without one.
const THROUGHPUT_GOAL: f64 = 0.5;
/// What the median latency of a part with a broadcaster must stay below, as a multiple of that without one.
const LATENCY_GOAL: f64 = 1.3;
/// What the median latency with a broken broadcaster must stay below, as a multiple of that without one.
const MEDIAN_LIMIT: f64 = 1.2;
/// What no request may reach: `websocket_emit_timeout_ms`, and room for a busy machine.
const LONGEST_US: f64 = 650_000.0;
/// A request that takes longer has waited for the broadcaster.
const WAITED_US: u32 = 100_000;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let off = healthy(bench, report).await?;
    // Whoever listens there never reads: the connection stands, and no response comes.
    let hanging = TcpListener::bind("127.0.0.1:0").await?;
    let hanging_url = format!("http://{}", hanging.local_addr()?);
    for (state, origin) in [("dead", "http://127.0.0.1:1"), ("hanging", hanging_url.as_str())] {
        let variables = [("WEBSOCKET_API_URL", origin), ("WEBSOCKET_API_ORIGIN", origin), ("WEBSOCKET_API_KEY", "key")];
        let stack = bench.stack_with(&bench.manifest, &variables).await?;
        let length = bench.choose(Duration::from_secs(16), Duration::from_secs(6));
        let mut taken = Parts::begin(&stack).await?.latencies(length).await?;
        taken.sort_unstable();
        add(report, &format!("broadcaster {state}: part p50"), &taken, Some(&off));
        let longest = taken.last().copied().map(f64::from).unwrap_or_default();
        let name = format!("broadcaster {state}: slowest part");
        report.add(Figure::new(name, longest, Unit::Microseconds).goal(Goal::Below(LONGEST_US)));
    }
    Ok(())
}

/// Measures without a broadcaster and with one, in turns. Returns the latencies of parts without one, in order of their
/// length.
async fn healthy(bench: &Bench, report: &mut Report) -> Result<Vec<u32>> {
    let stacks =
        [bench.stack_with(&bench.manifest, &NO_BROADCASTER).await?, bench.stack_with(&bench.manifest, &[]).await?];
    let [off, on] = &stacks;
    let mut parts = [Parts::begin(off).await?, Parts::begin(on).await?];
    let (rounds, length) = bench.choose((6, Duration::from_secs(3)), (3, Duration::from_secs(1)));
    let mut created: [Vec<f64>; 2] = Default::default();
    let mut taken: [Vec<u32>; 2] = Default::default();
    let mut medians: [Vec<f64>; 2] = Default::default();
    for _ in 0..rounds {
        for (stack, created) in stacks.iter().zip(&mut created) {
            let request = api::create_session(stack.app(), FILE_BYTES)?;
            created.push(load::round(stack.app(), &request, length).await?.per_second);
            stack.truncate_log()?;
        }
        for ((parts, taken), medians) in parts.iter_mut().zip(&mut taken).zip(&mut medians) {
            let mut round = parts.latencies(length).await?;
            round.sort_unstable();
            medians.push(f64::from(percentile(&round, 50)));
            taken.append(&mut round);
        }
    }
    taken.iter_mut().for_each(|taken| taken.sort_unstable());
    let [off, on] = &taken;
    add(report, "broadcaster off: part p50", off, None);
    add(report, "broadcaster on: part p50", on, None);
    report.add(ratio("part p50, broadcaster on / off", &medians, Unit::Microseconds).goal(Goal::Below(LATENCY_GOAL)));
    let name = "create-session, broadcaster on / off";
    report.add(ratio(name, &created, Unit::RequestsPerSecond).goal(Goal::AtLeast(THROUGHPUT_GOAL)));
    let [off, _] = taken;
    Ok(off)
}

/// How the values of rounds without and with a broadcaster relate.
fn ratio(name: &str, [off, on]: &[Vec<f64>; 2], unit: Unit) -> Figure {
    let ratios = on.iter().zip(off).map(|(on, off)| on / off);
    let shown = |values: &[f64]| unit.show(median(values.iter().copied()));
    Figure::new(name, median(ratios), Unit::Ratio)
        .note(format!("{} against {}", shown(on), shown(off)))
        .detail("off", off.clone())
        .detail("on", on.clone())
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

/// A connection that sends one part again and again.
struct Parts {
    request: Message,
    connection: Connection,
}

impl Parts {
    async fn begin(stack: &Stack) -> Result<Self> {
        let file = Api::connect(stack.app()).await?.register(PART_BYTES).await?;
        let request = api::put_part(stack.app(), &file, 1, Bytes::from(vec![b'x'; PART_BYTES]))?;
        let mut connection = Connection::open(stack.app()).await?;
        for _ in 0..WARM_UP {
            connection.send(request.clone()).await?.success()?;
        }
        Ok(Self { request, connection })
    }

    /// The latencies of so long, in microseconds.
    async fn latencies(&mut self, length: Duration) -> Result<Vec<u32>> {
        let mut taken = Vec::new();
        let started = Instant::now();
        while started.elapsed() < length {
            let sent = Instant::now();
            self.connection.send(self.request.clone()).await?.success()?;
            taken.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        Ok(taken)
    }
}
