//! `cargo xtask watch`: a session's events, which the crate moc-watch shows.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::build;
use crate::project::Project;

/// The crate's program.
const MOC_WATCH: &str = "moc-watch";

/// What is handed on to moc-watch; it knows the defaults.
#[derive(clap::Args)]
pub struct Options {
    /// The session
    session_id: String,
    /// Where the app is [default: http://127.0.0.1:3000]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The user's token, where the app wants one; it can also be in MOC_TOKEN
    #[arg(long, value_name = "JWT")]
    token: Option<String>,
}

/// Builds moc-watch and runs it. Returns only when that fails: otherwise moc-watch has this
/// process's id and ends it.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut watch = build::program(project, MOC_WATCH)?;
    watch.arg(&options.session_id);
    if let Some(url) = &options.base_url {
        watch.arg("--base-url").arg(url);
    }
    if let Some(token) = &options.token {
        // Not as an argument, which everyone on the machine could read.
        watch.env("MOC_TOKEN", token);
    }
    let error = watch.exec();
    Err(error).context("moc-watch cannot be started")
}
