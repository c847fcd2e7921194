//! Checks and tests of what runs in browsers: the client, the page, and both in a real browser.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::npm::Package;
use crate::process;
use crate::project::Project;
use crate::test::Outcome;

/// Another browser than Debian's, for the tests.
const BROWSER_VARIABLE: &str = "MOC_CHROMIUM";
const BROWSER: &str = "chromium";

/// Checks the client's types, builds it, and tests it against local hosts that its tests start.
///
/// # Errors
/// When npm cannot install what it needs, or a check or a test fails.
pub fn client(project: &Project) -> Result<Outcome> {
    Package::install(project, "client")?.run(&["check", "build", "test"])?;
    Ok(Outcome::Passed)
}

/// Checks the types of the page, and tests it in a browser, which is skipped where there is none but on CI.
///
/// # Errors
/// When npm cannot install what it needs, there is no browser on CI, or a check or a test fails.
pub fn page(project: &Project) -> Result<Outcome> {
    Package::install(project, "components/web")?.run(&["check"])?;
    let browser = std::env::var_os(BROWSER_VARIABLE).unwrap_or_else(|| BROWSER.into());
    if !process::is_installed(&browser) {
        if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            bail!("{} is not installed, and on CI nothing must be skipped", PathBuf::from(browser).display());
        }
        return Ok(Outcome::Skipped("Chromium is not installed"));
    }
    Package::install(project, "tests/browser")?.run(&["check", "test"])?;
    Ok(Outcome::Passed)
}
