//! Packages of npm: folders with a `package.json`, what they need installed beside it in exactly the locked versions.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::project::Project;

/// A package that has what it needs.
pub struct Package {
    folder: PathBuf,
    name: &'static str,
}

impl Package {
    /// Installs what the package in this folder of the project needs, unless it is there.
    ///
    /// # Errors
    /// When npm is missing, or cannot download or write a package.
    pub fn install(project: &Project, folder: &'static str) -> Result<Self> {
        let package = Self { folder: project.root().join(folder), name: folder };
        moc_assets::install(&package.folder).with_context(|| format!("installing what {folder} needs failed"))?;
        Ok(package)
    }

    /// A file of the package, or of those that it needs.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs scripts of the package, one after the other.
    ///
    /// # Errors
    /// Names the first that failed.
    pub fn run(&self, scripts: &[&str]) -> Result<()> {
        for script in scripts {
            let mut npm = Command::new("npm");
            npm.args(["run", "--silent", script]).current_dir(&self.folder);
            process::run(&format!("`npm run {script}` in {}", self.name), &mut npm)?;
        }
        Ok(())
    }
}
