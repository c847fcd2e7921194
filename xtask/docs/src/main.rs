//! Renders `docs/` to HTML with mdBook, readable without a network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use anyhow::{Context, Result, ensure};
use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;

/// The folder of the project whose files pages link to: it goes into the book.
const LINKED: &str = "deploy";

fn main() -> ExitCode {
    match run() {
        Ok(page) => {
            println!("{}", page.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Renders the book of the project's folder, the only argument; returns its first page.
fn run() -> Result<PathBuf> {
    let root = env::args_os().nth(1).map(PathBuf::from).context("usage: moc-docs PROJECT")?;
    let mut book = MDBook::load(root.join("docs"))?;
    book.book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item {
            // In the repository the folder is next to docs/, in the book inside of it.
            chapter.content = chapter.content.replace(&format!("../{LINKED}/"), &format!("{LINKED}/"));
        }
    });
    book.build()?;
    let output = fs::canonicalize(book.build_dir_for("html"))?;
    copy(&root.join(LINKED), &output.join(LINKED))?;
    let dead = dead_links(&output)?;
    ensure!(dead.is_empty(), "links lead nowhere: {}", Vec::from_iter(dead).join(", "));
    Ok(output.join("index.html"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Relative links of the pages below a folder to files that do not exist.
fn dead_links(folder: &Path) -> Result<BTreeSet<String>> {
    let mut dead = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            dead.extend(dead_links(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let page = fs::read_to_string(&path)?;
            let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
            let is_dead = |link: &&str| !link.is_empty() && !link.contains("://") && !folder.join(link).exists();
            // The page for paths that do not exist is served at any depth.
            let is_checked = path.file_name().is_none_or(|name| name != "404.html");
            dead.extend(links.filter(|_| is_checked).filter(is_dead).map(|link| format!("{}: {link}", path.display())));
        }
    }
    Ok(dead)
}
