//! Attacks that an ordinary signed-in user can make: what many cheap requests cost the host.
//!
//! Run them with the host and the components of two versions to compare these. The bucket is in another process, behind
//! a proxy that counts the requests, so that CPU time and memory are those of the application alone.

pub mod cancelled_session;
pub mod half_sent;
pub mod rejected_file;
pub mod undecodable_picture;
pub mod unknown_keys;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::stream::{self, StreamExt as _};

use super::{Bench, NO_BROADCASTER};
use crate::client::{Connection, Message};
use crate::process_cpu::cpu_time;
use crate::process_memory::{peak_bytes, reset_peak, resident_bytes};
use crate::report::{Figure, Report, Unit};
use crate::slow_s3::SlowS3;
use crate::stack::Stack;

/// Requests that are under way at once.
const CONNECTIONS: usize = 128;
/// Work that follows a response has ended when the host has used no more than [`IDLE_CPU`] for so long.
const QUIET: Duration = Duration::from_secs(2);
const IDLE_CPU: Duration = Duration::from_millis(50);
/// Longest time that this is waited for.
const QUIET_LIMIT: Duration = Duration::from_mins(3);

/// What is attacked.
pub struct Target {
    pub stack: Stack,
    s3: SlowS3,
    // Its S3 is the bucket.
    _bucket: Stack,
}

impl Target {
    /// Starts an application with these variables, their names in capitals.
    pub async fn start(bench: &Bench, variables: &[(&str, &str)]) -> Result<Self> {
        let bucket = bench.stack(&bench.manifest).await?;
        let s3 = SlowS3::start(bucket.s3(), Duration::ZERO).await?;
        let origin = s3.origin.as_str().trim_end_matches('/').to_owned();
        let access =
            [("S3_ENDPOINT", &*origin), ("S3_ACCESS_KEY_ID", "local"), ("S3_SECRET_ACCESS_KEY", "local-secret")];
        let stack =
            bench.stack_with(&bench.manifest, &[NO_BROADCASTER.as_slice(), &access, variables].concat()).await?;
        Ok(Self { stack, s3, _bucket: bucket })
    }

    /// Sends these requests, many at once, and reports what they have cost, work after their responses included.
    pub async fn attack(&self, name: &str, requests: Vec<Message>, report: &mut Report) -> Result<()> {
        let process = self.stack.process_id()?;
        self.quiet().await?;
        let (count, sent, idle) = (requests.len(), self.s3.requests(), resident_bytes(process)?);
        let (began, cpu) = (Instant::now(), cpu_time(process)?);
        reset_peak(process)?;
        let mut sending = stream::iter(requests).map(|request| self.status(request)).buffer_unordered(CONNECTIONS);
        let mut statuses = BTreeMap::<String, usize>::new();
        while let Some(status) = sending.next().await {
            *statuses.entry(status).or_default() += 1;
        }
        let took = began.elapsed();
        self.quiet().await?;
        let spent = cpu_time(process)?.saturating_sub(cpu);
        let peak = peak_bytes(process)?.saturating_sub(idle);
        let what = format!("{count} × {name}");
        let statuses: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        let note = format!("in {:.1} s: {}", took.as_secs_f64(), statuses.join(", "));
        report.add(Figure::new(format!("{what}: CPU time"), spent.as_secs_f64() * 1e6, Unit::Microseconds).note(note));
        report.add(Figure::new(format!("{what}: memory beyond idle"), peak as f64, Unit::Bytes));
        let upstream = self.s3.requests() - sent;
        report.add(Figure::new(format!("{what}: requests to the bucket"), upstream as f64, Unit::Count));
        Ok(())
    }

    /// The status of a response, or why there is none.
    async fn status(&self, request: Message) -> String {
        let sending = async { Connection::open(self.stack.app()).await?.send(request).await };
        sending.await.map_or_else(|error| error.to_string(), |response| response.status.as_str().to_owned())
    }

    async fn quiet(&self) -> Result<()> {
        let process = self.stack.process_id()?;
        let limit = Instant::now() + QUIET_LIMIT;
        while Instant::now() < limit {
            let before = cpu_time(process)?;
            tokio::time::sleep(QUIET).await;
            if cpu_time(process)?.saturating_sub(before) <= IDLE_CPU {
                break;
            }
        }
        Ok(())
    }
}
