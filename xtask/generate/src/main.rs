//! Writes what follows from the code, so that nobody writes it by hand: see [`outputs`].

mod capability;
mod component;
mod defaults;
mod limits;
mod manifest;
mod routes;
mod tables;
mod worlds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use component::Component;

#[derive(Parser)]
struct Options {
    /// The project's folder
    root: PathBuf,
    /// Write nothing; fail if a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// A file of the project with the content that it should have.
struct Output {
    path: PathBuf,
    content: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let mut stale = Vec::new();
    for Output { path, content } in outputs(&options.root)? {
        let file = options.root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|current| current == content) {
            continue;
        }
        if options.check {
            stale.push(path.display().to_string());
        } else {
            fs::write(&file, content).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("not up to date: {}. Run `cargo xtask generate` and commit the result.", stale.join(", "))
}

/// Every generated file but the client's types, which openapi-typescript makes of `openapi.json`.
fn outputs(root: &Path) -> Result<Vec<Output>> {
    let components = Component::all(root)?;
    let spin = read(root, "spin.toml")?;
    let document = moc_contract::openapi::document();
    let openapi: serde_json::Value = serde_json::from_str(&document)?;
    let mut outputs = vec![
        Output { path: "shared/contract/openapi.json".into(), content: document },
        Output { path: "client/src/limits.ts".into(), content: limits::client() },
        Output { path: "components/web/page/limits.ts".into(), content: limits::page() },
        Output { path: "spin.toml".into(), content: manifest::spin(&spin, &components)? },
        Output { path: "deploy/akamai/spin.toml".into(), content: manifest::akamai(&spin, &components)? },
        Output { path: "shared/adapters/src/host/wasi/defaults.rs".into(), content: defaults::write(&spin)? },
        Output { path: "wasi/src/routes.rs".into(), content: routes::write(&components) },
        Output { path: "wit/components.wit".into(), content: worlds::write(&components) },
    ];
    outputs.extend(tables::write(root, &components, &openapi)?);
    Ok(outputs)
}

fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}
