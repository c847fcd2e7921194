//! What receives the webhooks and the traces of the requests under `http/`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::project::Project;

/// The program, next to the requests.
const PROGRAM: &str = "http/receiver.js";
/// What it calls its address by.
const ADDRESS: &str = "receiver ";
/// Where webhooks go; traces go where OTLP has them go.
const WEBHOOK_PATH: &str = "/webhook";
/// What webhooks are signed with.
const SECRET: &str = "whsec_bW9jLXVwbG9hZHMgc2VjcmV0IG9mIHRlc3Rz";

/// A running receiver; it ends when it is dropped.
pub struct Receiver {
    program: Child,
    address: String,
}

impl Receiver {
    /// Starts it on a free port.
    pub fn start(project: &Project) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg(PROGRAM).current_dir(project.root()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().context("node cannot be started")?;
        let mut line = String::new();
        if let Some(stdout) = program.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix(ADDRESS).context("the receiver did not say where it listens")?;
        Ok(Self { address: address.to_owned(), program })
    }

    /// Its address as a variable of httpyac.
    pub fn variable(&self) -> String {
        format!("receiverUrl={}", self.address)
    }

    /// The variables of an app that sends everything to it.
    pub fn app_variables(&self) -> [(&'static str, String); 5] {
        [
            ("enable_thumbnail_generation", "true".to_owned()),
            ("moc_finalize_webhook_url", format!("{}{WEBHOOK_PATH}", self.address)),
            ("moc_finalize_webhook_origin", self.address.clone()),
            ("moc_finalize_webhook_secret", SECRET.to_owned()),
            ("otel_exporter_otlp_endpoint", self.address.clone()),
        ]
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It also ends by itself once its input is closed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
