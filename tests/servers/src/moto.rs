//! moto: S3 as AWS describes it, in memory, as the PyPI package `moto` bundles it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::NotInstalled;
use crate::process::{Server, find, python_programs};

/// A moto server with one empty bucket, which any credentials may use.
pub struct MotoServer(Server);

impl MotoServer {
    /// Starts a server and creates the bucket.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If it does not start, or does not create the bucket.
    pub fn start(bucket: &str) -> Result<Self, NotInstalled> {
        let moto = find("moto_server", python_programs()).ok_or("moto is not installed (PyPI: moto[server])")?;
        let command = |_: &Path, port: u16| {
            let mut command = Command::new(&moto);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        };
        let is_ready = |_: &Path, port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let server = Self(Server::start("TERM", command, is_ready));
        server.create(bucket);
        Ok(server)
    }

    /// The server's URL, which is also its origin.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// S3 `CreateBucket`.
    fn create(&self, bucket: &str) {
        let port = self.0.port;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("moto accepts connections");
        let request = format!(
            "PUT /{bucket} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("moto reads the request");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("moto responds");
        let status = response.split(' ').nth(1);
        assert_eq!(status, Some("200"), "moto does not create the bucket {bucket}: {response}");
    }
}
