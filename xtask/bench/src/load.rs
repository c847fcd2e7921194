//! One small request again and again, over many connections: requests per second, and latency.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use url::Url;

use crate::client::{Connection, Message};
use crate::statistics::percentile;

/// Connections, each with one request on it at any time.
const CONNECTIONS: usize = 32;
/// What is not counted at the start: instances start, connections open.
const RAMP: Duration = Duration::from_millis(300);

/// What a round gave.
pub struct Round {
    /// Requests per second.
    pub per_second: f64,
    /// Median latency, in microseconds.
    pub p50_us: u32,
    /// 99th percentile of latency, in microseconds.
    pub p99_us: u32,
}

/// Sends `request` for this long after a short ramp.
pub async fn round(origin: &Url, request: &Message, counted_for: Duration) -> Result<Round> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(origin).await?);
    }
    let begin = Instant::now() + RAMP;
    let end = begin + counted_for;
    let workers = connections.into_iter().map(async |mut connection| {
        let mut latencies = Vec::new();
        loop {
            let sent = Instant::now();
            if sent >= end {
                return Ok::<_, anyhow::Error>(latencies);
            }
            connection.send(request.clone()).await?.success().context("under load")?;
            if sent >= begin {
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        }
    });
    let mut latencies = try_join_all(workers).await?.concat();
    latencies.sort_unstable();
    Ok(Round {
        per_second: latencies.len() as f64 / begin.elapsed().as_secs_f64(),
        p50_us: percentile(&latencies, 50),
        p99_us: percentile(&latencies, 99),
    })
}
