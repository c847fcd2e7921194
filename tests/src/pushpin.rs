//! [Pushpin](https://pushpin.org), as Debian packages it: a proxy before the application that keeps WebSockets for it,
//! and gives them what is published at a port of its own.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::fault_proxy::socket;
use crate::kept::{self, Kept};
use crate::temporary_folder;

/// What `/usr/bin/pushpin` starts, each in a process group of its own, where they outlive it if it is killed; and zurl,
/// which the package runs as a service.
const PROGRAMS: [&str; 4] = ["/usr/bin/zurl", "/usr/bin/condure", "/usr/bin/pushpin-proxy", "/usr/bin/pushpin-handler"];
const SCRIPT: &str = r#"
"$1" --config=zurl.conf &
"$2" --listen="$5,stream" --zclient-stream=ipc://condure &
"$3" --config=pushpin.conf &
exec "$4" --config=pushpin.conf"#;
/// `KEY` and `PORT` are replaced.
const CONFIGURATION: &str = include_str!("pushpin/pushpin.conf");
const ZURL_CONFIGURATION: &str = include_str!("pushpin/zurl.conf");

/// Longest time a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Pushpin at two ports of its own. Dropping it kills it.
pub struct Pushpin {
    running: Option<Kept>,
    /// Bound but not listening, so that the ports stay reserved: those for clients and for publishers.
    reserved: [TcpSocket; 2],
    folder: TempDir,
}

impl Pushpin {
    /// Whether it is installed. A machine of a developer may lack it, which the tests' output shows.
    pub fn is_installed() -> bool {
        let missing = PROGRAMS.iter().find(|program| !Path::new(program).exists());
        assert!(missing.is_none() || std::env::var_os("CI").is_none(), "Pushpin is not installed: {missing:?}");
        missing.is_none()
    }

    /// One that is not running yet: an application has to know its addresses, and it that of the application. It signs
    /// its requests with this key (`sig_key`).
    pub fn reserve(key: &str) -> Self {
        let reserved = [(); 2].map(|()| socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port"));
        let pushpin = Self { running: None, reserved, folder: temporary_folder() };
        let port = pushpin.publishers().port().to_string();
        pushpin.write("pushpin.conf", &CONFIGURATION.replace("KEY", key).replace("PORT", &port));
        pushpin.write("zurl.conf", ZURL_CONFIGURATION);
        pushpin
    }

    /// Starts it before the application at `base_url`; one that runs is killed.
    pub fn start(&mut self, base_url: &str) {
        self.write("routes", &format!("* {},over_http\n", base_url.trim_start_matches("http://")));
        self.restart();
    }

    /// Kills it, if it runs, and starts it with the same addresses before the same application.
    pub fn restart(&mut self) {
        self.stop();
        // The shell that kills its programs may end before the last of them.
        while TcpStream::connect(self.clients()).is_ok() || TcpStream::connect(self.publishers()).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut command = kept::command("sh");
        command.args(["-c", SCRIPT, "sh"]).args(PROGRAMS).arg(self.clients().to_string());
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(log.try_clone().expect("a log"));
        command.stdout(log);
        self.running = Some(Kept::start(command));
        let started = Instant::now();
        while !self.is_ready() {
            assert!(started.elapsed() < START_LIMIT, "Pushpin is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as a crash does.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// `http://…`, where messages are published without a key (`push_in_http_port`).
    pub fn publishing_origin(&self) -> String {
        format!("http://{}", self.publishers())
    }

    /// `http://…`, where it stands before the application.
    pub fn origin(&self) -> String {
        format!("http://{}", self.clients())
    }

    /// `ws://…`, where sessions are watched through it: `websocket_server_url`.
    pub fn server_url(&self) -> String {
        format!("ws://{}/api/mocs/uploads/watch", self.clients())
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn clients(&self) -> SocketAddr {
        self.reserved[0].local_addr().expect("a bound socket has an address")
    }

    fn publishers(&self) -> SocketAddr {
        self.reserved[1].local_addr().expect("a bound socket has an address")
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("a configuration");
    }

    /// Whether it takes messages, and passes the response of the application on: all of its programs have found each
    /// other then.
    fn is_ready(&self) -> bool {
        let respond = |address| -> io::Result<String> {
            let mut connection = TcpStream::connect(address)?;
            connection.set_read_timeout(Some(Duration::from_secs(1)))?;
            connection
                .write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
            let mut head = [0; 12];
            connection.read_exact(&mut head)?;
            Ok(String::from_utf8_lossy(&head).into_owned())
        };
        let passes = respond(self.clients()).is_ok_and(|head| head == "HTTP/1.1 200");
        passes && respond(self.publishers()).is_ok_and(|head| head.starts_with("HTTP/1.1 "))
    }
}
