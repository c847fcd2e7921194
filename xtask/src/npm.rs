//! What comes from npm, in a folder of its own under `target/`, in exactly the locked versions.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::project::Project;

/// Why a step is skipped that needs it.
pub const MISSING: &str = "npm is not installed";

/// The folder under `target/`, and the one under `xtask/` with what is installed from.
const FOLDER: &str = "httpyac";
/// What npm installs from.
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// A copy of the lock, written last: which versions are installed completely.
const INSTALLED: &str = "installed.json";

/// What is installed.
pub struct Installation {
    dir: PathBuf,
}

impl Installation {
    /// The packages.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.dir.join("node_modules")
    }

    /// The program httpyac, for node.
    #[must_use]
    pub fn httpyac(&self) -> PathBuf {
        self.modules().join("httpyac/bin/httpyac.js")
    }

    /// A file to write into.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The folder with what is run by node.
#[must_use]
pub fn source(project: &Project) -> PathBuf {
    project.root().join("xtask").join(FOLDER)
}

/// Installs what is locked, unless it is there. `None` where npm is missing; where tests must not
/// be skipped (the environment says `CI`) that is an error.
///
/// # Errors
/// When npm is missing and `CI` is set, or npm cannot download or write a package.
pub fn install(project: &Project) -> Result<Option<Installation>> {
    if !process::is_installed("npm") {
        if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            bail!("{MISSING}, and on CI nothing must be skipped");
        }
        return Ok(None);
    }
    let (source, dir) = (source(project), project.target_dir().join(FOLDER));
    let lock = std::fs::read_to_string(source.join(LOCK)).context("npm's lock file cannot be read")?;
    let installation = Installation { dir };
    let installed = installation.file(INSTALLED);
    if installation.httpyac().is_file() && std::fs::read_to_string(&installed).is_ok_and(|installed| installed == lock)
    {
        return Ok(Some(installation));
    }
    std::fs::create_dir_all(&installation.dir)?;
    for name in [MANIFEST, LOCK] {
        std::fs::copy(source.join(name), installation.file(name))?;
    }
    eprintln!("installing httpyac and the AsyncAPI parser with npm");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&installation.dir);
    process::capture("installing what npm has locked", &mut npm)?;
    std::fs::write(installed, lock)?;
    Ok(Some(installation))
}
