//! What reviewers would have to check by hand otherwise: that documents, manifests and code say the
//! same, and that the rules of the architecture hold.

mod dependencies;
mod deploy;
mod hosts;
mod imports;
mod log_lines;
mod manifest;
mod openapi;
mod routes;
mod source;
mod variables;
mod version;

use std::fs;
use std::path::{Path, PathBuf};

/// The project's directory.
fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate is a directory of the project").to_owned()
}

/// A file of the project.
fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The directories in a directory of the project, by name.
fn directories(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(path)).expect("a directory").map(|entry| entry.expect("an entry"));
    let directories = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The files below a directory of the project that have this extension, relative to the project.
fn files(path: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let mut found = every_file(path);
    found.retain(|path| path.extension().is_some_and(|given| given == extension));
    found
}

/// The files below a directory of the project, relative to the project.
fn every_file(path: impl AsRef<Path>) -> Vec<PathBuf> {
    let path = path.as_ref();
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(path)).expect("a directory").map(|entry| entry.expect("an entry")) {
        let relative = path.join(entry.file_name());
        if entry.path().is_dir() {
            // What tools install or build is not ours.
            if !["target", "node_modules"].contains(&entry.file_name().to_string_lossy().as_ref()) {
                found.extend(every_file(&relative));
            }
        } else {
            found.push(relative);
        }
    }
    found.sort();
    found
}

/// The code of a component, of all its files.
fn component_source(id: &str) -> String {
    files(format!("components/{id}/src"), "rs").iter().map(read).collect()
}
