//! The most memory that the host's process has while files pass, beyond what it has when idle.
//!
//! The embedded S3 is in the same process and counts in full; what it needs by itself is a figure of
//! its own, taken from the same parts sent straight to it.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::content::Content;
use crate::process_memory::{peak_bytes, reset_peak, resident_bytes};
use crate::report::{Figure, Goal, Report, Unit};
use crate::transfer::{Checksum, Uploader, Way};

/// What the peak must stay below, beyond the idle figure, in bytes.
const LIMIT_BYTES: f64 = 67_108_864.0;
/// Parts of the file that warms everything up.
const WARM_UP_PARTS: usize = 8;
/// After this long without work, instances have ended.
const IDLE: Duration = Duration::from_millis(2500);

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let content = Content::new();
    let stack = bench.stack(&bench.manifest).await?;
    let process = stack.process_id()?;
    let mut uploader = Uploader::new(&stack, &content).await?;
    for checksum in [Checksum::Absent, Checksum::Md5] {
        uploader.upload(Way::Route, checksum, WARM_UP_PARTS).await?;
    }
    uploader.upload(Way::Bare, Checksum::Absent, WARM_UP_PARTS).await?;
    tokio::time::sleep(IDLE).await;
    let idle = resident_bytes(process)?;
    report.add(Figure::new("memory of the idle host", idle as f64, Unit::Bytes));

    let large = bench.choose(("2 GiB", 256), ("512 MiB", 64));
    let runs = [
        ("512 MiB straight to the embedded S3", Way::Bare, Checksum::Absent, 64),
        ("512 MiB, no checksum", Way::Route, Checksum::Absent, 64),
        ("512 MiB, Content-MD5", Way::Route, Checksum::Md5, 64),
        (large.0, Way::Route, Checksum::Absent, large.1),
    ];
    for (name, way, checksum, parts) in runs {
        reset_peak(process)?;
        uploader.upload(way, checksum, parts).await?;
        let peak = peak_bytes(process)?;
        let figure = Figure::new(format!("memory beyond idle, {name}"), peak as f64 - idle as f64, Unit::Bytes)
            .detail("peakBytes", peak)
            .detail("idleBytes", idle);
        report.add(match way {
            Way::Direct | Way::Bare => figure.note("the S3's own share"),
            Way::Route => figure.goal(Goal::Below(LIMIT_BYTES)).note("with the embedded S3's share"),
        });
        tokio::time::sleep(IDLE).await;
    }
    Ok(())
}
