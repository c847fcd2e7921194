//! The size of each component's file.

use anyhow::{Context, Result};

use super::Bench;
use crate::manifest;
use crate::report::{Figure, Goal, Report, Unit};

/// What every component must be smaller than, in bytes.
const LIMIT_BYTES: f64 = 1_048_576.0;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (id, path) in manifest::components(&bench.manifest)? {
        let bytes = std::fs::metadata(&path).with_context(|| format!("{} is not built", path.display()))?.len();
        report.add(Figure::new(format!("size of {id}"), bytes as f64, Unit::Bytes).goal(Goal::Below(LIMIT_BYTES)));
    }
    Ok(())
}
