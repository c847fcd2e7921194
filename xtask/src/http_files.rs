//! Runs the requests under `http/` with httpyac and checks that each has assertions that hold.

mod broken_broadcasters;
mod receiver;
mod report;

use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::broken_broadcasters::BrokenBroadcasters;
use self::receiver::Receiver;
use self::report::Report;
use crate::host::{Host, Stack};
use crate::npm::Installation;
use crate::process;
use crate::project::Project;
use crate::seed;
use crate::test::StepResult;

/// The name of the step.
pub const STEP: &str = ".http files";

/// The environment of `http/http-client.env.json` whose addresses are replaced by the stack's.
const ENVIRONMENT: &str = "local";
/// The package with the program that runs them.
pub const PACKAGE: &str = "xtask/httpyac";
const HTTPYAC: &str = "node_modules/httpyac/bin/httpyac.js";
/// Its report, in the output folder.
const REPORT: &str = "httpyac.json";
/// The most lines of the host's log that are shown when a request failed.
const LOG_LINES: usize = 20;

/// Runs the requests against a local host that is started and seeded for them, and against those
/// that some of them need next to it.
pub fn run_with_own_host(project: &Project) -> Result<StepResult> {
    let receiver = Receiver::start(project)?;
    let variables = receiver.app_variables();
    let host = Host::start(project, &variables.each_ref().map(|(name, value)| (*name, value.as_str())))?;
    seed::run_on(project, &host)?;
    let broken = BrokenBroadcasters::start(project)?;
    let mut addresses = broken.addresses().to_vec();
    addresses.push(receiver.variable());
    let outcome = run(project, host.stack(), &addresses);
    if outcome.is_err() {
        eprintln!("the end of the host's log:\n{}", host.last_log_lines(LOG_LINES));
    }
    let skipped = outcome?.skipped();
    if skipped > 0 {
        bail!("{skipped} of the requests under http/ were skipped, for which there is a host");
    }
    broken.check_logs()?;
    Ok(StepResult::Passed)
}

/// Runs the requests against an app that has the fixtures already. Those that need other hosts
/// next to it are skipped.
pub fn run_against(project: &Project, stack: &Stack) -> Result<StepResult> {
    run(project, stack, &[])?;
    Ok(StepResult::Passed)
}

/// Runs the requests with these variables, each as `name=value`, next to the stack's addresses.
fn run(project: &Project, stack: &Stack, variables: &[String]) -> Result<Report> {
    let package = Installation::of(project, PACKAGE)?;
    let mut command = Command::new("node");
    command
        .arg(package.file(HTTPYAC))
        .args(["send", "http/**/*.http", "--all", "--json", "--env", ENVIRONMENT, "--var"])
        .arg(format!("baseUrl={}", stack.base_url))
        .arg(format!("s3Url={}", stack.s3_url))
        .args(variables)
        .current_dir(project.root());
    // Into a file: httpyac exits without waiting for its output, of which a pipe would lose the end.
    let written = project.target_dir().join(REPORT);
    command.stdout(File::create(&written)?);
    // It exits with an error when an assertion failed, having said which: that is judged below.
    let output = command.output().context("node cannot be started")?;
    let report = Report::parse(&std::fs::read(&written)?, project.root()).with_context(|| {
        format!(
            "httpyac failed ({}): {}",
            output.status,
            process::last_lines(&String::from_utf8_lossy(&output.stderr), 5)
        )
    })?;
    for line in report.lines() {
        println!("{line}");
    }
    let failed = report.failed();
    println!("{} passed, {failed} failed, {} skipped", report.passed(), report.skipped());
    if failed > 0 {
        bail!("{failed} of the requests under http/ failed");
    }
    if report.passed() == 0 {
        bail!("there are no requests under http/");
    }
    if !output.status.success() {
        bail!("httpyac failed ({})", output.status);
    }
    Ok(report)
}
