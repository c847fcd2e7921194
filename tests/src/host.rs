//! One process of the local host.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// Longest time a start may take; the first one compiles every component.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Starts a server and ends it with SIGKILL as soon as its own standard input ends, which the
/// operating system sees to however the tests' process ends.
pub(crate) const KEEPER: &str =
    r#""$@" & server=$!; exec >/dev/null 2>&1; read -r _; kill -9 "$server"; wait "$server""#;

/// All that a host has written to stderr, from start to start.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// The lines so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(bytes));
    }
}

/// How a host is started.
pub struct Settings {
    /// The value of `--state`.
    pub state: PathBuf,
    /// Names of variables in lower case, and their values.
    pub variables: Vec<(String, String)>,
    /// The application's manifest.
    pub manifest: PathBuf,
}

/// The project's directory.
fn project() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate is a directory of the project")
}

/// The application's own manifest.
pub fn manifest() -> PathBuf {
    project().join("spin.toml")
}

/// Writes a copy of the manifest with more routes, each a path and its component: so tests reach those that
/// only other components do.
pub fn manifest_with_routes(directory: &Path, routes: &[(&str, &str)]) -> PathBuf {
    let manifest = std::fs::read_to_string(manifest()).expect("the manifest");
    let mut copy = manifest.replace("\nsource = \"", &format!("\nsource = \"{}/", project().display()));
    for (route, component) in routes {
        copy += &format!("\n[[trigger.http]]\nroute = \"{route}\"\ncomponent = \"{component}\"\n");
    }
    let path = directory.join("spin.toml");
    std::fs::write(&path, copy).expect("a copy of the manifest");
    path
}

/// A running host. Dropping it kills it.
pub struct Host {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    /// `http://…`, where the app listens.
    pub base_url: String,
    /// `http://…`, where the embedded S3 listens, if it runs.
    pub s3_url: Option<String>,
}

impl Host {
    /// Starts a host and waits until it is ready.
    pub fn start(settings: &Settings, log: &Log) -> Self {
        let binary = binary();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(&binary).arg("up");
        command.args(["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"]);
        command.arg("--manifest").arg(&settings.manifest).arg("--state").arg(&settings.state);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SPIN_VARIABLE_") {
                command.env_remove(name);
            }
        }
        for (name, value) in &settings.variables {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell starts");

        let (Some(stdout), Some(stderr)) = (keeper.stdout.take(), keeper.stderr.take()) else {
            unreachable!("both are piped");
        };
        read_into(stderr, log.clone());
        let lines = lines(stdout);
        let mut host = Self { lifeline: keeper.stdin.take(), keeper, base_url: String::new(), s3_url: None };
        while host.base_url.is_empty() {
            let Ok(line) = lines.recv_timeout(START_LIMIT) else {
                panic!("{} did not become ready:\n{}", binary.display(), log.text());
            };
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["s3", url, ..] => host.s3_url = Some(url.to_owned()),
                ["ready", url] => url.clone_into(&mut host.base_url),
                _ => {}
            }
        }
        host
    }
}

/// Starts a host that must reject these variables; returns whether it ended with exit code 1, and what it said.
pub fn rejected(state: &Path, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(["up", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"]);
    command.arg("--manifest").arg(manifest());
    command.arg("--state").arg(state).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, value) in variables {
        command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
    }
    let mut host = command.spawn().expect("the host starts");
    let log = Log::default();
    let reading = read_into(host.stderr.take().expect("it is piped"), log.clone());
    let started = std::time::Instant::now();
    loop {
        if let Some(status) = host.try_wait().expect("the host can be waited for") {
            reading.join().expect("its end is read");
            return (status.code() == Some(1), log.text());
        }
        if started.elapsed() > START_LIMIT {
            let _ = host.kill();
            let _ = host.wait();
            return (false, log.text());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

impl Host {
    /// A line of the host's `/proc/<pid>/status` (proc(5)), in bytes; Linux only.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running host");
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a size in kB") * 1024
    }

    /// The most resident memory that it had since [`Host::reset_memory_peak`], in bytes.
    pub fn memory_peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Starts a new peak at what is resident now, and gives that.
    pub fn reset_memory_peak(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("the peak can be reset");
        self.memory("VmRSS:")
    }

    /// The keeper's only child.
    fn pid(&self) -> u32 {
        let keeper = self.keeper.id();
        let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap_or_default();
        children.trim().parse().expect("the keeper has one child")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.keeper.wait();
    }
}

/// `MOC_LOCAL_BIN`, or what the build put next to the tests: `target/release/moc-local`.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MOC_LOCAL_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the tests know their own path");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let here = profile.join("moc-local");
    if here.exists() { here } else { profile.with_file_name("release").join("moc-local") }
}

fn read_into(mut stream: impl Read + Send + 'static, log: Log) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            log.append(&buffer[..count]);
        }
    })
}

/// Lines as they come; the channel closes when the process does.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody listens any more once the host is ready, but it must not wait for a reader.
            let _ = sender.send(line);
        }
    });
    receiver
}
