//! Fetches the standard library's source and the C library for WASI from Debian's archive.
//!
//! Debian's own tools do it, with lists and caches of their own, so that the machine's package
//! sources stay as they are; the packages are unpacked, not installed. The machine's settings for
//! apt (for example a proxy) hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::WASM_TARGET;
use crate::process;

/// The suites that are looked through, in this order: the smallest lists first.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];
const ARCHIVE: &str = "http://deb.debian.org/debian";
/// Debian's signing keys, in its package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const TOOLS: [&str; 3] = ["apt-get", "apt-cache", "dpkg"];

/// Unpacked packages, to be used and discarded.
#[derive(Debug)]
pub struct Packages {
    /// The `library/` folder of the compiler's source.
    pub library: PathBuf,
    /// The folder with the C library and the start files for the target.
    pub wasi_libc: PathBuf,
}

/// Fetches and unpacks the source of exactly `rust_version`, and the C library of the same suite.
pub fn unpack_sources(rust_version: &str, workspace: &Path) -> Result<Packages> {
    if let Some(tool) = TOOLS.iter().find(|tool| !process::is_installed(tool)) {
        bail!(
            "the target {WASM_TARGET} is missing, and building it needs `{tool}`, which is not installed: run `rustup target add {WASM_TARGET}` on a network where it can download"
        );
    }
    if !Path::new(KEYRING).is_file() {
        bail!(
            "the target {WASM_TARGET} is missing, and building it needs Debian's signing keys ({KEYRING}, package debian-archive-keyring): install them, or run `rustup target add {WASM_TARGET}` on a network where it can download"
        );
    }
    let mut versions_seen = Vec::new();
    let mut unreachable = None;
    for suite in SUITES {
        let apt = Apt::for_suite(suite, &workspace.join(suite))?;
        let listed = match apt.list_versions() {
            Ok(listed) => listed,
            Err(error) => {
                unreachable = Some(error);
                continue;
            }
        };
        if let Some(wanted) = choose(&listed, rust_version) {
            return apt.unpack(&wanted, rust_version, workspace);
        }
        versions_seen.extend(listed.into_iter().filter(|entry| entry.package == "rust-src"));
    }
    match unreachable {
        Some(error) if versions_seen.is_empty() => Err(error.context(format!(
            "the target {WASM_TARGET} is missing, and neither rustup nor apt could download what it needs"
        ))),
        _ => Err(no_such_version(rust_version, &versions_seen)),
    }
}

fn no_such_version(rust_version: &str, seen: &[Listed]) -> anyhow::Error {
    let mut packaged: Vec<&str> = seen.iter().map(|entry| upstream(&entry.version)).collect();
    packaged.sort_unstable();
    packaged.dedup();
    anyhow!(
        "the target {WASM_TARGET} is missing, and Debian ({}) has no rust-src of version {rust_version}: run `rustup target add {WASM_TARGET}` on a network where it can download, or use a compiler whose source is packaged ({})",
        SUITES.join(", "),
        packaged.join(", ")
    )
}

/// One suite with folders of its own for apt.
struct Apt {
    suite: &'static str,
    dir: PathBuf,
}

impl Apt {
    fn for_suite(suite: &'static str, dir: &Path) -> Result<Self> {
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let source = format!("deb [signed-by={KEYRING} target=Packages] {ARCHIVE} {suite} main\n");
        std::fs::write(dir.join("sources.list"), source)?;
        std::fs::write(dir.join("status"), "")?;
        Ok(Self { suite, dir: dir.to_owned() })
    }

    /// Fetches the suite's list and gives the versions of the two packages, newest first.
    fn list_versions(&self) -> Result<Vec<Listed>> {
        let task = format!("reading the package list of Debian {}", self.suite);
        process::capture(&task, self.command("apt-get").arg("update"))?;
        let mut query = self.command("apt-cache");
        query.args(["madison", "rust-src", "wasi-libc"]);
        Ok(parse_madison(&process::capture(&task, &mut query)?))
    }

