//! `cargo xtask generate`: everything that follows from the code, which the crate moc-generate writes, and the
//! client's types, which openapi-typescript makes of the OpenAPI document.

use anyhow::Result;

use crate::build;
use crate::npm::Installation;
use crate::process;
use crate::project::Project;

const MOC_GENERATE: &str = "moc-generate";

#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail if a file is not up to date
    #[arg(long)]
    pub check: bool,
}

/// Writes the generated files, or checks them.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut generate = build::program(project, MOC_GENERATE)?;
    generate.arg(project.root());
    if options.check {
        generate.arg("--check");
    }
    process::run("generating", &mut generate)?;
    let script = if options.check { "generate:check" } else { "generate" };
    Installation::of_workspace(project)?.run("client", script)
}
