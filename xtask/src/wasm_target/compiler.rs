//! The Rust compiler in use and the targets in its sysroot.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// A file next to a standard library that this program built: the commit of the compiler it was
/// built for, since a library serves no other compiler and the toolchain may be updated later.
const BUILT_FOR_FILE: &str = "built-for-rustc-commit";

/// What `rustc` says of itself.
#[derive(Debug)]
pub struct Compiler {
    /// As in `1.95.0`; a nightly or beta has a suffix.
    pub version: String,
    /// The hash of the compiler's own source, `unknown` where a distributor left it out.
    pub commit: String,
    /// The triple of this machine.
    pub host: String,
    /// The toolchain's folder.
    pub sysroot: PathBuf,
}

impl Compiler {
    /// Asks the compiler that cargo would use.
    pub fn in_use() -> Result<Self> {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
        let ask =
            |arguments: &[&str]| process::capture("asking the Rust compiler", Command::new(&program).args(arguments));
        let description = ask(&["--version", "--verbose"])?;
        let field = |name: &str| {
            field(&description, name).with_context(|| format!("`rustc --version --verbose` does not say its {name}"))
        };
        Ok(Self {
            version: field("release")?,
            commit: field("commit-hash")?,
            host: field("host")?,
            sysroot: PathBuf::from(ask(&["--print", "sysroot"])?.trim()),
        })
    }

    /// The compiler's program itself, not rustup's stand-in for it.
    pub fn program(&self) -> PathBuf {
        self.sysroot.join("bin").join("rustc")
    }

    /// Where the sysroot holds the targets.
    pub fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib").join("rustlib")
    }

    /// The file that says which compiler a library was built for by this program.
    pub fn built_for_file(&self, target: &str) -> PathBuf {
        self.rustlib().join(target).join(BUILT_FOR_FILE)
    }

    /// Whether the sysroot has a standard library of this compiler for `target`.
    pub fn has_target(&self, target: &str) -> bool {
        let has_std = self.rustlib().join(target).join("lib").read_dir().is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        });
        has_std
            && match std::fs::read_to_string(self.built_for_file(target)) {
                Ok(commit) => commit.trim() == self.commit,
                // Not built by this program: rustup keeps it in step with the compiler.
                Err(_) => true,
            }
    }
}

/// The value of a `name: value` line.
fn field(description: &str, name: &str) -> Option<String> {
    description
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\nhost: x86_64-unknown-linux-gnu\n\
        release: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn reads_the_compilers_description() {
        assert_eq!(field(DESCRIPTION, "release").as_deref(), Some("1.95.0"));
        assert_eq!(field(DESCRIPTION, "host").as_deref(), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(DESCRIPTION, "commit-date"), None);
    }

    #[test]
    fn a_target_counts_only_with_a_library_of_this_compiler() {
        let sysroot = std::env::temp_dir().join(format!("xtask-sysroot-{}", std::process::id()));
        let compiler = Compiler {
            version: "1.95.0".to_owned(),
            commit: "abc".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            sysroot: sysroot.clone(),
        };
        let lib = compiler.rustlib().join("wasm32-wasip2").join("lib");
        let mut seen = vec![compiler.has_target("wasm32-wasip2")];
        std::fs::create_dir_all(&lib).unwrap();
        std::fs::write(lib.join("libstd_detect-1.rlib"), "").unwrap();
        seen.push(compiler.has_target("wasm32-wasip2"));
        std::fs::write(lib.join("libstd-1.rlib"), "").unwrap();
        seen.push(compiler.has_target("wasm32-wasip2"));
        std::fs::write(compiler.built_for_file("wasm32-wasip2"), "older\n").unwrap();
        seen.push(compiler.has_target("wasm32-wasip2"));
        std::fs::write(compiler.built_for_file("wasm32-wasip2"), "abc\n").unwrap();
        seen.push(compiler.has_target("wasm32-wasip2"));
        std::fs::remove_dir_all(&sysroot).unwrap();
        assert_eq!(seen, [false, false, true, false, true]);
    }
}
