//! httpyac in a folder of its own under `target/`, in exactly the locked versions.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::project::Project;

/// The program inside the installation.
const PROGRAM: &str = "node_modules/httpyac/bin/httpyac.js";
/// What npm installs from.
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// A copy of the lock, written last: which versions are installed completely.
const INSTALLED: &str = "installed.json";

/// Whether httpyac can be installed here. Where tests must not be skipped (the environment says
/// `CI`), a missing npm is an error.
///
/// # Errors
/// When npm is missing and `CI` is set.
pub fn possible() -> Result<bool> {
    let installed = process::is_installed("npm");
    if !installed && std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        bail!("npm is not installed, and on CI the .http files must not be skipped");
    }
    Ok(installed)
}

/// Installs httpyac unless it is there, and gives its program (for node).
///
/// # Errors
/// When npm cannot download or write it.
pub fn install(project: &Project) -> Result<PathBuf> {
    let source = project.root().join("xtask").join("httpyac");
    let dir = project.target_dir().join("httpyac");
    let lock = std::fs::read_to_string(source.join(LOCK)).context("the lock file of httpyac cannot be read")?;
    let program = dir.join(PROGRAM);
    if program.is_file() && std::fs::read_to_string(dir.join(INSTALLED)).is_ok_and(|installed| installed == lock) {
        return Ok(program);
    }
    std::fs::create_dir_all(&dir)?;
    for name in [MANIFEST, LOCK] {
        std::fs::copy(source.join(name), dir.join(name))?;
    }
    eprintln!("installing httpyac with npm");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&dir);
    process::capture("installing httpyac", &mut npm)?;
    std::fs::write(dir.join(INSTALLED), lock)?;
    Ok(program)
}
