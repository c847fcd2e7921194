//! Ensures that the compiler has a standard library for the components' target.
//!
//! rustup brings it where it can download. If it cannot, the library is built from its source
//! out of Debian's archive, which is often reachable as a package registry when rustup's server is
//! not. Everything is made in a fresh folder and moved into the toolchain last, so that a broken
//! run leaves no half target and two runs at once do no harm.

mod compiler;
mod debian;
mod standard_library;

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use self::compiler::Compiler;
use crate::process;
use crate::project::Project;

/// The target that components are compiled for.
pub const WASM_TARGET: &str = "wasm32-wasip2";

/// The most that rustup may take. A network that swallows its packets is noticed much earlier.
const RUSTUP_LIMIT: Duration = Duration::from_mins(5);

/// Installs the target into the toolchain in use, if it is missing already.
pub fn ensure(project: &Project) -> Result<()> {
    let compiler = Compiler::in_use()?;
    if compiler.has_target(WASM_TARGET) {
        return Ok(());
    }
    remove_output_of_another_library(project)?;
    if let Err(reason) = add_with_rustup(&compiler) {
        eprintln!(
            "{reason}; building the standard library for {WASM_TARGET} from Debian's source package instead (about a minute)"
        );
        let workspace = project.target_dir().join(format!("wasm-target-{}", std::process::id()));
        let result = build_from_source(&compiler, &workspace);
        // The folder has no further use, and failing to remove it is no reason to stop.
        let _ = std::fs::remove_dir_all(&workspace);
        result?;
    }
    Ok(())
}

/// Cargo tells compilers apart, but not the standard libraries of one compiler: what was compiled
/// with an earlier one of this target would be taken for fresh and then not fit. Done first, while
/// no other run can be compiling.
fn remove_output_of_another_library(project: &Project) -> Result<()> {
    match std::fs::remove_dir_all(project.target_dir().join(WASM_TARGET)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context("what was compiled with an earlier standard library cannot be removed")
        }
        _ => Ok(()),
    }
}

/// Why rustup did not bring the target, as half a sentence.
fn add_with_rustup(compiler: &Compiler) -> Result<(), String> {
    if !process::is_installed("rustup") {
        return Err("rustup is not installed".to_owned());
    }
    eprintln!("adding the target {WASM_TARGET} with rustup");
    let mut command = Command::new("rustup");
    command.args(["target", "add", WASM_TARGET]);
    let added = process::capture_within(RUSTUP_LIMIT, "rustup target add", &mut command);
    if added.is_err() {
        return Err(format!("rustup could not add the target {WASM_TARGET}"));
    }
    if !compiler.has_target(WASM_TARGET) {
        return Err("rustup is not where this compiler comes from".to_owned());
    }
    Ok(())
}

fn build_from_source(compiler: &Compiler, workspace: &Path) -> Result<()> {
    // A folder of an earlier process that had the same id.
    if workspace.exists() {
        std::fs::remove_dir_all(workspace)?;
    }
    std::fs::create_dir_all(workspace)?;
    let packages = debian::unpack_sources(&compiler.version, workspace)?;
    let libraries = standard_library::build(compiler, &packages, WASM_TARGET, workspace)?;
    standard_library::install(compiler, &libraries, &packages, WASM_TARGET)
}
