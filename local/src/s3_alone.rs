//! The `s3` command: the embedded S3 without the application.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::Args;
use s3s::auth::SimpleAuth;

use crate::host_names::HostNames;
use crate::private;
use crate::s3::{EmbeddedS3, Readers};
use crate::s3_cors::CorsRules;
use crate::up::{S3_ACCESS_KEY_ID, S3_BUCKET, S3_SECRET_ACCESS_KEY, parse_origins, say, stop_signal};

/// Runs the S3 that `up` embeds, with the same bucket and keys, until Ctrl-C.
#[derive(Debug, Args)]
pub struct Options {
    /// Where it listens; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The bucket is in its folder `s3`.
    #[arg(long, value_name = "DIR", default_value = ".local")]
    state: PathBuf,
    /// Pages that may send parts: origins with commas between them, * for all, or nothing for none.
    #[arg(long, value_name = "ORIGINS", default_value = "")]
    origins: String,
    /// Nobody reads an object without a signed URL.
    #[arg(long)]
    private: bool,
}

/// Runs until a signal stops it.
/// Errors: anything that keeps the S3 from starting, in one sentence.
pub async fn run(options: Options) -> Result<()> {
    let state = &options.state;
    private::create_folder(state)?;
    let cors = CorsRules::new(parse_origins(options.origins)?, None);
    let auth = SimpleAuth::from_single(S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY);
    let readers = if options.private { Readers::Signed } else { Readers::Public };
    let (s3, address) = EmbeddedS3::open(options.listen, state, S3_BUCKET, auth, readers).await?;
    let signal = stop_signal()?;
    say(&format!("s3 http://{address} bucket {S3_BUCKET}"));
    tokio::select! {
        () = s3.run(HostNames::new(address, Default::default()), cors) => {}
        () = signal => {}
    }
    Ok(())
}
