//! `cargo xtask test`: everything that must pass, step by step, the cheapest first.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::asyncapi;
use crate::black_box;
use crate::build::{self, Target};
use crate::docs;
use crate::front_end;
use crate::generate;
use crate::host::Stack;
use crate::http_files;
use crate::process;
use crate::project::Project;
use crate::python;

/// The crate that tests the app from outside, and the test program in it that does so.
const TEST_CRATE: &str = "moc-tests";
pub const BLACK_BOX_TESTS: &str = "blackbox";

/// The black-box tests mostly wait: more of them at once than there are cores end sooner. They start in the order of
/// their names: one that takes half a minute must not be among the last.
pub const WAITING_TESTS: &str = "--test-threads=12";

/// Which app is tested: without addresses, one that the tests start themselves.
#[derive(clap::Args)]
pub struct Options {
    /// Run only the black-box tests, and have this host run the app
    #[arg(long, conflicts_with = "base_url")]
    host: Option<black_box::Host>,
    /// The database of that host [default: SQLite where the host has it]
    #[arg(long, requires = "host")]
    database: Option<black_box::Database>,
    /// Test only from outside, against the app that already runs here (with the fixtures of `cargo xtask seed`)
    #[arg(long, value_name = "URL", requires = "s3")]
    base_url: Option<String>,
    /// The S3 server of that app
    #[arg(long, value_name = "URL", requires = "base_url")]
    s3: Option<String>,
}

/// The result of a step that did not fail.
pub enum StepResult {
    Passed,
    /// It cannot run on this machine, for this reason.
    Skipped(&'static str),
}

/// Runs the steps, each of which ends the run when it fails.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    if let (Some(base_url), Some(s3_url)) = (&options.base_url, &options.s3) {
        let stack = Stack { base_url: base_url.clone(), s3_url: s3_url.clone() };
        steps.run("black-box tests", || black_box(project, &stack))?;
        steps.run(http_files::STEP, || http_files::run_against(project, &stack))?;
    } else if let Some(host) = options.host {
        steps.run("components", || black_box::build(project, host))?;
        steps.run("local host and tests", || build_native(project))?;
        steps.run("black-box tests", || black_box::run(project, host, options.database))?;
    } else {
        steps.run("format", || format(project))?;
        steps.run("front end: format, lints and types", || front_end::check(project))?;
        steps.run(asyncapi::STEP, || asyncapi::check(project))?;
        steps.run("generated files", || generate::run(project, &generate::Options { check: true }).map(passed))?;
        steps.run("components", || build_components(project))?;
        steps.run("clippy", || clippy(project))?;
        steps.run("clippy for the components", || clippy_components(project))?;
        steps.run("local host and tests", || build_native(project))?;
        steps.run("servers of the tests", || install_servers(project))?;
        steps.run("unit tests", || unit_tests(project))?;
        steps.run("documentation", || docs::render(project).map(drop).map(passed))?;
        steps.run("tidy and black-box tests", || integration_tests(project))?;
        for (name, host, database) in black_box::OTHERS {
            steps.run(name, || black_box::run_if_installed(project, host, database))?;
        }
        steps.run(http_files::STEP, || http_files::run_with_own_host(project))?;
        steps.run("client", || front_end::client(project))?;
        steps.run("page, in a browser", || front_end::page(project))?;
    }
    steps.finish();
    Ok(())
}

fn format(project: &Project) -> Result<StepResult> {
    let mut cargo = project.cargo("fmt");
    process::run("the format check", cargo.args(["--all", "--check"])).map(passed)
}

fn clippy(project: &Project) -> Result<StepResult> {
    let mut cargo = build::for_native_crates(project, "clippy")?;
    cargo.arg("--all-targets");
    process::run("clippy", warnings_are_errors(&mut cargo))?;
    let mut cargo = build::for_linker(project, "clippy");
    process::run("clippy", warnings_are_errors(&mut cargo)).map(passed)
}

fn clippy_components(project: &Project) -> Result<StepResult> {
    // Akamai's components are Spin's without a module.
    for target in [Target::Spin, Target::Wasi] {
        let mut cargo = build::for_components(project, "clippy", target)?;
        process::run("clippy for the components", warnings_are_errors(&mut cargo))?;
    }
    Ok(StepResult::Passed)
}

fn install_servers(project: &Project) -> Result<StepResult> {
    if !python::is_available() {
        return Ok(StepResult::Skipped("Python with venv is needed for a libSQL server and moto"));
    }
    python::install(project).map(passed)
}

fn build_components(project: &Project) -> Result<StepResult> {
    for target in Target::ALL {
        build::components(project, target)?;
    }
    build::of_tests(project).map(passed)
}

fn build_native(project: &Project) -> Result<StepResult> {
    let mut cargo = build::for_native_crates(project, "build")?;
    process::run("building the local host and the tests", cargo.args(["--bins", "--tests"])).map(passed)
}

fn unit_tests(project: &Project) -> Result<StepResult> {
    let mut cargo = build::for_native_crates(project, "test")?;
    process::run("unit tests", cargo.args(["--lib", "--bins"])).map(passed)
}

fn integration_tests(project: &Project) -> Result<StepResult> {
    let mut cargo = build::for_native_crates(project, "test")?;
    cargo.args(["--test", "*", "--", WAITING_TESTS]);
    process::run("tidy and black-box tests", &mut cargo).map(passed)
}

fn black_box(project: &Project, stack: &Stack) -> Result<StepResult> {
    let mut cargo = project.cargo("test");
    cargo.args(["--release", "--package", TEST_CRATE, "--test", BLACK_BOX_TESTS]);
    cargo.env("MOC_BASE_URL", &stack.base_url).env("MOC_S3_URL", &stack.s3_url);
    process::run("black-box tests", &mut cargo).map(passed)
}

fn warnings_are_errors(cargo: &mut Command) -> &mut Command {
    cargo.args(["--", "--deny", "warnings"])
}

fn passed((): ()) -> StepResult {
    StepResult::Passed
}

/// The steps so far.
struct Steps {
    started: Instant,
    passed: usize,
    skipped: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Self { started: Instant::now(), passed: 0, skipped: 0 }
    }
}

impl Steps {
    fn run(&mut self, name: &str, step: impl FnOnce() -> Result<StepResult>) -> Result<()> {
        println!("\n== {name}");
        let started = Instant::now();
        let result = step();
        let seconds = started.elapsed().as_secs_f64();
        match result.with_context(|| format!("step `{name}` failed after {seconds:.1} s"))? {
            StepResult::Passed => {
                self.passed += 1;
                println!("== {name}: passed in {seconds:.1} s");
            }
            StepResult::Skipped(reason) => {
                self.skipped += 1;
                println!("== {name}: SKIPPED, {reason}");
            }
        }
        Ok(())
    }

    fn finish(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("\nall {} steps passed, {} skipped, in {seconds:.1} s", self.passed, self.skipped);
    }
}
