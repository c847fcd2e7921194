//! The project's commands, started as `cargo xtask <command>`.

mod asyncapi;
mod bench;
mod black_box;
mod build;
mod docs;
mod doctor;
mod front_end;
mod generate;
mod host;
mod http_files;
mod npm;
mod process;
mod project;
mod python;
mod seed;
mod simulate;
mod test;
mod up;
mod wasm_target;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::project::Project;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Subcommand)]
enum XtaskCommand {
    /// Build everything and run the application on this machine, with a bucket; Ctrl-C stops it
    Up(up::Options),
    /// Run every check and every test
    Test(test::Options),
    /// Build the components for a host into target/wasm32-wasip2/, with the pages that they embed
    Build(build::Options),
    /// Write the files that follow from the code: spin.toml's components, worlds, documents, tables, bounds
    Generate(generate::Options),
    /// Render the documentation to target/docs
    Docs(docs::Options),
    /// Check a deployment from outside, and explain each finding
    Doctor(doctor::Options),
    /// Put the fixtures of the .http files into the database and the bucket of a running application
    Seed(seed::Options),
    /// Run the use cases in a simulation with faults
    Simulate(simulate::Options),
    /// Measure speed, memory and size, and print a table
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: XtaskCommand) -> Result<()> {
    let project = Project::locate()?;
    match command {
        XtaskCommand::Up(options) => up::run(&project, &options),
        XtaskCommand::Test(options) => test::run(&project, &options),
        XtaskCommand::Build(options) => build::run(&project, &options),
        XtaskCommand::Generate(options) => generate::run(&project, &options),
        XtaskCommand::Docs(options) => docs::run(&project, &options),
        XtaskCommand::Doctor(options) => doctor::run(&project, &options),
        XtaskCommand::Seed(options) => seed::run(&project, &options),
        XtaskCommand::Simulate(options) => simulate::run(&project, &options),
        XtaskCommand::Bench(options) => bench::run(&project, &options),
    }
}

/// Whether this runs on CI, where nothing may be skipped and lock files are law.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}
