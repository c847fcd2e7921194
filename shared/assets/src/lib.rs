//! For the build scripts of components that serve files: npm builds the page, and what it has built becomes a table of
//! compressed files, which the component includes. The project's commands install their packages by the same function.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What npm installs from.
const LOCK: &str = "package-lock.json";
/// A copy of the lock, written last: which versions are installed completely.
const INSTALLED: &str = "node_modules/.installed.json";
/// Compresses files and writes the table.
const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pack.mjs");

/// Builds the page in the component's folder by its npm script `build`, serves it at `url`, and each of `files` (a path
/// and its URL) beside it. The component finds the table at `$OUT_DIR/assets.rs`. Cargo does this again when anything
/// below `sources` changes.
///
/// # Errors
/// When npm is not installed, cannot download what is locked, or the page does not build.
pub fn build(url: &str, sources: &[&str], files: &[(&str, &str)]) -> Result<()> {
    for watched in sources.iter().copied().chain(files.iter().map(|(path, _)| *path)) {
        println!("cargo::rerun-if-changed={watched}");
    }
    for watched in ["package.json", LOCK, PACK] {
        println!("cargo::rerun-if-changed={watched}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(ErrorKind::NotFound)?);
    let page = out.join("page");
    install(Path::new(""))?;
    let vite = [OsStr::new("run"), "build".as_ref(), "--".as_ref(), "--emptyOutDir".as_ref(), "--outDir".as_ref()];
    run(Command::new("npm").args(vite).arg(&page))?;
    let mut pack = Command::new("node");
    pack.arg(PACK).arg(&out).arg(at(&page, url));
    pack.args(files.iter().map(|(path, url)| at(Path::new(path), url)));
    run(&mut pack)
}

/// Installs what the npm package in this folder has locked, unless it is there. No package's own scripts run.
///
/// # Errors
/// When npm is not installed, or cannot download or write a package.
pub fn install(folder: &Path) -> Result<()> {
    let lock = folder.join(LOCK);
    // An editor's build beside this one waits: npm empties the folder first.
    let alone = File::open(&lock)?;
    alone.lock()?;
    let lock = std::fs::read(lock)?;
    let installed = folder.join(INSTALLED);
    if std::fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(npm.current_dir(std::path::absolute(folder.join("."))?))?;
    std::fs::write(installed, lock)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::other(format!("{command:?}: {status}"))),
        Err(error) => {
            Err(Error::new(error.kind(), format!("{program}, of Node.js 20.19 or newer, is needed: {error}")))
        }
    }
}

/// An argument of the packing script: what stands where.
fn at(path: &Path, url: &str) -> OsString {
    let mut argument = path.as_os_str().to_owned();
    argument.push("=");
    argument.push(url);
    argument
}
