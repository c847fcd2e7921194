//! Builds the standard library for a target from its source and puts it into the toolchain.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::compiler::Compiler;
use super::debian::Packages;
use crate::process;
use crate::project::cargo_program;

/// The parts of the standard library that rustup's build of it has too.
const PARTS: &str = "std,panic_abort,panic_unwind,test";
/// The start files and the C library, which the linker looks for next to the Rust libraries.
const WASI_FILES: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];
/// The crate whose only purpose is to have dependencies.
const EMPTY_CRATE: &str = "empty";

/// Compiles the library and gives its files (`lib*.rlib`).
///
/// Cargo looks for the source in the sysroot. To leave the toolchain as it is, the compiler is
/// given another sysroot, in `workspace`, that has the source and the machine's own libraries.
pub fn build(compiler: &Compiler, packages: &Packages, target: &str, workspace: &Path) -> Result<Vec<PathBuf>> {
    let sysroot = workspace.join("sysroot");
    let rustlib = sysroot.join("lib").join("rustlib");
    let library = rustlib.join("src").join("rust").join("library");
    std::fs::create_dir_all(rustlib.join("src").join("rust"))?;
    std::fs::rename(&packages.library, &library)?;
    symlink(compiler.rustlib().join(&compiler.host), rustlib.join(&compiler.host))?;

    let rustc = workspace.join("rustc");
    write_script(&rustc, "exec \"$REAL_RUSTC\" --sysroot \"$REAL_SYSROOT\" \"$@\"\n")?;
    let crate_dir = workspace.join(EMPTY_CRATE);
    write_empty_crate(&crate_dir)?;

    let build_dir = workspace.join("build");
    let mut cargo = Command::new(cargo_program());
    cargo
        .args(["build", "--quiet", "--release", "--target", target])
        .arg(format!("-Zbuild-std={PARTS}"))
        .arg("--target-dir")
        .arg(&build_dir)
        .current_dir(&crate_dir)
        // The standard library uses what only nightly compilers allow elsewhere.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", &rustc)
        .env("REAL_RUSTC", compiler.program())
        .env("REAL_SYSROOT", &sysroot)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(compiler, &library))
        .env("RUSTC_WRAPPER", "")
        .env_remove("CARGO_BUILD_BUILD_DIR");
    process::capture(&format!("building the standard library for {target}"), &mut cargo)?;

    let deps = build_dir.join(target).join("release").join("deps");
    let mut libraries = Vec::new();
    for entry in deps.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with(&format!("lib{EMPTY_CRATE}-")) {
            libraries.push(path);
        }
    }
    Ok(libraries)
}

/// Copies the files into a fresh folder of the toolchain and gives it the target's name last.
pub fn install(compiler: &Compiler, libraries: &[PathBuf], packages: &Packages, target: &str) -> Result<()> {
    let rustlib = compiler.rustlib();
    let fresh = rustlib.join(format!(".{target}-new-{}", std::process::id()));
    let result =
        fill(&fresh, compiler, libraries, packages, target).and_then(|()| move_into_place(compiler, &fresh, target));
    // Still there only if it was not moved, and then of no use.
    let _ = std::fs::remove_dir_all(&fresh);
    result.with_context(|| format!("{target} cannot be installed into {}", rustlib.display()))
}

fn fill(fresh: &Path, compiler: &Compiler, libraries: &[PathBuf], packages: &Packages, target: &str) -> Result<()> {
    let lib = fresh.join("lib");
    let self_contained = lib.join("self-contained");
    std::fs::create_dir_all(&self_contained)?;
    for library in libraries {
        copy_into(library, &lib)?;
    }
    for name in WASI_FILES {
        copy_into(&packages.wasi_libc.join(name), &self_contained)?;
    }
    let built_for = compiler.built_for_file(target);
    let name = built_for.file_name().context("the marker file has no name")?;
    std::fs::write(fresh.join(name), format!("{}\n", compiler.commit))?;
    Ok(())
}

fn move_into_place(compiler: &Compiler, fresh: &Path, target: &str) -> Result<()> {
    let place = compiler.rustlib().join(target);
    if place.exists() && !compiler.has_target(target) {
        // Half a target, or one for a compiler that has been updated since.
        let old = compiler.rustlib().join(format!(".{target}-old-{}", std::process::id()));
        match std::fs::rename(&place, &old) {
            Ok(()) => std::fs::remove_dir_all(&old)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    match std::fs::rename(fresh, &place) {
        Ok(()) => Ok(()),
        // Another run was faster.
        Err(_) if compiler.has_target(target) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The flags for the library's crates, in cargo's encoding.
///
/// The bitcode is what link-time optimisation reads. The paths, which end up in panic messages, are
/// written as in the official builds, so that a component does not depend on where it was built.
fn flags(compiler: &Compiler, library: &Path) -> String {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let official = format!("/rustc/{}/library", compiler.commit);
    let mut flags = vec!["-Cembed-bitcode=yes".to_owned(), remap(library, &official)];
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = cargo_home.or_else(|| std::env::home_dir().map(|dir| dir.join(".cargo"))) {
        flags.push(remap(&home.join("registry").join("src"), "/rust/deps"));
    }
    flags.join("\x1f")
}

fn write_empty_crate(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir.join("src"))?;
    let manifest =
        format!("[package]\nname = \"{EMPTY_CRATE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n");
    std::fs::write(dir.join("Cargo.toml"), manifest)?;
    std::fs::write(dir.join("src").join("lib.rs"), "")?;
    Ok(())
}

fn copy_into(file: &Path, dir: &Path) -> Result<()> {
    let name = file.file_name().context("a library has no name")?;
    std::fs::copy(file, dir.join(name)).with_context(|| format!("{} cannot be copied", file.display()))?;
    Ok(())
}

fn write_script(path: &Path, body: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\n{body}"))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))?;
    Ok(())
}
