//! `cargo xtask docs`: the documentation as HTML, which the crate moc-docs renders.

use std::process::Command;

use anyhow::Result;

use crate::build;
use crate::process;
use crate::project::Project;

const MOC_DOCS: &str = "moc-docs";

#[derive(clap::Args)]
pub struct Options {
    /// Open the first page in a browser
    #[arg(long)]
    open: bool,
}

/// Renders the documentation into `target/docs`.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let page = render(project)?;
    println!("{page}");
    if options.open {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        process::run("opening the documentation", Command::new(opener).arg(&page))?;
    }
    Ok(())
}

/// Renders the documentation and returns the path of its first page.
pub fn render(project: &Project) -> Result<String> {
    let mut docs = build::program(project, MOC_DOCS)?;
    let page = process::capture("rendering the documentation", docs.arg(project.root()))?;
    Ok(page.trim_end().to_owned())
}
