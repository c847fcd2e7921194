//! What is measured: one module each.

mod attack;
mod capacity;
mod database;
mod endurance;
mod finalize;
mod latency;
mod memory;
mod progress;
mod requests;
mod size;
mod thumbnail;
mod upload;
mod watchers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::process::Command;

use crate::report::Report;
use crate::stack::Stack;

/// A group of figures, by the name that the command line has for it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measurement {
    /// Bytes of each component
    Size,
    /// Bytes per second through the part route against the same straight to S3
    Upload,
    /// Memory of the host while files of 512 MiB and 2 GiB pass
    Memory,
    /// Requests per second of create-session and list-parts against hello-world
    Requests,
    /// Validation of 20 files where S3 is slow
    Finalize,
    /// Latency of the part route with few and with many parts stored
    Latency,
    /// create-session and the part route with and without a broadcaster, and with a broken one
    Progress,
    /// Thumbnails of pictures of 12 megapixels, against sharp
    Thumbnail,
    /// Requests per second with SQLite, PostgreSQL and libSQL, against the same statements sent directly
    Database,
    /// A minute of load on libSQL and on PostgreSQL that restarts: nothing is lost
    Endurance,
    /// Statements, requests and CPU time of each operation
    Capacity,
    /// Memory, CPU time, statements and latency of 1, 100 and 1,000 who watch by server-sent events
    Watchers,
    /// Attack: what many finalizes of a picture cost that cannot be decoded
    AttackUndecodablePicture,
    /// Attack: what many finalizes of a file cost that has another checksum
    AttackRejectedFile,
    /// Attack: what many cancellations of one session cost
    AttackCancelledSession,
    /// Attack: whether half-sent requests take every route down
    AttackHalfSentSessions,
    /// Attack: what half-sent lists of parts hold in memory
    AttackHalfSentCompletes,
    /// Attack: how long a batch takes next to batches that send nothing
    AttackSilentBatches,
    /// Attack: what tokens with unknown keys cost while the issuer is silent
    AttackUnknownKeys,
}

/// The variables of a stack that reports nobody of its uploads.
const NO_BROADCASTER: [(&str, &str); 1] = [("WEBSOCKET_API_URL", "")];

/// What the measurements are made with.
pub struct Bench {
    /// Shorter rounds, and fewer.
    pub quick: bool,
    /// The local host's program.
    pub host: PathBuf,
    pub manifest: PathBuf,
    /// The component to compare with, where it is built already.
    pub hello: Option<PathBuf>,
    /// The same with PostgreSQL.
    pub hello_postgres: Option<PathBuf>,
    /// Where stacks have their state.
    pub state: PathBuf,
}

impl Bench {
    async fn stack(&self, manifest: &Path) -> Result<Stack> {
        self.stack_with(manifest, &NO_BROADCASTER).await
    }

    /// A stack with these variables, their names in capitals.
    async fn stack_with(&self, manifest: &Path, variables: &[(&str, &str)]) -> Result<Stack> {
        Stack::start(&self.host, manifest, &self.state, variables).await
    }

    const fn choose<T: Copy>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

impl Measurement {
    /// The longest time of a measurement that is made only if it is named, and does not fit into that of the others.
    pub const fn own_time_limit(self) -> Option<Duration> {
        match self {
            Self::Database => Some(Duration::from_mins(20)),
            Self::Endurance
            | Self::Capacity
            | Self::Watchers
            | Self::AttackUndecodablePicture
            | Self::AttackRejectedFile
            | Self::AttackCancelledSession
            | Self::AttackHalfSentSessions
            | Self::AttackHalfSentCompletes
            | Self::AttackSilentBatches
            | Self::AttackUnknownKeys => Some(Duration::from_mins(10)),
            _ => None,
        }
    }

    /// Measures, and adds figures to the report.
    pub async fn run(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Size => size::measure(bench, report),
            Self::Upload => upload::measure(bench, report).await,
            Self::Memory => memory::measure(bench, report).await,
            Self::Requests => requests::measure(bench, report).await,
            Self::Latency => latency::measure(bench, report).await,
            Self::Progress => progress::measure(bench, report).await,
            Self::Thumbnail => thumbnail::measure(bench, report).await,
            Self::Finalize => finalize::measure(bench, report).await,
            Self::Database => database::measure(bench, report).await,
            Self::Endurance => endurance::measure(bench, report).await,
            Self::Capacity => capacity::measure(bench, report).await,
            Self::Watchers => watchers::measure(bench, report).await,
            Self::AttackUndecodablePicture => attack::undecodable_picture::measure(bench, report).await,
            Self::AttackRejectedFile => attack::rejected_file::measure(bench, report).await,
            Self::AttackCancelledSession => attack::cancelled_session::measure(bench, report).await,
            Self::AttackHalfSentSessions => attack::half_sent::sessions(bench, report).await,
            Self::AttackHalfSentCompletes => attack::half_sent::completes(bench, report).await,
            Self::AttackSilentBatches => attack::half_sent::batches(bench, report).await,
            Self::AttackUnknownKeys => attack::unknown_keys::measure(bench, report).await,
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Size => "size",
            Self::Upload => "upload",
            Self::Memory => "memory",
            Self::Requests => "requests",
            Self::Latency => "latency",
            Self::Progress => "progress",
            Self::Thumbnail => "thumbnail",
            Self::Database => "database",
            Self::Endurance => "endurance",
            Self::Capacity => "capacity",
            Self::Watchers => "watchers",
            Self::AttackUndecodablePicture => "attack-undecodable-picture",
            Self::AttackRejectedFile => "attack-rejected-file",
            Self::AttackCancelledSession => "attack-cancelled-session",
            Self::AttackHalfSentSessions => "attack-half-sent-sessions",
            Self::AttackHalfSentCompletes => "attack-half-sent-completes",
            Self::AttackSilentBatches => "attack-silent-batches",
            Self::AttackUnknownKeys => "attack-unknown-keys",
            Self::Finalize => "finalize",
        })
    }
}

/// Builds the crate of a component to compare with, as the application's components are built, and returns its file.
async fn build_component(manifest: &Path, package: &str) -> Result<PathBuf> {
    let root = std::path::absolute(manifest)?.parent().context("the manifest is in no folder")?.to_owned();
    let target = root.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--profile", "component", "--target", "wasm32-wasip2", "--package", package]);
    build.arg("--target-dir").arg(&target).current_dir(&root).kill_on_drop(true);
    if !build.status().await.context("cargo cannot be started")?.success() {
        bail!("{package} does not build");
    }
    Ok(target.join(format!("wasm32-wasip2/component/{}.wasm", package.replace('-', "_"))))
}

/// A file that goes when this does.
struct TemporaryFile(PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
