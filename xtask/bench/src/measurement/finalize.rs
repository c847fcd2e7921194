//! What finalize's validation of 20 files takes where S3 responds after 50 ms: at most three such
//! delays, as each file is asked for at once, and 16 of them together.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Bench, NO_BROADCASTER};
use crate::api::Api;
use crate::report::{Figure, Goal, Report, Unit};
use crate::slow_s3::SlowS3;
use crate::statistics::median;

/// Files of the session.
const FILES: usize = 20;
/// How long S3 takes to respond.
const DELAY: Duration = Duration::from_millis(50);
/// What the validation must stay below, in microseconds: three delays.
const LIMIT_MICROS: f64 = 150_000.0;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let store = bench.stack(&bench.manifest).await?;
    let slow = SlowS3::start(store.s3(), DELAY).await?;
    let origin = slow.origin.as_str().trim_end_matches('/');
    let bucket = [("S3_ENDPOINT", origin), ("S3_ACCESS_KEY_ID", "local"), ("S3_SECRET_ACCESS_KEY", "local-secret")];
    let stack = bench.stack_with(&bench.manifest, &[NO_BROADCASTER.as_slice(), &bucket].concat()).await?;
    let rounds = bench.choose(5, 2);
    let mut took = Vec::new();
    let mut one_by_one = Vec::new();
    for _ in 0..rounds {
        let mut api = Api::connect(stack.app()).await?;
        let session = api.upload_small_files(FILES).await?;
        stack.truncate_log()?;
        api.finalize(&session).await?;
        let line = stack.logged("\"validationMs\"").await?;
        let micros = |name: &str| {
            let millis = line.get(name).and_then(Value::as_f64);
            millis.map(|millis| millis * 1000.0).context("the log line lacks a member")
        };
        took.push(micros("validationMs")?);
        one_by_one.push(micros("validationSequentialMs")?);
    }
    let figure = |name: &str, micros: Vec<f64>| Figure::new(name, median(micros), Unit::Microseconds);
    let took = figure("validation of 20 files, S3 after 50 ms", took);
    report.add(took.goal(Goal::Below(LIMIT_MICROS)));
    report.add(figure("the same, one file after the other", one_by_one));
    Ok(())
}
