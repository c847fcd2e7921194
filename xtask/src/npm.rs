//! npm: installing exactly what a lock file names, and running the scripts of packages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::process;
use crate::project::Project;

const LOCK: &str = "package-lock.json";
/// A copy of the lock file, written after a complete installation.
const INSTALLED: &str = "node_modules/.installed.json";

/// The pages, which components embed, with the sources of each.
const PAGES: [(&str, &[&str]); 2] = [
    (
        "components/web",
        &["components/web/page", "components/web/index.html", "components/web/vite.config.ts", "client/src"],
    ),
    (
        "components/api-reference",
        &[
            "components/api-reference/page",
            "components/api-reference/index.html",
            "components/api-reference/vite.config.js",
        ],
    ),
];

/// A folder with a lock file whose packages are installed.
pub struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Installs the workspace of the front end, at the root of the project.
    pub fn of_workspace(project: &Project) -> Result<Self> {
        Self::of(project, "")
    }

    /// Installs what the lock file in this folder of the project names, unless that is done. Scripts of the packages
    /// do not run.
    pub fn of(project: &Project, folder: &str) -> Result<Self> {
        let folder = project.root().join(folder);
        install(&folder).with_context(|| format!("`npm ci` failed in {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// A file below the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a script of a package of the workspace, or of its root for `.`.
    pub fn run(&self, package: &str, script: &str) -> Result<()> {
        let mut npm = Command::new("npm");
        npm.args(["run", "--silent", script]).current_dir(self.folder.join(package));
        process::run(&format!("`npm run {script}` in {package}"), &mut npm)
    }
}

fn install(folder: &Path) -> Result<()> {
    let lock = folder.join(LOCK);
    // npm empties the folder first, so a second installation has to wait.
    let exclusive = File::open(&lock)?;
    exclusive.lock()?;
    let lock = fs::read(lock)?;
    let installed = folder.join(INSTALLED);
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    process::run("the installation of npm packages (Node.js 20.19 or newer is needed)", &mut npm)?;
    Ok(fs::write(installed, lock)?)
}

/// Builds the pages of these components, if their sources are newer than what was built last.
pub fn build_pages(project: &Project, components: &[String]) -> Result<()> {
    let pages = PAGES.iter().filter(|(folder, _)| components.iter().any(|id| folder.ends_with(&format!("/{id}"))));
    for (package, sources) in pages {
        let installation = Installation::of_workspace(project)?;
        let built = modified(&project.root().join(package).join("dist/index.html"));
        let manifests = [LOCK, &format!("{package}/package.json")].map(|path| project.root().join(path));
        let sources = sources.iter().map(|source| project.root().join(source)).chain(manifests);
        if built.is_none() || sources.map(|source| modified(&source)).max().flatten() > built {
            installation.run(package, "build")?;
        }
    }
    Ok(())
}

/// When a file, or anything below a folder, was modified last; `None` if it does not exist.
fn modified(path: &Path) -> Option<SystemTime> {
    let own = path.metadata().ok()?.modified().ok();
    let inside = path.read_dir().into_iter().flatten().flatten().map(|entry| modified(&entry.path()));
    inside.chain([own]).max().flatten()
}
