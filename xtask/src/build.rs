//! Building the components and the programs.

use std::process::Command;

use anyhow::{Result, bail};

use crate::npm;
use crate::process;
use crate::project::Project;
use crate::wasm_target::{self, WASM_TARGET};

/// The crates of every route in one component, and of the component that is linked to it.
const WASI_CRATES: [&str; 2] = ["moc-uploads", "moc-uploads-thumbnailer"];
/// The features that make something of them.
const WASI_FEATURES: &str = "moc-uploads/wasi,moc-uploads-thumbnailer/wasi";
/// Their files.
const WASI_FILES: [&str; 2] = ["moc_uploads_routes.wasm", "moc_uploads_thumbnailer.wasm"];
/// The program that links them.
const LINKER: &str = "moc-compose";
/// The linked component.
const WASI_FILE: &str = "moc_uploads.wasm";
/// Components that are not part of the application: the benchmark compares with them.
const HELLO: [&str; 2] = ["moc-bench-hello", "moc-bench-hello-postgres"];
/// Others: tests run the cases of the ports in the one, and reach the limits of hosts with the other.
const OF_TESTS: [&str; 2] = ["moc-conformance", "moc-probe"];
/// The local host's program.
pub const LOCAL_HOST: &str = "moc-local";

/// The hosts that the same sources are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// spin.toml: a component per route, with every database
    Spin,
    /// deploy/akamai/spin.toml: the same without SQLite, which Akamai Functions does not have
    Akamai,
    /// One component with every route, for hosts of plain WASI: wasmtime serve, wasmCloud
    Wasi,
}

impl Target {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Spin, Self::Akamai, Self::Wasi];

    /// The cargo profile in the workspace's manifest, and so the folder of the built files.
    const fn profile(self) -> &'static str {
        match self {
            Self::Spin | Self::Wasi => "component",
            Self::Akamai => "akamai",
        }
    }

    /// Cargo's options for features. Without any, components turn all of Spin's on.
    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Spin => &[],
            Self::Akamai => {
                &["--no-default-features", "--features", "moc-adapters/spin,moc-adapters/postgres,moc-adapters/libsql"]
            }
            Self::Wasi => &["--features", WASI_FEATURES],
        }
    }
}

#[derive(clap::Args)]
pub struct Options {
    /// The components to build [default: all]
    components: Vec<String>,
    /// The host to build them for
    #[arg(long, value_enum, default_value_t = Target::Spin)]
    target: Target,
}

/// Builds the named components, or all.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let Options { components, target } = options;
    if *target == Target::Wasi {
        if !components.is_empty() {
            bail!("the target wasi has one component with every route: name none");
        }
        return one_component(project);
    }
    let all = project.components()?;
    if let Some(unknown) = components.iter().find(|name| !all.contains(name)) {
        bail!("there is no component {unknown}; there are {}", all.join(", "));
    }
    let components = if components.is_empty() { all } else { components.clone() };
    wasm_target::ensure(project)?;
    npm::build_pages(project, &components)?;
    process::run("building the components", for_wasm(project, "build", *target).args(packages(&components)))
}

/// Builds every component of a target, with the pages that they embed, and installs the compiler's target if it is
/// missing.
pub fn components(project: &Project, target: Target) -> Result<()> {
    run(project, &Options { components: Vec::new(), target })
}

/// Builds the component of every route, and links the thumbnailer to it.
fn one_component(project: &Project) -> Result<()> {
    wasm_target::ensure(project)?;
    npm::build_pages(project, &project.components()?)?;
    let mut cargo = for_wasm(project, "build", Target::Wasi);
    process::run("building the components", cargo.args(packages(&WASI_CRATES)))?;
    let folder = project.target_dir().join(WASM_TARGET).join(Target::Wasi.profile());
    process::run(&format!("building {LINKER}"), &mut for_linker(project, "build"))?;
    let mut linker = Command::new(project.program(LINKER));
    linker.args(WASI_FILES.into_iter().chain([WASI_FILE]).map(|file| folder.join(file)));
    process::run("linking the components", &mut linker)
}

/// A cargo command for the program that links components, in release mode. Its dependencies have features that those of
/// the local host have not, so it is no part of [`for_native_crates`].
pub fn for_linker(project: &Project, subcommand: &str) -> Command {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--release", "--package", LINKER]);
    cargo
}

/// Builds the components that only tests use.
pub fn of_tests(project: &Project) -> Result<()> {
    let mut cargo = for_wasm(project, "build", Target::Spin);
    process::run("building the components of the tests", cargo.args(packages(&OF_TESTS)))
}

/// Builds a native program in release mode and returns the command that runs it.
pub fn program(project: &Project, name: &str) -> Result<Command> {
    let mut cargo = for_native_crates(project, "build")?;
    process::run(&format!("building {name}"), cargo.args(["--bin", name]))?;
    Ok(Command::new(project.program(name)))
}

/// A cargo command for every crate that is neither a component nor links them, in release mode. It always names all of
/// them: cargo chooses the features of dependencies by the crates that it is given, and another choice would compile
/// most of the local host's dependencies a second time.
pub fn for_native_crates(project: &Project, subcommand: &str) -> Result<Command> {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--release", "--workspace"]);
    let others = HELLO.into_iter().chain(OF_TESTS).chain(WASI_CRATES).chain([LINKER]).map(str::to_owned);
    for name in others.chain(project.components()?) {
        cargo.args(["--exclude", &name]);
    }
    Ok(cargo)
}

/// A cargo command (`build`, `clippy`) for all components of a target, with its profile and features. Spin's include
/// those of the tests.
pub fn for_components(project: &Project, subcommand: &str, target: Target) -> Result<Command> {
    let mut cargo = for_wasm(project, subcommand, target);
    match target {
        Target::Spin => cargo.args(packages(&project.components()?)).args(packages(&OF_TESTS)),
        Target::Akamai => cargo.args(packages(&project.components()?)),
        Target::Wasi => cargo.args(packages(&WASI_CRATES)),
    };
    Ok(cargo)
}

fn for_wasm(project: &Project, subcommand: &str, target: Target) -> Command {
    let mut cargo = project.cargo(subcommand);
    cargo.args(["--profile", target.profile(), "--target", WASM_TARGET]).args(target.features());
    cargo
}

fn packages(names: &[impl AsRef<str>]) -> impl Iterator<Item = &str> {
    names.iter().flat_map(|name| ["--package", name.as_ref()])
}
