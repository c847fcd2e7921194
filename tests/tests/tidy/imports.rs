//! Built components import what their world in wit/ names, whatever the host that they are built for.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;

use wasmparser::{Parser, Payload};
use wit_parser::{Resolve, WorldItem};

use crate::manifest::{Grants, Manifest};
use crate::root;

/// The imports of a component: names for example `wasi:http/types@0.3.0`.
fn imports(component: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                names.extend(section.into_iter().map(|import| import.expect("an import").name.name.to_owned()));
            }
            _ => {}
        }
    }
    names
}

fn worlds() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).expect("wit/ is sound");
    resolve
}

/// The interfaces that a world imports, what these use of others included.
fn named(resolve: &Resolve, world: &str) -> Option<BTreeSet<String>> {
    let ours = |package| {
        let name = &resolve.packages[package].name;
        name.namespace == "moc" && name.name == "uploads"
    };
    let (_, world) = resolve.worlds.iter().find(|(_, found)| found.name == world && found.package.is_some_and(ours))?;
    let names = world.imports.iter().map(|(key, item)| match item {
        WorldItem::Interface { id, .. } => resolve.id_of(*id).unwrap_or_else(|| resolve.name_world_key(key)),
        _ => resolve.name_world_key(key),
    });
    Some(names.collect())
}

/// The name with the part of the version that says what is compatible: `0.2` of `0.2.6`, `3` of `3.1.0`.
fn compatible(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else { return name.to_owned() };
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some("0"), Some(minor)) => format!("{interface}@0.{minor}"),
        (Some(major), _) => format!("{interface}@{major}"),
        _ => name.to_owned(),
    }
}

/// What the components of a build for Akamai Functions, which has no SQLite, do not import of what their world names.
const NOT_ON_AKAMAI: &str = "spin:sqlite/sqlite@3";
/// The one component for plain WASI, with its world.
const WASI_SOURCE: &str = "target/wasm32-wasip2/component/moc_uploads.wasm";
const WASI_WORLD: &str = "plain-wasi";

type Imports = BTreeSet<String>;

/// The imports of a built component; `None` if it is not built, which is said.
fn built(id: &str, source: &str) -> Option<Imports> {
    match fs::read(root().join(source)) {
        Ok(bytes) => Some(imports(&bytes).iter().map(|name| compatible(name)).collect()),
        Err(error) => {
            // Not `eprintln!`, which a test that passes does not show.
            let _ = writeln!(std::io::stderr(), "skipped: the imports of {id}: {source}: {error}");
            None
        }
    }
}

/// The built components of a manifest, with their ids.
fn all_built(manifest: &Manifest) -> Vec<(String, Imports)> {
    let components = manifest.components().into_iter();
    components.filter_map(|(id, grants)| built(&id, &grants.source).map(|imported| (id, imported))).collect()
}

/// What a world names, by compatible versions.
fn world(resolve: &Resolve, name: &str) -> Imports {
    let named = named(resolve, name).unwrap_or_else(|| panic!("wit/ has no world {name}"));
    named.iter().map(|name| compatible(name)).collect()
}

fn assert_imports(id: &str, imported: &Imports, named: &Imports) {
    let beyond: Vec<_> = imported.difference(named).collect();
    assert!(beyond.is_empty(), "{id} imports {beyond:?}, which its world in wit/ does not name");
    // What Rust's standard library imports (WASI 0.2) depends on the compiler, and the types of clocks come
    // along with those of http, used or not; the rest is ours.
    let ours = |name: &&String| !name.ends_with("@0.2") && *name != "wasi:clocks/types@0.3";
    let unused: Vec<_> = named.difference(imported).filter(ours).collect();
    assert!(unused.is_empty(), "the world of {id} in wit/ names {unused:?}, which it does not import");
}

#[test]
fn every_component_has_a_world() {
    let resolve = worlds();
    for id in Manifest::read().components().into_keys() {
        assert!(named(&resolve, &id).is_some(), "wit/ has no world {id}");
    }
}

#[test]
fn components_import_what_their_world_names() {
    let resolve = worlds();
    for (id, imported) in all_built(&Manifest::read()) {
        assert_imports(&id, &imported, &world(&resolve, &id));
    }
}

#[test]
fn components_for_akamai_import_the_same_without_sqlite() {
    let resolve = worlds();
    for (id, imported) in all_built(&Manifest::akamai()) {
        let mut named = world(&resolve, &id);
        named.remove(NOT_ON_AKAMAI);
        assert_imports(&id, &imported, &named);
    }
}

#[test]
fn the_one_component_for_plain_wasi_imports_what_its_world_names() {
    let named = world(&worlds(), WASI_WORLD);
    let others: Vec<_> = named.iter().filter(|name| !name.starts_with("wasi:")).collect();
    assert!(others.is_empty(), "{others:?} are not WASI");
    if let Some(imported) = built("moc-uploads", WASI_SOURCE) {
        assert_imports("moc-uploads", &imported, &named);
    }
}

#[test]
fn components_import_what_they_are_granted() {
    for manifest in [Manifest::read(), Manifest::akamai()] {
        let components = manifest.components();
        for (id, imported) in all_built(&manifest) {
            assert_grants(&id, &imported, &components[&id]);
        }
    }
}

fn assert_grants(id: &str, imported: &Imports, grants: &Grants) {
    for (interface, granted) in [
        ("spin:sqlite/sqlite@3", !grants.databases.is_empty()),
        ("spin:key-value/key-value@3", !grants.key_values.is_empty()),
        ("spin:variables/variables@3", !grants.variables.is_empty()),
        ("wasi:http/client@0.3", !grants.hosts.is_empty()),
    ] {
        assert_eq!(imported.contains(interface), granted, "{id} and {interface}");
    }
    let reach = ["wasi:filesystem/", "wasi:sockets/"];
    let reaching: Vec<_> = imported.iter().filter(|name| reach.iter().any(|start| name.starts_with(start))).collect();
    assert!(reaching.is_empty(), "{id} imports {reaching:?}");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    assert_eq!(compatible("wasi:io/poll@0.2.6"), "wasi:io/poll@0.2");
    assert_eq!(compatible("spin:sqlite/sqlite@3.1.0"), "spin:sqlite/sqlite@3");
    assert_eq!(compatible("plain"), "plain");
    let worlds = worlds();
    assert!(named(&worlds, "not-found").is_some_and(|names| names.contains("spin:variables/variables@3.0.0")));
    assert!(named(&worlds, "no-such-world").is_none());
}
