//! Hosts whose broadcaster is missing, rejects connections, or never responds.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

use crate::host::Host;
use crate::project::Project;

/// How the warning begins that a broadcaster cannot be reached.
const WARNING: &str = "progress events: ";
/// A port on which nothing listens (RFC 1078's, which nobody uses).
const CLOSED_PORT: u16 = 1;

/// Hosts whose broadcaster is missing, rejects connections, or never responds.
pub struct BrokenBroadcasters {
    none: Host,
    rejecting: Host,
    hanging: Host,
    /// The operating system takes connections for it; nobody reads from them.
    _silent: TcpListener,
}

impl BrokenBroadcasters {
    /// Starts the hosts.
    pub fn start(project: &Project) -> Result<Self> {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let silent_port = silent.local_addr()?.port();
        Ok(Self {
            // Set, but empty: otherwise the host would start a broadcaster.
            none: Host::start(project, &[("websocket_api_url", "")])?,
            rejecting: with_broadcaster(project, CLOSED_PORT)?,
            hanging: with_broadcaster(project, silent_port)?,
            _silent: silent,
        })
    }

    /// Their addresses as variables of httpyac, by the names that the requests have for them.
    pub fn addresses(&self) -> [String; 3] {
        [
            format!("noBroadcasterUrl={}", self.none.stack().base_url),
            format!("rejectingBroadcasterUrl={}", self.rejecting.stack().base_url),
            format!("hangingBroadcasterUrl={}", self.hanging.stack().base_url),
        ]
    }

    /// Checks that those warn whose broadcaster is broken, and that one without a broadcaster does not.
    pub fn check_logs(&self) -> Result<()> {
        let hosts =
            [("no", &self.none, false), ("a rejecting", &self.rejecting, true), ("a hanging", &self.hanging, true)];
        for (kind, host, expected) in hosts {
            let log = host.log();
            if log.lines().any(|line| line.contains(WARNING)) != expected {
                let sentence = if expected { "has not warned of it" } else { "has warned" };
                bail!("the host with {kind} broadcaster {sentence}:\n{log}");
            }
        }
        Ok(())
    }
}

/// A host that takes a local port for its broadcaster.
fn with_broadcaster(project: &Project, port: u16) -> Result<Host> {
    let origin = format!("http://127.0.0.1:{port}");
    Host::start(
        project,
        &[
            ("websocket_api_url", &format!("{origin}/ws/broadcast")),
            ("websocket_api_origin", &origin),
            ("websocket_api_key", "local-key"),
            ("websocket_server_url", &format!("ws://127.0.0.1:{port}")),
            ("websocket_token_secret", "local-secret-of-tokens-for-watching"),
        ],
    )
}
