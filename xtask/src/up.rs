//! `cargo xtask up`: everything is built, then the local host takes this process's place.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::{self, Target};
use crate::project::Project;

/// The variable of the app that turns thumbnails on.
const THUMBNAILS: &str = "SPIN_VARIABLE_ENABLE_THUMBNAIL_GENERATION";

/// A platform whose limits the local host knows.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Platform {
    /// Akamai Functions
    Akamai,
}

impl Platform {
    const fn target(self) -> Target {
        match self {
            Self::Akamai => Target::Akamai,
        }
    }

    /// As the local host's option has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Akamai => "akamai",
        }
    }
}

/// What is handed on to the local host; it knows the defaults.
#[derive(clap::Args)]
pub struct Options {
    /// Address to serve the app on [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Folder of the database and the bucket [default: .local]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address to serve the embedded S3 on [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDR")]
    s3_listen: Option<String>,
    /// Origins whose pages may send parts to the embedded S3 [default: the app's and those of allowed_upload_origins]
    #[arg(long, value_name = "ORIGINS")]
    s3_origins: Option<String>,
    /// Address to serve the embedded broadcaster on [default: any free port]
    #[arg(long, value_name = "ADDR")]
    broadcast_listen: Option<String>,
    /// Run the app by `spin up` instead of the local host
    #[arg(long)]
    spin: bool,
    /// Run the build for this platform, under its limits
    #[arg(long, value_enum, conflicts_with = "spin")]
    limits: Option<Platform>,
    /// How long an instance may work after its response under those limits, in milliseconds [default: 0]
    #[arg(long, value_name = "N", requires = "limits")]
    after_response_ms: Option<u64>,
}

/// Builds and runs the app. Returns only when that fails: otherwise the local host has this
/// process's id, so that Ctrl-C and other signals reach it directly.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    build::components(project, options.limits.map_or(Target::Spin, Platform::target))?;
    let mut host = build::program(project, build::LOCAL_HOST)?;
    // Whoever tries the app wants to see a thumbnail.
    if std::env::var_os(THUMBNAILS).is_none() {
        host.env(THUMBNAILS, "true");
    }
    let error = with_options(&mut host, project, options)?.exec();
    Err(error).context("the local host cannot be started")
}

fn with_options<'a>(host: &'a mut Command, project: &Project, options: &Options) -> Result<&'a mut Command> {
    host.arg("up").current_dir(project.root());
    if let Some(address) = &options.listen {
        host.arg("--listen").arg(address);
    }
    if let Some(dir) = &options.state {
        // Relative to where the command was typed, which may be a folder of the project.
        host.arg("--state").arg(std::path::absolute(dir)?);
    }
    if let Some(address) = &options.s3_listen {
        host.arg("--s3-listen").arg(address);
    }
    if let Some(origins) = &options.s3_origins {
        host.arg("--s3-origins").arg(origins);
    }
    if let Some(address) = &options.broadcast_listen {
        host.arg("--broadcast-listen").arg(address);
    }
    if options.spin {
        host.arg("--spin");
    }
    if let Some(platform) = options.limits {
        host.args(["--limits", platform.name()]);
    }
    if let Some(limit) = options.after_response_ms {
        host.arg("--after-response-ms").arg(limit.to_string());
    }
    Ok(host)
}
