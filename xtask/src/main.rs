//! The project's commands, started as `cargo xtask <command>`.

mod asyncapi;
mod bench;
mod build;
mod front_end;
mod host;
mod http_files;
mod npm;
mod openapi;
mod process;
mod project;
mod seed;
mod test;
mod up;
mod variables;
mod wasm_target;
mod watch;

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
    /// Build every component into target/wasm32-wasip2/component/
    Build,
    /// Build everything and run the app on this machine, with a bucket; Ctrl-C stops it
    Up(up::Options),
    /// Check the format, run clippy and every test; needs nothing prepared
    Test(test::Options),
    /// Put the fixtures that the .http files use into the running app's database and bucket
    Seed(seed::Options),
    /// Show a session's progress events as they come
    Watch(watch::Options),
    /// Write shared/contract/openapi.json, as the code has it
    Openapi,
    /// Write README.md's table of variables, as spin.toml has them
    Variables,
    /// Measure speed and size, and print a table
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
        XtaskCommand::Build => build::components(&project),
        XtaskCommand::Up(options) => up::run(&project, &options),
        XtaskCommand::Test(options) => test::run(&project, &options),
        XtaskCommand::Seed(options) => seed::run(&project, &options),
        XtaskCommand::Watch(options) => watch::run(&project, &options),
        XtaskCommand::Openapi => openapi::write(&project),
        XtaskCommand::Variables => variables::write(&project),
        XtaskCommand::Bench(options) => bench::run(&project, &options),
    }
}
