//! Processes that end with this one.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_ATTEMPTS: u32 = 3;
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Starts "$@". Each line of standard input names a signal that ends it and starts it again. When standard input
/// closes, on drop and also when this process is killed, it ends by the signal "$1" and its folder is deleted.
const SUPERVISE: &str = r#"end=$1; folder=$2; shift 2; "$@" </dev/null & child=$!
while read -r signal; do kill -"$signal" $child; wait $child; "$@" </dev/null & child=$!; done
kill -"$end" $child; wait $child; rm -rf "$folder""#;

/// A server with its port.
pub struct Server {
    pub port: u16,
    pub folder: PathBuf,
    supervisor: Child,
}

impl Server {
    /// Starts the server that `command` makes of a folder and a free port, and waits until `is_ready` of the two.
    /// Another process may ask for the port by its number first, so it tries a few. `signal` ends the server; Python
    /// ignores `INT` in the background.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn start(signal: &str, command: impl Fn(&Path, u16) -> Command, is_ready: impl Fn(&Path, u16) -> bool) -> Self {
        let attempt = |_| Self::attempt(signal, &command, &is_ready);
        (0..START_ATTEMPTS).find_map(attempt).expect("the server does not start")
    }

    fn attempt(
        signal: &str,
        command: impl Fn(&Path, u16) -> Command,
        is_ready: impl Fn(&Path, u16) -> bool,
    ) -> Option<Self> {
        let port = reserve_port().ok()?;
        let folder = TempDir::new().expect("a temporary folder").keep();
        let command = command(&folder, port);
        let mut supervisor = Command::new("sh");
        supervisor
            .args(["-c", SUPERVISE, "sh", signal])
            .arg(&folder)
            .arg(command.get_program())
            .args(command.get_args());
        let log = if std::env::var_os("MOC_SERVER_LOG").is_some() { Stdio::inherit } else { Stdio::null };
        supervisor.stdin(Stdio::piped()).stdout(log()).stderr(log()).current_dir(&folder);
        let supervisor = supervisor.spawn().expect("a shell");
        let server = Self { port, folder, supervisor };
        if !server.wait_until(is_ready) {
            eprintln!("{command:?} does not accept connections on port {port}");
            return None;
        }
        Some(server)
    }

    /// Ends the program with a signal, starts it again on the same port and folder, and waits until `is_ready` of the
    /// two, which must not be true of the program that ends.
    ///
    /// # Panics
    /// If it does not start again.
    pub fn restart(&mut self, signal: &str, is_ready: impl Fn(&Path, u16) -> bool) {
        let supervisor = self.supervisor.stdin.as_mut().expect("the supervisor's standard input");
        writeln!(supervisor, "{signal}").expect("the supervisor has ended");
        assert!(self.wait_until(is_ready), "the server on port {} does not start again", self.port);
    }

    fn wait_until(&self, is_ready: impl Fn(&Path, u16) -> bool) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_ready(&self.folder, self.port) {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// A port that the system gives to nobody else for a minute, unless a server asks for it by its number.
///
/// A port that was merely free goes to the next one who asks: two servers start on it, and the test of the one that
/// cannot listen uses the other's. A connection that this end closes first leaves the port in TIME_WAIT, where the
/// system chooses it for no other listener or connection, while `SO_REUSEADDR` lets a listener have it by number.
fn reserve_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let client = TcpStream::connect(address)?;
    let (server, _) = listener.accept()?;
    drop(server);
    drop(client);
    Ok(address.port())
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

/// The folder of the programs from PyPI, where `cargo xtask test` installs them.
pub fn python_programs() -> impl Iterator<Item = PathBuf> {
    std::iter::once(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Of ports that are merely free, the system gives one in three twice.
    #[test]
    fn reserves_no_port_twice() {
        let ports: HashSet<_> = (0..500).map(|_| reserve_port().unwrap()).collect();
        assert_eq!(ports.len(), 500);
        assert!(ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()));
    }
}
