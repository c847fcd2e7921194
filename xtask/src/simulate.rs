//! `cargo xtask simulate`: the use cases over fakes, with faults, which the crate moc-simulator does.

use anyhow::Result;

use crate::build;
use crate::process;
use crate::project::Project;

const MOC_SIMULATE: &str = "moc-simulate";

/// What is handed on to moc-simulate; it knows the defaults.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds [default: 1,000, or one if --seed is given]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print every step
    #[arg(long)]
    trace: bool,
}

/// Builds moc-simulate and runs it.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut simulate = build::program(project, MOC_SIMULATE)?;
    for (name, value) in [("--seed", options.seed), ("--seeds", options.seeds)] {
        simulate.args(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
    simulate.args(options.trace.then_some("--trace"));
    process::run("the simulation", &mut simulate)
}
