//! Building the components and the programs.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::project::Project;
use crate::wasm_target::{self, WASM_TARGET};

/// The cargo profile of the components, in the workspace's manifest.
const COMPONENT_PROFILE: &str = "component";
/// A component that is no part of the application: the benchmark builds it for its comparison.
const HELLO: &str = "moc-bench-hello";
/// The local host's program.
pub const LOCAL_HOST: &str = "moc-local";

/// Builds every component, installing the target first where it is missing.
///
/// # Errors
/// When the target cannot be installed or a component does not build.
pub fn components(project: &Project) -> Result<()> {
    wasm_target::ensure(project)?;
    process::run("building the components", &mut for_components(project, "build")?)
}

/// Builds one of the native programs in release mode and gives the command that runs it.
///
/// # Errors
/// When it does not build.
pub fn program(project: &Project, name: &str) -> Result<Command> {
    let mut cargo = for_native_crates(project, "build")?;
    process::run(&format!("building {name}"), cargo.args(["--bin", name]))?;
    Ok(Command::new(project.program(name)))
}

/// A cargo command for every crate that is not a component, in release mode. Always all of them,
/// because cargo chooses the dependencies' features by the crates that it is given: another choice
/// would compile most of what the local host is made of a second time.
///
/// # Errors
/// When the list of components cannot be read.
pub fn for_native_crates(project: &Project, subcommand: &str) -> Result<Command> {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--release", "--workspace", "--exclude", HELLO]);
    for name in project.components()? {
        cargo.args(["--exclude", &name]);
    }
    Ok(cargo)
}

/// A cargo command (`build`, `clippy`) for all components, with their target and profile.
///
/// # Errors
/// When the list of components cannot be read.
pub fn for_components(project: &Project, subcommand: &str) -> Result<Command> {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--profile", COMPONENT_PROFILE, "--target", WASM_TARGET]);
    for name in project.components()? {
        cargo.args(["--package", &name]);
    }
    Ok(cargo)
}
