//! `cargo xtask seed`: the fixtures, which the crate moc-seed knows.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::build;
use crate::host::{Host, remove_app_variables};
use crate::process;
use crate::project::Project;

/// The crate's program.
const MOC_SEED: &str = "moc-seed";

/// Where the running app keeps its things; the crate moc-seed knows the defaults.
#[derive(clap::Args)]
pub struct Options {
    /// State folder of the running app [default: .local]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The app's database, if it is not in the state folder (`spin up`: .spin/sqlite_db.db)
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The app's S3 server [default: http://127.0.0.1:9000]
    #[arg(long, value_name = "URL")]
    s3: Option<String>,
}

/// Builds moc-seed and puts the fixtures into a running stack, whose bucket may be set in the
/// environment as the app's.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut seed = build::program(project, MOC_SEED)?;
    seed.current_dir(project.root());
    if let Some(dir) = &options.state {
        seed.arg("--state").arg(std::path::absolute(dir)?);
    }
    if let Some(file) = &options.db {
        seed.arg("--db").arg(std::path::absolute(file)?);
    }
    if let Some(url) = &options.s3 {
        seed.arg("--s3").arg(url);
    }
    process::run("seeding", &mut seed)
}

/// Puts the fixtures into a host that was started for a test, with the moc-seed that is built.
pub fn run_on(project: &Project, host: &Host) -> Result<()> {
    let mut seed = Command::new(project.program(MOC_SEED));
    remove_app_variables(&mut seed);
    seed.arg("--state").arg(host.state_dir()).arg("--s3").arg(&host.stack().s3_url);
    process::run("seeding", &mut seed)
}
