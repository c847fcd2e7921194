//! The version stands in the workspace's Cargo.toml; everything else follows it.

use serde_json::Value;
use toml::Table;

use crate::read;

fn version() -> String {
    let manifest: Table = read("Cargo.toml").parse().expect("TOML");
    manifest["workspace"]["package"]["version"].as_str().expect("a version").to_owned()
}

/// The value that follows a text in a file.
fn after<'a>(source: &'a str, text: &str) -> &'a str {
    let rest = source.split_once(text).unwrap_or_else(|| panic!("{text:?} is missing")).1;
    rest.split(['"', '\n', ' ', ']']).next().unwrap_or_default()
}

#[test]
fn every_place_has_the_version_of_the_workspace() {
    let version = version();
    for (path, before) in [
        ("spin.toml", "\nversion = \""),
        ("shared/contract/asyncapi.yaml", "\n  version: "),
        ("deploy/spinkube/spinapp.yaml", "moc-uploads:"),
        ("docs/deployment/spinkube.md", "registry.example.com/moc-uploads:"),
        ("deploy/wasmcloud/workload.yaml", "moc-uploads-wasi:"),
        ("docs/deployment/wasmcloud.md", "moc-uploads-wasi:"),
        ("deploy/wasmtime/Containerfile", "moc-uploads:"),
        ("docs/deployment/wasmtime.md", "--tag moc-uploads:"),
    ] {
        assert_eq!(after(&read(path), before), version, "{path}");
    }
    for (path, pointer) in [("client/package.json", "/version"), ("shared/contract/openapi.json", "/info/version")] {
        let json: Value = serde_json::from_str(&read(path)).expect("JSON");
        assert_eq!(json.pointer(pointer).and_then(Value::as_str), Some(version.as_str()), "{path}");
    }
    let changelog = read("CHANGELOG.md");
    let released = changelog.split("\n## [").skip(1).map(|rest| after(rest, "")).find(|name| *name != "Unreleased");
    assert_eq!(released, Some(version.as_str()), "the newest release in CHANGELOG.md");
}
