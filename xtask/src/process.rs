//! Starts other programs; each failure is one clear sentence.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How often a program with a time limit is asked whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs a command with this process's own terminal.
///
/// `task` is what the command does, as the subject of a sentence ("the format check").
pub fn run(task: &str, command: &mut Command) -> Result<()> {
    let program = program_name(command);
    let status = command.status().with_context(|| format!("{task} failed: `{program}` could not be started"))?;
    if !status.success() {
        bail!("{task} failed (`{program}`: {status})");
    }
    Ok(())
}

/// Runs a command without input and gives what it wrote on its standard output.
pub fn capture(task: &str, command: &mut Command) -> Result<String> {
    let program = program_name(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{task} failed: `{program}` could not be started"))?;
    checked_stdout(task, &program, output)
}

/// Like [`capture`], but ends the program when it has not ended by itself after `limit`.
///
/// For programs that write little: their output is read only when they have ended.
pub fn capture_within(limit: Duration, task: &str, command: &mut Command) -> Result<String> {
    let program = program_name(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{task} failed: `{program}` could not be started"))?;
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("{task} failed: `{program}` had not ended after {} s", limit.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    checked_stdout(task, &program, child.wait_with_output()?)
}

/// Whether a program of this name can be started (it is asked for its version).
pub fn is_installed(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn checked_stdout(task: &str, program: &str, output: Output) -> Result<String> {
    if !output.status.success() {
        let mut message = format!("{task} failed (`{program}`: {})", output.status);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let tail = last_lines(&stderr, 5);
        if !tail.is_empty() {
            write!(message, ": {tail}")?;
        }
        return Err(anyhow!(message));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{task} failed: `{program}` wrote something that is not UTF-8"))
}

fn program_name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The last `count` lines that are not blank, joined by newlines.
pub fn last_lines(text: &str, count: usize) -> String {
    let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(count).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_that_say_something() {
        assert_eq!(last_lines("a\n\nb\n  \nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn an_error_names_the_task_and_ends_with_what_the_program_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo broken >&2; exit 3"]);
        let message = capture("the check", &mut command).unwrap_err().to_string();
        assert!(message.starts_with("the check failed (`sh`: exit status: 3)"), "{message}");
        assert!(message.ends_with("broken"), "{message}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let limit = Duration::from_millis(100);
        let message = capture_within(limit, "the nap", &mut command).unwrap_err().to_string();
        assert!(message.contains("had not ended"), "{message}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run("the build", &mut Command::new("no-such-program-here")).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.starts_with("the build failed: `no-such-program-here`"), "{message}");
    }
}
