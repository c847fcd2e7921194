//! `moc-bench`: measures the application on the local host, side by side with what it is compared to.
//!
//! Every measurement starts a stack of its own (the local host with its embedded S3, on free ports,
//! its state in a temporary folder), alternates between the two sides that it compares, and gives
//! medians and ratios of pairs: a machine that is busy with other things slows both sides.

mod api;
mod client;
mod content;
mod counting;
mod databases;
mod load;
mod manifest;
mod measurement;
mod object_store;
mod pgbench;
mod process_cpu;
mod process_memory;
mod report;
mod slow_s3;
mod stack;
mod statements;
mod statistics;
mod stored_parts;
mod transfer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};

use crate::measurement::{Bench, Measurement};
use crate::report::Report;

/// Longest time that everything that is measured by default may take.
const TIME_LIMIT: Duration = Duration::from_mins(10);

/// Measures speed, memory and size of the application on the local host.
#[derive(Parser)]
#[command(name = "moc-bench")]
struct Options {
    /// Shorter rounds, and fewer: for a first impression
    #[arg(long)]
    quick: bool,
    /// The local host's program
    #[arg(long, value_name = "FILE", env = "MOC_LOCAL_BIN", default_value = "target/release/moc-local")]
    host: PathBuf,
    /// The application
    #[arg(long, value_name = "FILE", default_value = "spin.toml")]
    manifest: PathBuf,
    /// The component to compare with [default: built from its crate, moc-bench-hello]
    #[arg(long, value_name = "FILE")]
    hello: Option<PathBuf>,
    /// The same with PostgreSQL [default: built from its crate, moc-bench-hello-postgres]
    #[arg(long, value_name = "FILE")]
    hello_postgres: Option<PathBuf>,
    /// Where the stacks' state is; up to 3 GiB [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the figures are written to
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
    /// What to measure [default: everything but database, endurance, capacity, watchers and attacks]
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let limit = options.measurements.iter().filter_map(|measurement| measurement.own_time_limit()).sum::<Duration>();
    let limit = TIME_LIMIT.max(limit);
    // One thread: the load generator leaves the other core to the host.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("the runtime cannot be started").and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                result = tokio::time::timeout(limit, run(options)) => {
                    result.unwrap_or_else(|_| bail!("not done after {} s", limit.as_secs()))
                }
                result = stop_signal() => {
                    result?;
                    bail!("stopped")
                }
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let started = Instant::now();
    let bench = Bench {
        quick: options.quick,
        host: options.host,
        manifest: options.manifest,
        hello: options.hello,
        hello_postgres: options.hello_postgres,
        state: options.state.unwrap_or_else(std::env::temp_dir),
    };
    if !bench.host.is_file() {
        bail!("there is no local host at {}: build it with `cargo build --release -p moc-local`", bench.host.display());
    }
    let mut report = Report::new(options.quick);
    for measurement in Measurement::value_variants() {
        let is_default = options.measurements.is_empty() && measurement.own_time_limit().is_none();
        if is_default || options.measurements.contains(measurement) {
            measurement.run(&bench, &mut report).await.with_context(|| format!("measuring {measurement}"))?;
        }
    }
    println!("\n{}", report.table());
    report.write(&options.json, started.elapsed())?;
    println!("{} s; the figures are in {}", started.elapsed().as_secs(), options.json.display());
    Ok(())
}

/// Done at the first Ctrl-C or SIGTERM: then the stack that runs is stopped and removed too.
async fn stop_signal() -> Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
