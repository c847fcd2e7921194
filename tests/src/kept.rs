//! Processes that end with the tests, however these end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Starts a program, and kills its process group as soon as the shell's own standard input ends, which the
/// operating system sees to when the tests' process ends. `spin up` is why it is a group: it starts another process.
const SCRIPT: &str = r#""$@" & exec >/dev/null 2>&1; read -r _; kill -9 0"#;

/// A running program. Dropping it kills it and every process that it has started.
pub(crate) struct Kept {
    shell: Child,
    lifeline: Option<ChildStdin>,
    reading: Vec<JoinHandle<()>>,
}

/// A command that runs `program` for as long as its standard input is open.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).arg(program).stdin(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

impl Kept {
    /// Starts what [`command`] has made.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut shell = command.spawn().expect("a shell starts");
        Self { lifeline: shell.stdin.take(), shell, reading: Vec::new() }
    }

    /// Its output, line by line; the channel closes when all of its processes have ended.
    pub(crate) fn lines(&mut self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel();
        let stdout = self.shell.stdout.take().expect("it is piped");
        self.reading.push(thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once the program is ready, but it must not wait for a reader.
                let _ = sender.send(line);
            }
        }));
        receiver
    }

    /// Hands what it writes to stderr to `take`.
    pub(crate) fn errors(&mut self, take: impl Fn(&[u8]) + Send + 'static) {
        let mut stderr = self.shell.stderr.take().expect("it is piped");
        self.reading.push(thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                take(&buffer[..count]);
            }
        }));
    }

    /// The process that does the work: the program, or the last of those that start each other (Linux only).
    pub(crate) fn pid(&self) -> u32 {
        let mut pid = self.shell.id();
        loop {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            match children.trim().parse() {
                Ok(child) => pid = child,
                Err(_) => return pid,
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.shell.wait();
        // Each of its processes has the pipe's other end: the readers end when the last process has.
        for reading in self.reading.drain(..) {
            let _ = reading.join();
        }
    }
}
