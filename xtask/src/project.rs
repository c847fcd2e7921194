//! The project's folders, and its cargo commands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The project's folder.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the project by the folder of this crate, which `cargo run` puts into the environment.
    pub fn locate() -> Result<Self> {
        let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .context("this program is started as `cargo xtask`")?;
        let root = crate_dir.parent().context("the folder of xtask has no parent")?;
        Ok(Self { root: root.to_owned() })
    }

    /// The project's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's output folder. It is fixed, because spin.toml names the components' files in it.
    pub fn target_dir(&self) -> PathBuf {
        self.root.join("target")
    }

    /// A program of one of the crates, built in release mode.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target_dir().join("release").join(name)
    }

    /// The names of the component crates, sorted: the folders under `components/` with a manifest.
    pub fn components(&self) -> Result<Vec<String>> {
        component_crates(&self.root.join("components"))
    }

    /// A cargo command that runs in the project's folder and builds into its `target/`.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(cargo_program());
        command.arg(subcommand).current_dir(&self.root).env("CARGO_TARGET_DIR", self.target_dir());
        // Elsewhere cargo may update the lock file; `cargo fmt` does not take the option.
        if crate::is_ci() && subcommand != "fmt" {
            command.arg("--locked");
        }
        command
    }
}

/// The cargo that runs this program, so that a toolchain chosen for it holds for its children too.
pub fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn component_crates(dir: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("the folder {} cannot be read", dir.display());
    let mut names = Vec::new();
    for entry in dir.read_dir().with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if !path.join("Cargo.toml").is_file() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        names.push(name.context("a component's folder has a name that is not UTF-8")?.to_owned());
    }
    if names.is_empty() {
        bail!("there is no component crate in {}", dir.display());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_the_folders_with_a_manifest() {
        let dir = std::env::temp_dir().join(format!("xtask-components-{}", std::process::id()));
        for name in ["part", "finalize", "web"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        assert!(component_crates(&dir).is_err());
        std::fs::write(dir.join("part/Cargo.toml"), "").unwrap();
        std::fs::write(dir.join("finalize/Cargo.toml"), "").unwrap();
        std::fs::write(dir.join("README.md"), "").unwrap();
        let names = component_crates(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(names, ["finalize", "part"]);
    }
}
