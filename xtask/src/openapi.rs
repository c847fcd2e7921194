//! `cargo xtask openapi`: the OpenAPI document, which moc-contract makes of the types that the routes use.

use std::fs;

use anyhow::{Context, Result};

use crate::build;
use crate::process;
use crate::project::Project;

/// The program that makes it.
const MOC_OPENAPI: &str = "moc-openapi";
/// The document, below the project's folder.
const DOCUMENT: &str = "shared/contract/openapi.json";

/// Writes the document as the code has it now.
///
/// # Errors
/// When moc-openapi does not build or fails, or the file cannot be written.
pub fn write(project: &Project) -> Result<()> {
    let document = process::capture("generating the OpenAPI document", &mut build::program(project, MOC_OPENAPI)?)?;
    fs::write(project.root().join(DOCUMENT), document).with_context(|| format!("{DOCUMENT} cannot be written"))?;
    println!("{DOCUMENT} is written");
    Ok(())
}
