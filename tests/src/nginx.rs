//! nginx with [nchan](https://nchan.io), as Debian packages it: a broadcaster that is not ours.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::fault_proxy::socket;
use crate::kept::{self, Kept};

const BINARY: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
/// Where events are published and watched. `MODULE`, `ADDRESS` and `KEY` stand for what is not known before.
const CONFIGURATION: &str = include_str!("nchan.conf");

/// Longest time a start may take.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running nginx. Dropping it kills it.
pub struct Nginx {
    _kept: Kept,
    address: SocketAddr,
    /// Bound but not listening, so that the port stays reserved until nginx has it.
    _reserved: TcpSocket,
    _prefix: TempDir,
}

impl Nginx {
    /// Whether it is installed. A machine of a developer may lack it, which the tests' output shows.
    pub fn is_installed() -> bool {
        let installed = Path::new(BINARY).exists() && Path::new(MODULE).exists();
        assert!(installed || std::env::var_os("CI").is_none(), "nginx with nchan is not installed: {BINARY}, {MODULE}");
        installed
    }

    /// Starts one that takes messages from whoever has this key.
    pub fn start(key: &str) -> Self {
        let prefix = TempDir::new().expect("a directory for nginx");
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = reserved.local_addr().expect("a bound socket has an address");
        let configuration =
            CONFIGURATION.replace("MODULE", MODULE).replace("ADDRESS", &address.to_string()).replace("KEY", key);
        fs::write(prefix.path().join("nginx.conf"), configuration).expect("a configuration");
        let log = prefix.path().join("log");
        let mut command = kept::command(BINARY);
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(prefix.path());
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let nginx = Self { _kept: Kept::start(command), address, _reserved: reserved, _prefix: prefix };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(started.elapsed() < START_LIMIT, "nginx does not listen at {address}: {}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx
    }

    /// `http://…`, where it takes messages.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `ws://…`, where it gives them out.
    pub fn server_url(&self) -> String {
        format!("ws://{}", self.address)
    }
}