    fn unpack(&self, wanted: &Wanted, rust_version: &str, into: &Path) -> Result<Packages> {
        let downloads = into.join("downloads");
        let unpacked = into.join("packages");
        std::fs::create_dir_all(&downloads)?;
        let mut download = self.command("apt-get");
        download
            .arg("download")
            .arg(format!("rust-src={}", wanted.rust_src))
            .arg(format!("wasi-libc={}", wanted.wasi_libc))
            .current_dir(&downloads);
        process::capture("downloading the standard library's source", &mut download)?;
        for entry in downloads.read_dir()? {
            let archive = entry?.path();
            let mut dpkg = Command::new("dpkg");
            dpkg.arg("-x").arg(&archive).arg(&unpacked);
            process::capture("unpacking the standard library's source", &mut dpkg)?;
        }
        let packages = Packages {
            library: unpacked.join(format!("usr/src/rustc-{rust_version}/library")),
            wasi_libc: unpacked.join("usr/lib").join(WASM_TARGET),
        };
        for folder in [&packages.library, &packages.wasi_libc] {
            let metadata = folder.metadata();
            metadata.with_context(|| format!("Debian's packages lack {}", folder.display()))?;
        }
        Ok(packages)
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.arg("-qq");
        let own = |name: &str| self.dir.join(name).display().to_string();
        for (name, value) in [
            ("Dir::Etc::sourcelist", own("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
            ("Dir::State", own("state")),
            ("Dir::State::status", own("status")),
            ("Dir::Cache", own("cache")),
            // A suite that cannot be reached is an error, not a warning.
            ("APT::Update::Error-Mode", "any".to_owned()),
            ("Acquire::Retries", "2".to_owned()),
            ("Acquire::http::Timeout", "30".to_owned()),
            // As root, apt would download as a user who may not enter these folders.
            ("APT::Sandbox::User", "root".to_owned()),
        ] {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        command
    }
}

/// One line of `apt-cache madison`.
#[derive(Debug, PartialEq)]
struct Listed {
    package: String,
    version: String,
}

/// The versions to fetch, as Debian writes them.
#[derive(Debug, PartialEq)]
struct Wanted {
    rust_src: String,
    wasi_libc: String,
}

/// Reads `package | version | source` lines; the newest comes first.
fn parse_madison(text: &str) -> Vec<Listed> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split('|').map(str::trim);
            let (package, version) = (columns.next()?, columns.next()?);
            columns.next()?;
            Some(Listed { package: package.to_owned(), version: version.to_owned() })
        })
        .collect()
}

/// The source of exactly this compiler and the newest C library; `None` if one is missing.
fn choose(listed: &[Listed], rust_version: &str) -> Option<Wanted> {
    let newest = |package: &str, fits: &dyn Fn(&str) -> bool| {
        listed.iter().find(|entry| entry.package == package && fits(&entry.version)).map(|entry| entry.version.clone())
    };
    Some(Wanted {
        rust_src: newest("rust-src", &|version| upstream(version) == rust_version)?,
        wasi_libc: newest("wasi-libc", &|_| true)?,
    })
}

/// The version that Rust's authors gave it: `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`.
fn upstream(debian_version: &str) -> &str {
    let without_epoch = debian_version.split_once(':').map_or(debian_version, |(_, rest)| rest);
    without_epoch.split(['+', '-', '~']).next().unwrap_or(without_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADISON: &str = "  \
  rust-src | 1.97.1+dfsg1-1 | http://deb.debian.org/debian sid/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
 wasi-libc | 0.0~git20260423.161b319-2 | http://deb.debian.org/debian sid/main amd64 Packages
 wasi-libc | 0.0~git20260129.ec0effd-3~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
N: a remark
";

    #[test]
    fn reads_the_lines_of_madison() {
        let listed = parse_madison(MADISON);
        assert_eq!(listed.len(), 4);
        assert_eq!(listed[1].package, "rust-src");
        assert_eq!(listed[1].version, "1.95.0+dfsg1-2~bpo13+1");
        assert_eq!(parse_madison(""), []);
    }

    #[test]
    fn takes_the_source_of_exactly_this_compiler() {
        let listed = parse_madison(MADISON);
        let wanted = choose(&listed, "1.95.0").unwrap();
        assert_eq!(wanted.rust_src, "1.95.0+dfsg1-2~bpo13+1");
        assert_eq!(wanted.wasi_libc, "0.0~git20260423.161b319-2");
        for other in ["1.95.1", "1.96.0", "1.95.0-nightly", "1.9"] {
            assert_eq!(choose(&listed, other), None);
        }
    }

    #[test]
    fn needs_the_c_library_too() {
        let listed = parse_madison("rust-src | 1.95.0+dfsg1-2 | sid");
        assert_eq!(choose(&listed, "1.95.0"), None);
    }

    #[test]
    fn knows_the_version_behind_debians() {
        for (debian, expected) in [
            ("1.95.0+dfsg1-2~bpo13+1", "1.95.0"),
            ("1.95.0-1", "1.95.0"),
            ("1:1.95.0~beta.4+dfsg1-1", "1.95.0"),
            ("1.95.0", "1.95.0"),
        ] {
            assert_eq!(upstream(debian), expected);
        }
    }

    #[test]
    fn a_version_that_is_not_packaged_is_named_with_the_ways_out() {
        let seen = parse_madison(MADISON);
        let message = no_such_version("1.94.0", &seen[..2]).to_string();
        assert!(message.contains("no rust-src of version 1.94.0"), "{message}");
        assert!(message.contains("rustup target add wasm32-wasip2"), "{message}");
        assert!(message.ends_with("(1.95.0, 1.97.1)"), "{message}");
    }
}
