//! Checks a deployment from outside, as its users reach it, and explains each finding.
//!
//! Nothing stays behind: what needs a session makes one, and cancels it at the end. Without a token, and where the
//! application wants one, these checks are skipped.

mod check;
#[cfg(test)]
mod fake;
mod finding;
mod http;
mod object;
mod session;
mod socket;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use url::{Host, Url};

pub use crate::finding::{Finding, Level, Report};
use crate::http::Http;

/// What is checked, and with what.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// The deployment, as its users reach it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub url: Url,
    /// A user's token, for the checks that upload a file and cancel its session
    #[arg(long, value_name = "JWT", env = "MOC_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The origin of a page that calls the API, if it is another one than the deployment's
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Option<String>,
    /// Where a scheduler sends its sweeps; the check sends one [default with a secret: the application's public route]
    #[arg(long, value_name = "URL")]
    pub sweep_url: Option<Url>,
    /// The token of that route
    #[arg(long, value_name = "TOKEN", env = "MOC_SWEEP_SECRET", hide_env_values = true)]
    pub sweep_secret: Option<String>,
    /// Certificates to trust instead of the public ones, as PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl Options {
    /// A deployment, and nothing else.
    #[must_use]
    pub const fn of(url: Url) -> Self {
        Self { url, token: None, origin: None, sweep_url: None, sweep_secret: None, ca_file: None }
    }
}

/// A deployment, and the means to reach it.
struct Deployment<'a> {
    options: &'a Options,
    http: Http,
    /// Whether only this machine reaches it.
    is_local: bool,
}

impl Deployment<'_> {
    /// The URL of a path of the API.
    fn api(&self, path: &str) -> String {
        self.at(&format!("/api/mocs/uploads{path}"))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.options.url.as_str().trim_end_matches('/'))
    }

    /// The header with the user's token.
    fn authorization(&self) -> Option<String> {
        let token = self.options.token.as_ref().filter(|token| !token.is_empty());
        token.map(|token| format!("Bearer {token}"))
    }

    /// The origin of the pages that upload: the given one, otherwise the deployment's, which serves a page itself.
    fn page(&self) -> String {
        self.options.origin.clone().unwrap_or_else(|| self.options.url.origin().ascii_serialization())
    }
}

/// Makes every check that is possible.
///
/// # Errors
/// If the options are not valid. What is wrong with the deployment is a finding.
pub fn diagnose(options: &Options) -> Result<Report> {
    if !matches!(options.url.scheme(), "http" | "https") {
        bail!("--url must be an http or https URL");
    }
    if let Some(origin) = &options.origin {
        let url = Url::parse(origin).ok().filter(|url| url.origin().ascii_serialization() == *origin);
        url.with_context(|| format!("--origin must be scheme, host and port, and not {origin:?}"))?;
    }
    let authorities = options.ca_file.as_ref().map(std::fs::read).transpose().context("the --ca-file")?;
    let http = Http::new(authorities.as_deref())?;
    let is_local = match options.url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    let deployment = Deployment { options, http, is_local };
    let mut report = Report::default();
    check::all(&deployment, &mut report);
    Ok(report)
}
