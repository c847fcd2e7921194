//! One host of the application: a process that runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use crate::host_kind::HostKind;
use crate::kept::{self, Kept};
use crate::{spin, wasmtime};

/// Longest time a start may take; the first one compiles every component.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often it is asked whether a host has written where it listens.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// All that a host has written to stderr, from start to start.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// The lines so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(bytes));
    }
}

/// How a host is started.
pub struct Settings {
    /// The folder of its databases.
    pub state: PathBuf,
    /// Names of variables in lower case, and their values.
    pub variables: Vec<(String, String)>,
    /// The application's manifest, or that which names its variables.
    pub manifest: PathBuf,
}

/// The project's directory.
pub(crate) fn project() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate is a directory of the project")
}

/// The application's own manifest.
pub fn manifest() -> PathBuf {
    project().join(HostKind::chosen().manifest())
}

/// The application as one component.
fn one_component() -> PathBuf {
    project().join("target/wasm32-wasip2/component/moc_uploads.wasm")
}

/// Writes a copy of the manifest with more routes, each a path and its component: so tests reach those that
/// only other components do.
pub fn manifest_with_routes(directory: &Path, routes: &[(&str, &str)]) -> PathBuf {
    let original = manifest();
    let folder = original.parent().expect("a file in a folder").display();
    let text = std::fs::read_to_string(&original).expect("the manifest");
    let mut copy = text.replace("\nsource = \"", &format!("\nsource = \"{folder}/"));
    for (route, component) in routes {
        copy += &format!("\n[[trigger.http]]\nroute = \"{route}\"\ncomponent = \"{component}\"\n");
    }
    let path = directory.join("spin.toml");
    std::fs::write(&path, copy).expect("a copy of the manifest");
    path
}

/// Where both kinds of host have the database of an application whose state is in this folder.
pub(crate) fn database_file(state: &Path) -> PathBuf {
    state.join("sqlite").join("default.db")
}

/// As [`database_file`], of the key-value store.
pub(crate) fn key_value_file(state: &Path) -> PathBuf {
    state.join("kv").join("default.db")
}

/// A running host. Dropping it kills it.
pub struct Host {
    kept: Kept,
    /// `http://…`, where the app listens.
    pub base_url: String,
}

impl Host {
    /// Starts a host and waits until it is ready. The first one starts alone: after a build it compiles every component
    /// for the cache of the others.
    pub fn start(kind: HostKind, settings: &Settings, log: &Log) -> Self {
        static IS_COMPILED: Mutex<bool> = Mutex::new(false);
        let mut is_compiled = IS_COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_compiled {
            drop(is_compiled);
            return Self::start_now(kind, settings, log);
        }
        let host = Self::start_now(kind, settings, log);
        *is_compiled = true;
        host
    }

    fn start_now(kind: HostKind, settings: &Settings, log: &Log) -> Self {
        let (mut command, origin): (_, fn(&str) -> Option<String>) = match kind {
            HostKind::Local | HostKind::Akamai | HostKind::Wasi => {
                let mut command = kept::command(binary());
                command.args(["up", "--listen", "127.0.0.1:0", "--manifest"]).arg(&settings.manifest);
                command.arg("--state").arg(&settings.state);
                if kind == HostKind::Wasi {
                    command.arg("--component").arg(one_component());
                }
                if kind == HostKind::Akamai {
                    command.args(["--limits", "akamai"]);
                    if let Ok(limit) = std::env::var("MOC_TEST_AFTER_RESPONSE_MS") {
                        command.args(["--after-response-ms", &limit]);
                    }
                }
                (command, |line| line.strip_prefix("ready ").map(str::to_owned))
            }
            HostKind::Wasmtime => {
                let mut command = kept::command("wasmtime");
                command.args(wasmtime::ARGUMENTS).arg(one_component()).env_clear();
                command.envs(wasmtime::environment(&settings.variables));
                (command, wasmtime::origin)
            }
            HostKind::Spin => {
                spin::write_runtime_config(&settings.state);
                let mut command = kept::command("spin");
                // Spin reads the file `.env` of its working directory.
                command.args(spin::arguments(settings)).current_dir(&settings.state);
                (command, spin::origin)
            }
            HostKind::Url => unreachable!("the tests start no host where one is running"),
        };
        if kind != HostKind::Wasmtime {
            set_variables(&mut command, settings.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());

        let mut kept = Kept::start(command);
        let (written, before) = (log.clone(), log.text().len());
        kept.errors(move |bytes| written.append(bytes));
        let lines = kept.lines();
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            let line = lines.recv_timeout(POLL_INTERVAL);
            let mut base_url = line.as_deref().ok().and_then(origin);
            if base_url.is_none() {
                // `wasmtime` writes it to stderr.
                let text = log.text().split_off(before);
                base_url = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).find_map(origin);
            }
            if let Some(base_url) = base_url {
                return Self { kept, base_url };
            }
            if line == Err(RecvTimeoutError::Disconnected) {
                break;
            }
        }
        panic!("the host ({kind:?}) did not become ready:\n{}", log.text());
    }
}

/// Gives the application these variables and no others.
fn set_variables<'a>(command: &mut Command, variables: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SPIN_VARIABLE_") {
            command.env_remove(name);
        }
    }
    command.envs(variables.map(|(name, value)| (format!("SPIN_VARIABLE_{}", name.to_uppercase()), value)));
}

/// Starts a local host that must reject these variables; returns whether it ended with exit code 1, and what it said.
/// Spin does not read the variables of an application before a component asks for them.
pub fn rejected(state: &Path, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = kept::command("sh");
    command.args(["-c", r#""$@"; echo "exit code $?""#, "sh"]).arg(binary());
    command.args(["up", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--manifest"]).arg(manifest());
    command.arg("--state").arg(state).stdout(Stdio::piped()).stderr(Stdio::piped());
    set_variables(&mut command, variables.iter().copied());
    let (mut kept, log) = (Kept::start(command), Log::default());
    let written = log.clone();
    kept.errors(move |bytes| written.append(bytes));
    let lines = kept.lines();
    let code = loop {
        match lines.recv_timeout(START_LIMIT) {
            Ok(line) if line.starts_with("exit code ") => break line,
            // It runs.
            Ok(line) if line.starts_with("ready ") => break line,
            Ok(_) => {}
            Err(_) => break String::new(),
        }
    };
    drop(kept);
    (code == "exit code 1", log.text())
}

impl Host {
    /// A line of the host's `/proc/<pid>/status` (proc(5)), in bytes; Linux only.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.kept.pid())).expect("a running host");
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a size in kB") * 1024
    }

    /// The most resident memory that it had since [`Host::reset_memory_peak`], in bytes.
    pub fn memory_peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Starts a new peak at what is resident now, and gives that.
    pub fn reset_memory_peak(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.kept.pid()), "5").expect("the peak can be reset");
        self.memory("VmRSS:")
    }
}

/// `MOC_LOCAL_BIN`, or what the build put next to the tests: `target/release/moc-local`.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MOC_LOCAL_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the tests know their own path");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let here = profile.join("moc-local");
    if here.exists() { here } else { profile.with_file_name("release").join("moc-local") }
}
