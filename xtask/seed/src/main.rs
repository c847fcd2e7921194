//! Puts the fixtures that the `.http` files use into a running stack's database and bucket.
//!
//! They have fixed ids, and times relative to now. Running it again puts exactly them back into
//! their first state and leaves everything else alone.

mod bucket;
mod database;
mod document;
mod fixture;
mod picture;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use moc_domain::id::UserId;
use moc_domain::time::Timestamp;
use url::Url;

use crate::bucket::{Bucket, BucketOptions};
use crate::database::Database;

#[derive(Parser)]
#[command(about = "Put the fixtures that the .http files use into a running stack's database and bucket")]
struct Options {
    /// State folder of the local host
    #[arg(long, value_name = "DIR", default_value = ".local")]
    state: PathBuf,
    /// The app's database, if it is not the local host's
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Origin of the S3 server
    #[arg(long, value_name = "URL", env = "SPIN_VARIABLE_S3_ENDPOINT", default_value = "http://127.0.0.1:9000")]
    s3: Url,
    #[command(flatten)]
    bucket: BucketOptions,
    /// The user who owns the fixtures, all but one
    #[arg(long, env = "SPIN_VARIABLE_DEV_USER_SUB", default_value = "dev-user")]
    user: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let user = UserId::parse(&options.user).context("the user is not one that a token could name")?;
    let bucket = Bucket::new(options.s3.clone(), &options.bucket)?;
    let mut fixtures = fixture::all(now()?, &user)?;
    for file in fixtures.iter_mut().flat_map(|fixture| &mut fixture.files) {
        if let Some(object) = &file.object {
            let etag = bucket.put(&file.file.key, file.file.content, object)?;
            file.file.etag = Some(etag);
        }
    }
    let path = options.db.clone().unwrap_or_else(|| options.state.join("sqlite").join("default.db"));
    Database::open(&path)?.reset(&fixtures)?;
    print!("{}", table::of(&fixtures));
    Ok(())
}

fn now() -> Result<Timestamp> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(Timestamp::from_millis(i64::try_from(since_epoch.as_millis())?))
}
