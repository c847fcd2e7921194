//! A stack of one's own: the local host with its embedded S3, stopped and removed when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

/// The most that a start may take; the first one after a build compiles the components.
const START_LIMIT: Duration = Duration::from_mins(2);
/// The most that the end of a killed host is waited for.
const END_LIMIT: Duration = Duration::from_secs(5);
/// The most that a line of the log is waited for.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// How the application's variables begin in the environment.
const VARIABLE_PREFIX: &str = "SPIN_VARIABLE_";
/// What differs from the defaults: parts of 8 MiB, and files of 2 GiB.
const VARIABLES: [(&str, &str); 2] = [("MULTIPART_PART_SIZE_MB", "8"), ("INSTRUCTION_MAX_MB", "2048")];

/// A running local host.
pub struct Stack {
    child: Child,
    dir: PathBuf,
    app: Url,
    s3: Url,
    // Kept open, so that the host never writes to a closed pipe.
    _output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Stack {
    /// Starts the host program `host` with `manifest` and these variables (names in capitals), and
    /// waits until it is ready. Its state is in a new folder under `parent`.
    pub async fn start(host: &Path, manifest: &Path, parent: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let dir = std::path::absolute(parent.join(format!("moc-bench-{}-{number}", std::process::id())))?;
        std::fs::create_dir(&dir).with_context(|| format!("the folder {} cannot be made", dir.display()))?;
        let mut command = Command::new(host);
        command.args(["up", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--manifest"]).arg(manifest);
        command.arg("--state").arg(dir.join("state"));
        let log = File::options().create(true).append(true).open(log_file(&dir))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX)) {
            command.env_remove(name);
        }
        for (name, value) in VARIABLES.iter().chain(variables) {
            command.env(format!("{VARIABLE_PREFIX}{name}"), value);
        }
        let child = command.spawn().with_context(|| format!("{} cannot be started", host.display()))?;
        let nowhere = Url::parse("http://127.0.0.1:0")?;
        let mut stack = Self { child, dir, app: nowhere.clone(), s3: nowhere, _output: None };
        match tokio::time::timeout(START_LIMIT, stack.wait_until_ready()).await {
            Ok(Ok(())) => Ok(stack),
            Ok(Err(error)) => Err(error.context(format!("the local host did not start: {}", stack.log()))),
            Err(_) => bail!("the local host was not ready after {} s", START_LIMIT.as_secs()),
        }
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let stdout = self.child.stdout.take().context("the local host has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("s3"), Some(url)) => self.s3 = Url::parse(url)?,
                (Some("ready"), Some(url)) => {
                    self.app = Url::parse(url)?;
                    self._output = Some(lines);
                    return Ok(());
                }
                _ => {}
            }
        }
        bail!("it ended before it was ready")
    }

    /// Where the application listens.
    pub fn app(&self) -> &Url {
        &self.app
    }

    /// Where the embedded S3 responds.
    pub fn s3(&self) -> &Url {
        &self.s3
    }

    /// The host's process id.
    pub fn process_id(&self) -> Result<u32> {
        self.child.id().context("the local host has ended")
    }

    /// The application's database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("state/sqlite/default.db")
    }

    /// Discards the log so far: a line a request becomes much in a benchmark.
    pub fn truncate_log(&self) -> Result<()> {
        File::options().write(true).open(log_file(&self.dir))?.set_len(0)?;
        Ok(())
    }

    /// Waits for a component's line in the log that has this text.
    pub async fn logged(&self, text: &str) -> Result<serde_json::Value> {
        let deadline = Instant::now() + LOG_LIMIT;
        loop {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(text)).and_then(|line| line.split_once("] "));
            if let Some((_, line)) = line {
                return serde_json::from_str(line).context("a component's line is not JSON");
            }
            if Instant::now() > deadline {
                bail!("the log has no line with {text}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(log_file(&self.dir)).unwrap_or_default().trim_end().to_owned()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the folder is a temporary one.
        let _ = self.child.start_kill();
        let deadline = Instant::now() + END_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("log")
}
