//! `up --spin`: the same surroundings, with the application run by `spin up`.

use std::time::{Duration, Instant};
use std::{collections::BTreeMap, io::ErrorKind, net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::process::{Child, Command};

use crate::variables::environment_name;

/// How long Spin may take until it responds: it compiles every component first.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long Spin may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// A running `spin up`.
pub struct Spin(Child);

impl Spin {
    /// Starts `spin up`, with the process's environment and `variables`.
    /// Errors: no `spin` command.
    pub fn start(
        manifest: &Path,
        address: SocketAddr,
        state: &Path,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let child = Command::new("spin")
            .args(["up", "--listen", &address.to_string(), "--state-dir"])
            .arg(state.join("spin"))
            .arg("-f")
            .arg(manifest)
            .envs(variables.iter().map(|(name, value)| (environment_name(name), value)))
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .kill_on_drop(true)
            .spawn();
        match child {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("the `spin` command is not installed: see https://spinframework.dev/install, or leave out --spin")
            }
            child => Ok(Self(child.context("cannot start `spin up`")?)),
        }
    }

    /// Waits until the application responds.
    /// Errors: Spin ended, or the application did not respond in time.
    pub async fn ready(&mut self, address: SocketAddr) -> Result<()> {
        let start = Instant::now();
        while !healthy(address).await.is_ok_and(|healthy| healthy) {
            if let Some(status) = self.0.try_wait()? {
                bail!("`spin up` ended before the application responded: {status}");
            }
            if start.elapsed() > START_LIMIT {
                bail!("`spin up` did not respond within {} s", START_LIMIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until Spin ends by itself, which is an error.
    pub async fn wait(&mut self) -> Result<()> {
        bail!("`spin up` ended: {}", self.0.wait().await?)
    }

    /// Stops Spin as Ctrl-C does, so that it stops the process that it has started itself.
    pub async fn stop(mut self) {
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        }
        if tokio::time::timeout(STOP_LIMIT, self.0.wait()).await.is_err() {
            let _ = self.0.kill().await;
        }
    }
}

async fn healthy(address: SocketAddr) -> Result<bool> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(format!("http://{address}/.well-known/spin/health").parse()?);
    Ok(tokio::time::timeout(Duration::from_secs(1), response).await??.status().is_success())
}
