//! Checks and tests of what runs in browsers: the client, the page, and both in a real browser.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::npm::Installation;
use crate::process;
use crate::project::Project;
use crate::test::StepResult;

/// Names another browser than Debian's.
const BROWSER_VARIABLE: &str = "MOC_CHROMIUM";
const BROWSER: &str = "chromium";

/// Checks format, lints and types of the front end.
pub fn check(project: &Project) -> Result<StepResult> {
    let workspace = Installation::of_workspace(project)?;
    workspace.run(".", "lint")?;
    workspace.run(".", "check")?;
    Ok(StepResult::Passed)
}

/// Builds the client and tests it against local hosts that its tests start.
pub fn client(project: &Project) -> Result<StepResult> {
    let workspace = Installation::of_workspace(project)?;
    workspace.run("client", "build")?;
    workspace.run("client", "test")?;
    Ok(StepResult::Passed)
}

/// Tests the page in a browser. Skipped if none is installed, but not on CI.
pub fn page(project: &Project) -> Result<StepResult> {
    let browser = std::env::var_os(BROWSER_VARIABLE).unwrap_or_else(|| BROWSER.into());
    if !process::is_installed(&browser) {
        if crate::is_ci() {
            bail!("{} is not installed, and nothing may be skipped on CI", PathBuf::from(browser).display());
        }
        return Ok(StepResult::Skipped("Chromium is not installed"));
    }
    Installation::of_workspace(project)?.run("tests/browser", "test")?;
    Ok(StepResult::Passed)
}
