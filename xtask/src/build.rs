//! Building the components and the programs.

use std::process::Command;

use anyhow::{Result, bail};

use crate::npm;
use crate::process;
use crate::project::Project;
use crate::wasm_target::{self, WASM_TARGET};

/// The cargo profile of the components, in the workspace's manifest.
const COMPONENT_PROFILE: &str = "component";
/// Components that are not part of the application: the benchmark compares with them.
const HELLO: [&str; 2] = ["moc-bench-hello", "moc-bench-hello-postgres"];
/// Another one: tests run the cases of the ports in it.
const CONFORMANCE: &str = "moc-conformance";
/// The local host's program.
pub const LOCAL_HOST: &str = "moc-local";

#[derive(clap::Args)]
pub struct Options {
    /// The components to build [default: all]
    components: Vec<String>,
}

/// Builds the named components, or all.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let all = project.components()?;
    if let Some(unknown) = options.components.iter().find(|name| !all.contains(name)) {
        bail!("there is no component {unknown}; there are {}", all.join(", "));
    }
    let components = if options.components.is_empty() { all } else { options.components.clone() };
    wasm_target::ensure(project)?;
    npm::build_pages(project, &components)?;
    process::run("building the components", for_wasm(project, "build").args(packages(&components)))
}

/// Builds every component, with the pages that they embed, and installs the target if it is missing.
pub fn components(project: &Project) -> Result<()> {
    run(project, &Options { components: Vec::new() })
}

/// Builds the component in which tests run the cases of the ports.
pub fn conformance(project: &Project) -> Result<()> {
    process::run("building the conformance suite", for_wasm(project, "build").args(["--package", CONFORMANCE]))
}

/// Builds a native program in release mode and returns the command that runs it.
pub fn program(project: &Project, name: &str) -> Result<Command> {
    let mut cargo = for_native_crates(project, "build")?;
    process::run(&format!("building {name}"), cargo.args(["--bin", name]))?;
    Ok(Command::new(project.program(name)))
}

/// A cargo command for every crate that is not a component, in release mode. It always names all of them: cargo
/// chooses the features of dependencies by the crates that it is given, and another choice would compile most of the
/// local host's dependencies a second time.
pub fn for_native_crates(project: &Project, subcommand: &str) -> Result<Command> {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--release", "--workspace"]);
    for name in HELLO.into_iter().chain([CONFORMANCE]).map(str::to_owned).chain(project.components()?) {
        cargo.args(["--exclude", &name]);
    }
    Ok(cargo)
}

/// A cargo command (`build`, `clippy`) for all components, that of the tests included, with their target and profile.
pub fn for_components(project: &Project, subcommand: &str) -> Result<Command> {
    let mut cargo = for_wasm(project, subcommand);
    cargo.args(packages(&project.components()?)).args(["--package", CONFORMANCE]);
    Ok(cargo)
}

fn for_wasm(project: &Project, subcommand: &str) -> Command {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--profile", COMPONENT_PROFILE, "--target", WASM_TARGET]);
    cargo
}

fn packages(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().flat_map(|name| ["--package", name])
}
