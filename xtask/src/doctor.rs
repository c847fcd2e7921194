//! `cargo xtask doctor`: checks a deployment from outside, with the crate moc-doctor.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::build;
use crate::project::Project;

/// The crate's program.
const MOC_DOCTOR: &str = "moc-doctor";

/// What is handed on to moc-doctor; it knows the defaults.
#[derive(clap::Args)]
pub struct Options {
    /// The deployment, as its users reach it [default: http://127.0.0.1:3000]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A user's token, for the checks that upload a file and cancel its session; it can also be in MOC_TOKEN
    #[arg(long, value_name = "JWT")]
    token: Option<String>,
    /// The origin of a page that calls the API, if it is another one than the deployment's
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Where a scheduler sends its sweeps; the check sends one
    #[arg(long, value_name = "URL")]
    sweep_url: Option<String>,
    /// The token of that route; it can also be in MOC_SWEEP_SECRET
    #[arg(long, value_name = "TOKEN")]
    sweep_secret: Option<String>,
    /// Certificates to trust instead of the public ones, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Builds moc-doctor and runs it. Returns only when that fails: otherwise moc-doctor has this process's id and ends it.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut doctor = build::program(project, MOC_DOCTOR)?;
    let given = [("--url", &options.url), ("--origin", &options.origin), ("--sweep-url", &options.sweep_url)];
    for (name, value) in given {
        if let Some(value) = value {
            doctor.arg(name).arg(value);
        }
    }
    if let Some(file) = &options.ca_file {
        doctor.arg("--ca-file").arg(std::path::absolute(file)?);
    }
    if options.json {
        doctor.arg("--json");
    }
    // Not as arguments, which everyone on the machine could read.
    for (name, value) in [("MOC_TOKEN", &options.token), ("MOC_SWEEP_SECRET", &options.sweep_secret)] {
        if let Some(value) = value {
            doctor.env(name, value);
        }
    }
    let error = doctor.exec();
    Err(error).context("moc-doctor cannot be started")
}
