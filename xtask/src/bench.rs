//! `cargo xtask bench`: builds what is measured, then the crate moc-bench measures it.

use std::ffi::OsString;

use anyhow::Result;

use crate::build;
use crate::process;
use crate::project::Project;

/// The crate's program.
const MOC_BENCH: &str = "moc-bench";

/// What is handed on to moc-bench.
#[derive(clap::Args)]
pub struct Options {
    /// Arguments of the benchmark; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Measures speed and size.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    build::components(project, build::Target::Spin)?;
    build::program(project, build::LOCAL_HOST)?;
    let mut bench = build::program(project, MOC_BENCH)?;
    process::run("the benchmark", bench.args(&options.arguments).current_dir(project.root()))
}
