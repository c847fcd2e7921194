//! `moc-simulate [--seeds N] [--seed S] [--trace]`: simulates N seeds from S on, 1,000 from 0 if nothing is said, and
//! prints every step if asked to.

use std::process::ExitCode;
use std::time::Instant;

use moc_simulator::{Options, simulate};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut first, mut count) = (0_u64, None);
    let mut options = Options::default();
    while let Some(name) = arguments.next() {
        if name == "--trace" {
            options.is_traced = true;
            continue;
        }
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--seeds", Some(value)) => count = Some(value),
            ("--seed", Some(value)) => (first, count) = (value, count.or(Some(1))),
            _ => {
                eprintln!("Usage: moc-simulate [--seeds N] [--seed S] [--trace]");
                return ExitCode::from(2);
            }
        }
    }
    let count = count.unwrap_or(1_000);
    let (started, mut steps, mut mocs, mut failed) = (Instant::now(), 0, 0, Vec::new());
    for seed in first..first.saturating_add(count) {
        match simulate(seed, options) {
            Ok(report) => {
                steps += report.steps;
                mocs += report.mocs;
            }
            Err(failure) => {
                steps += failure.steps;
                eprintln!("{failure}");
                failed.push(seed);
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} seeds, {steps} steps, {mocs} MOCs, {:.0} steps per second, {} failures: {failed:?}",
        steps as f64 / seconds,
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
