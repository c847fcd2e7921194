//! Writes README.md's table of variables.

use anyhow::Result;

use crate::build;
use crate::process;
use crate::project::Project;

/// Writes the table: the tidy test that compares it does so where it is told to.
///
/// # Errors
/// When the test does not build, or spin.toml or README.md cannot be read.
pub fn write(project: &Project) -> Result<()> {
    let mut cargo = build::for_native_crates(project, "test")?;
    cargo.args(["--test", "tidy", "--", "--exact", "variables::readme_has_the_table_of_variables"]);
    process::run("writing the table of variables", cargo.env("MOC_WRITE_VARIABLES", "1"))
}
