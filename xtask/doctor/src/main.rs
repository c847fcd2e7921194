//! `moc-doctor`: prints what is right and wrong with a deployment.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

#[derive(Parser)]
#[command(name = "moc-doctor", about = "Check a deployment from outside")]
struct Command {
    #[command(flatten)]
    options: moc_doctor::Options,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(Command { options, json }: &Command) -> Result<bool> {
    let report = moc_doctor::diagnose(options)?;
    let text = if *json { format!("{:#}", report.json()) } else { report.to_string() };
    writeln!(std::io::stdout(), "{text}").context("the output")?;
    Ok(report.is_healthy())
}
