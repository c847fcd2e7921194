//! A local host for tests: started on free ports, stopped when it is dropped.

use std::fs::{DirBuilder, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::build::LOCAL_HOST;
use crate::process::last_lines;
use crate::project::Project;

/// The most that a start may take; the first one after a build compiles the components.
const START_LIMIT: Duration = Duration::from_mins(2);
/// How the variables of the app begin in the environment.
const VARIABLE_PREFIX: &str = "SPIN_VARIABLE_";

/// Where a running app and its S3 server are.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// As in `http://127.0.0.1:3000`.
    pub base_url: String,
    /// As in `http://127.0.0.1:9000`.
    pub s3_url: String,
}

/// A running local host with a state folder of its own.
pub struct Host {
    child: Child,
    dir: PathBuf,
    stack: Stack,
}

impl Host {
    /// Starts the built local host with these variables of the app, and waits until it is ready.
    pub fn start(project: &Project, variables: &[(&str, &str)]) -> Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("moc-local-{}-{number}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("the folder {} cannot be made", dir.display()))?;
        let mut command = Command::new(project.program(LOCAL_HOST));
        command
            .args(["up", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--state"])
            .arg(state_dir(&dir))
            .current_dir(project.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log_file(&dir))?);
        remove_app_variables(&mut command);
        for (name, value) in variables {
            command.env(format!("{VARIABLE_PREFIX}{}", name.to_uppercase()), value);
        }
        let child = command.spawn().context("the local host cannot be started")?;
        let stack = Stack { base_url: String::new(), s3_url: String::new() };
        let mut host = Self { child, dir, stack };
        let stdout = host.child.stdout.take().context("the local host has no output")?;
        match read_addresses(stdout) {
            Ok(stack) => host.stack = stack,
            Err(error) => {
                return Err(error.context(format!("the local host did not start: {}", host.last_log_lines(5))));
            }
        }
        Ok(host)
    }

    /// Where it listens.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The folder with its database.
    pub fn state_dir(&self) -> PathBuf {
        state_dir(&self.dir)
    }

    /// What it and the components have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_file(&self.dir)).unwrap_or_default()
    }

    /// The end of what it and the components have logged.
    pub fn last_log_lines(&self, count: usize) -> String {
        last_lines(&self.log(), count)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the folder is a temporary one.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Removes a developer's own settings of the app from the environment.
pub fn remove_app_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(VARIABLE_PREFIX) {
            command.env_remove(name);
        }
    }
}

fn state_dir(dir: &Path) -> PathBuf {
    dir.join("state")
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// Reads the host's output up to the line that says it is ready.
fn read_addresses(stdout: ChildStdout) -> Result<Stack> {
    let (sender, lines) = mpsc::channel();
    // Keeps reading to the end, so that the host never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + START_LIMIT;
    let mut s3_url = None;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let mut words = line.split_whitespace();
                match (words.next(), words.next()) {
                    (Some("s3"), Some(url)) => s3_url = Some(url.to_owned()),
                    (Some("ready"), Some(url)) => {
                        let s3_url = s3_url.context("it did not print the address of its S3 server")?;
                        return Ok(Stack { base_url: url.to_owned(), s3_url });
                    }
                    _ => {}
                }
            }
            Err(RecvTimeoutError::Timeout) => bail!("it was not ready after {} s", START_LIMIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("it ended before it was ready"),
        }
    }
}
