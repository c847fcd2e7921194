//! Small requests again and again, over many connections: requests per second, latency and failures.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use url::Url;

use crate::client::{Connection, Message, Response};
use crate::statistics::percentile;

/// Connections, each with one request on it at any time.
const CONNECTIONS: usize = 32;
/// What is not counted at the start: instances start, connections open.
const RAMP: Duration = Duration::from_millis(300);
/// Longest time that a response may take.
const RESPONSE_LIMIT: Duration = Duration::from_secs(30);
/// How a request is counted that took longer.
pub const NO_RESPONSE: &str = "no response in 30 s";
/// Pause before a broken connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections send.
pub trait Work {
    /// The requests of one operation, which follow each other on one connection; its latency is that of all of them.
    fn requests(&self, connection: usize) -> Result<Vec<Message>>;

    /// Why a response is a failure, in a few words by which failures are counted; `None` for a success.
    fn failure(&self, response: &Response) -> Option<String>;
}

/// Failures by their reason.
pub type Failures = BTreeMap<String, usize>;

/// What a round gave.
#[derive(Default)]
pub struct Round {
    /// Successful operations per second.
    pub per_second: f64,
    /// Median latency, in microseconds.
    pub p50_us: u32,
    /// 99th percentile of latency, in microseconds.
    pub p99_us: u32,
    /// Longest latency, in microseconds.
    pub max_us: u32,
    /// Those of the ramp included.
    pub failures: Failures,
}

impl Round {
    /// A round of these latencies, in microseconds.
    pub fn new(per_second: f64, mut latencies: Vec<u32>, failures: Failures) -> Self {
        latencies.sort_unstable();
        let [p50_us, p99_us, max_us] = [50, 99, 100].map(|percent| percentile(&latencies, percent));
        Self { per_second, p50_us, p99_us, max_us, failures }
    }
}

/// One request, which every connection repeats.
struct Repeated<'a>(&'a Message);

impl Work for Repeated<'_> {
    fn requests(&self, _: usize) -> Result<Vec<Message>> {
        Ok(vec![self.0.clone()])
    }

    fn failure(&self, response: &Response) -> Option<String> {
        response.success().err().map(|error| error.to_string())
    }
}

/// Sends `request` for this long after a short ramp. Every response has to be a success.
pub async fn round(origin: &Url, request: &Message, counted_for: Duration) -> Result<Round> {
    let round = run(origin, CONNECTIONS, counted_for, &Repeated(request)).await?;
    ensure!(round.failures.is_empty(), "under load: {:?}", round.failures);
    Ok(round)
}

/// Does `work` over this many connections for this long after a short ramp.
pub async fn run(origin: &Url, connections: usize, counted_for: Duration, work: &impl Work) -> Result<Round> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Some(Connection::open(origin).await?));
    }
    let begin = Instant::now() + RAMP;
    let end = begin + counted_for;
    let failures = RefCell::new(Failures::new());
    let workers = open.into_iter().enumerate().map(async |(index, mut connection)| {
        let (mut latencies, mut completed) = (Vec::new(), 0_u32);
        loop {
            let sent = Instant::now();
            if sent >= end {
                return Ok::<_, anyhow::Error>((latencies, completed));
            }
            if let Some(failure) = operation(origin, &mut connection, work, index).await? {
                *failures.borrow_mut().entry(failure).or_default() += 1;
            } else if sent >= begin {
                completed += u32::from(Instant::now() < end);
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        }
    });
    let (latencies, completed): (Vec<_>, Vec<_>) = try_join_all(workers).await?.into_iter().unzip();
    let per_second = f64::from(completed.into_iter().sum::<u32>()) / counted_for.as_secs_f64();
    Ok(Round::new(per_second, latencies.concat(), failures.take()))
}

/// Sends the requests of one operation, and says why one of them failed.
async fn operation(
    origin: &Url,
    slot: &mut Option<Connection>,
    work: &impl Work,
    index: usize,
) -> Result<Option<String>> {
    for request in work.requests(index)? {
        let connection = match slot {
            Some(connection) => connection,
            None => {
                let Ok(connection) = Connection::open(origin).await else {
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                    return Ok(Some("cannot connect".to_owned()));
                };
                slot.insert(connection)
            }
        };
        let failure = match tokio::time::timeout(RESPONSE_LIMIT, connection.send(request)).await {
            Ok(Ok(response)) => work.failure(&response),
            Ok(Err(_)) => {
                *slot = None;
                Some("broken connection".to_owned())
            }
            Err(_) => {
                *slot = None;
                Some(NO_RESPONSE.to_owned())
            }
        };
        if failure.is_some() {
            return Ok(failure);
        }
    }
    Ok(None)
}
