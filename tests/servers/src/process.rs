//! Processes that end with this one.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_ATTEMPTS: u32 = 3;
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Starts "$@" and ends it, and deletes its folder, when standard input closes: on drop, and also when this process
/// is killed.
const SUPERVISE: &str =
    r#"folder=$1; shift; "$@" </dev/null & child=$!; cat >/dev/null; kill -INT $child; wait $child; rm -rf "$folder""#;

/// A server with its port.
pub struct Server {
    pub port: u16,
    supervisor: Child,
}

impl Server {
    /// Starts the server that `command` makes of a folder and a free port, and waits until `is_ready` of the two.
    /// Another process may take the port first, so it tries a few.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn start(command: impl Fn(&Path, u16) -> Command, is_ready: impl Fn(&Path, u16) -> bool) -> Self {
        (0..START_ATTEMPTS).find_map(|_| Self::attempt(&command, &is_ready)).expect("the server does not start")
    }

    fn attempt(command: impl Fn(&Path, u16) -> Command, is_ready: impl Fn(&Path, u16) -> bool) -> Option<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).ok()?.port();
        let folder = TempDir::new().expect("a temporary folder").keep();
        let command = command(&folder, port);
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISE, "sh"]).arg(&folder).arg(command.get_program()).args(command.get_args());
        let log = if std::env::var_os("MOC_SERVER_LOG").is_some() { Stdio::inherit } else { Stdio::null };
        supervisor.stdin(Stdio::piped()).stdout(log()).stderr(log()).current_dir(&folder);
        let supervisor = supervisor.spawn().expect("a shell");
        let server = Self { port, supervisor };
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_ready(&folder, port) {
            if Instant::now() > deadline {
                eprintln!("{command:?} does not accept connections on port {port}");
                return None;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Runs a program to its end.
///
/// # Panics
/// With its output, if it fails.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The first folder that has a program of this name.
pub fn find(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<_> = folders.chain(std::env::split_paths(&path)).collect();
    all.into_iter().map(|folder| folder.join(name)).find(|program| Path::is_file(program))
}
