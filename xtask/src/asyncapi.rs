//! Checks the AsyncAPI document of the events.

use std::process::Command;

use anyhow::Result;

use crate::http_files;
use crate::npm::Installation;
use crate::process;
use crate::project::Project;
use crate::test::StepResult;

/// The name of the step.
pub const STEP: &str = "AsyncAPI document";

/// The document, below the project's folder.
const DOCUMENT: &str = "shared/contract/asyncapi.yaml";
/// What checks it.
const SCRIPT: &str = "asyncapi.cjs";

/// Checks the document's structure and its references; its examples are checked by a test of moc-tests.
pub fn check(project: &Project) -> Result<StepResult> {
    let package = Installation::of(project, http_files::PACKAGE)?;
    let mut node = Command::new("node");
    node.arg(package.file(SCRIPT)).arg(DOCUMENT).current_dir(project.root());
    process::run("the check of the AsyncAPI document", &mut node)?;
    Ok(StepResult::Passed)
}
