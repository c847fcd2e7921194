//! Links a component that imports `wasi:http/handler` to one that exports it. Each keeps a memory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, PackageId};

/// What is linked, and what the composed component exports.
const HANDLER: &str = "wasi:http/handler@0.3.0";

#[derive(Parser)]
struct Options {
    /// The component that imports the handler, and whose own one is exported
    routes: PathBuf,
    /// The component that is the handler
    handler: PathBuf,
    /// The file to write
    output: PathBuf,
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
    let mut graph = CompositionGraph::new();
    let handler = register(&mut graph, "moc:handler", &options.handler)?;
    let routes = register(&mut graph, "moc:routes", &options.routes)?;
    let handler = graph.instantiate(handler);
    let handle = graph.alias_instance_export(handler, HANDLER)?;
    let routes = graph.instantiate(routes);
    graph.set_instantiation_argument(routes, HANDLER, handle)?;
    let exported = graph.alias_instance_export(routes, HANDLER)?;
    graph.export(exported, HANDLER)?;
    // What is not linked is the host's.
    let bytes = graph.encode(EncodeOptions::default())?;
    fs::write(&options.output, bytes).with_context(|| format!("cannot write {}", options.output.display()))
}

fn register(graph: &mut CompositionGraph, name: &str, path: &Path) -> Result<PackageId> {
    let package = Package::from_file(name, None, path, graph.types_mut());
    let package = package.with_context(|| format!("{} is no component", path.display()))?;
    Ok(graph.register_package(package)?)
}
