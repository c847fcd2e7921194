//! Dependencies point one way: components and adapters know the domain, never the reverse.

use std::collections::BTreeSet;

use toml::Table;

use crate::{directories, read};

/// The crates that a crate's code and its build name. What its tests use is their business.
fn dependencies(directory: &str) -> BTreeSet<String> {
    let manifest: Table = read(format!("{directory}/Cargo.toml")).parse().expect("TOML");
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let of_targets = targets.into_iter().flat_map(|targets| targets.values().filter_map(|target| target.as_table()));
    let tables = [&manifest]
        .into_iter()
        .chain(of_targets)
        .flat_map(|table| ["dependencies", "build-dependencies"].into_iter().filter_map(|name| table.get(name)));
    tables.filter_map(|table| table.as_table()).flat_map(|table| table.keys().cloned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn shared_crates_depend_on_those_below_them_only() {
    let layers: [(&str, &[&str]); 9] = [
        ("shared/assets", &[]),
        ("shared/config", &["moc-contract", "moc-domain"]),
        ("shared/domain", &[]),
        ("shared/contract", &["moc-domain"]),
        ("shared/application", &["moc-domain"]),
        ("shared/fakes", &["moc-application", "moc-domain", "moc-store"]),
        ("shared/store", &["moc-application", "moc-domain"]),
        ("shared/thumbnail", &["moc-domain"]),
        ("shared/adapters", &["moc-application", "moc-config", "moc-contract", "moc-domain", "moc-store"]),
    ];
    let ours: BTreeSet<String> = directories("components").into_iter().chain(set(&["xtask"])).collect();
    for (directory, below) in layers {
        let named = dependencies(directory);
        let named = named.iter().filter(|name| name.starts_with("moc-") || ours.contains(*name));
        let above: Vec<&String> = named.filter(|name| !below.contains(&name.as_str())).collect();
        assert!(above.is_empty(), "{directory} must not depend on {above:?}");
    }
    assert_eq!(directories("shared").len(), layers.len(), "a shared crate that no layer names");
}

#[test]
fn only_the_adapters_know_the_platform() {
    let platform = ["http", "hyper", "reqwest", "rusqlite", "rusty-s3", "spin-sdk", "tokio", "wasip3", "wit-bindgen"];
    for directory in
        ["shared/assets", "shared/config", "shared/domain", "shared/contract", "shared/application", "shared/thumbnail"]
    {
        let named = dependencies(directory);
        let known: Vec<&&str> = platform.iter().filter(|name| named.contains(**name)).collect();
        assert!(known.is_empty(), "{directory} must not depend on {known:?}");
    }
    for id in directories("components") {
        let named = dependencies(&format!("components/{id}"));
        let shared = set(&[
            "moc-adapters",
            "moc-application",
            "moc-assets",
            "moc-config",
            "moc-contract",
            "moc-domain",
            "moc-thumbnail",
        ]);
        let others: Vec<&String> = named.difference(&shared).collect();
        assert!(others.is_empty(), "components/{id} is thin: it must not depend on {others:?}");
    }
}

#[test]
fn every_component_can_be_built_without_the_default_features_of_the_adapters() {
    for id in directories("components") {
        let manifest: Table = read(format!("components/{id}/Cargo.toml")).parse().expect("TOML");
        let default = manifest.get("features").and_then(|features| features["default"].as_array());
        let default: Vec<_> = default.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        assert_eq!(default, ["moc-adapters/default"], "{id}");
        assert_eq!(manifest["dependencies"]["moc-adapters"].to_string(), "{ workspace = true }", "{id}");
    }
}

#[test]
fn nothing_of_the_product_depends_on_its_tools() {
    let tools = set(&[
        "moc-local",
        "moc-broadcaster",
        "moc-compose",
        "moc-doctor",
        "moc-tests",
        "moc-seed",
        "moc-bench",
        "moc-servers",
        "moc-simulator",
        "moc-fakes",
        "xtask",
    ]);
    let product = directories("components").into_iter().map(|id| format!("components/{id}"));
    let shared = directories("shared").into_iter().filter(|name| name != "fakes");
    for directory in product.chain(shared.map(|name| format!("shared/{name}"))).chain(["wasi".to_owned()]) {
        assert!(dependencies(&directory).is_disjoint(&tools), "{directory}");
    }
    // The local host runs any spin.toml: of this product it knows what the variables mean, so that
    // a broken one stops it at its start. The broadcaster is a part of it that is a crate of its own.
    let mut known: Vec<String> = dependencies("local").into_iter().filter(|name| name.starts_with("moc-")).collect();
    known.retain(|name| !["moc-config", "moc-broadcaster"].contains(&name.as_str()));
    assert!(known.is_empty(), "local must not depend on {known:?}");
}
