//! The application's manifest, with one more component to compare with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// The route of the component to compare with.
pub const HELLO_ROUTE: &str = "/hello";
const HELLO_ID: &str = "hello";

/// The components of the application: ids and code files.
pub fn components(manifest: &Path) -> Result<Vec<(String, PathBuf)>> {
    let root = folder(manifest)?;
    let table = read(manifest)?;
    let mut found = Vec::new();
    for (id, component) in table.get("component").and_then(Value::as_table).into_iter().flatten() {
        found.push((id.clone(), root.join(source(id, component)?)));
    }
    Ok(found)
}

/// Writes the manifest to `copy`, its paths made absolute, with `hello` at [`HELLO_ROUTE`]. It has the variable
/// `database_url`, and the grant of its host.
pub fn write_with_hello(manifest: &Path, hello: &Path, copy: &Path) -> Result<()> {
    let mut table = read_absolute(manifest)?;
    let hello = std::path::absolute(hello)?;
    let database = Table::from_iter([("database_url".to_owned(), Value::String("{{ database_url }}".into()))]);
    let entry = [
        ("source", path_value(&hello)?),
        ("allowed_outbound_hosts", Value::Array(vec![Value::String("{{ database_origin }}".into())])),
        ("variables", Value::Table(database)),
    ];
    let entry = entry.map(|(key, value)| (key.into(), value)).into_iter().collect();
    components_of(&mut table)?.insert(HELLO_ID.into(), Value::Table(entry));

    add_trigger(&mut table, HELLO_ROUTE, HELLO_ID)?;
    write(&table, copy)
}

/// Writes the manifest to `copy`, its paths made absolute, with a public route to the component `id`.
pub fn write_with_route(manifest: &Path, id: &str, route: &str, copy: &Path) -> Result<()> {
    let mut table = read_absolute(manifest)?;
    add_trigger(&mut table, route, id)?;
    write(&table, copy)
}

/// The manifest with absolute paths.
fn read_absolute(manifest: &Path) -> Result<Table> {
    let root = folder(manifest)?;
    let mut table = read(manifest)?;
    for (id, component) in components_of(&mut table)?.iter_mut() {
        let path = root.join(source(id, component)?);
        set(component, "source", path_value(&path)?);
    }
    Ok(table)
}

fn components_of(table: &mut Table) -> Result<&mut Table> {
    table.get_mut("component").and_then(Value::as_table_mut).context("the manifest has no components")
}

fn add_trigger(table: &mut Table, route: &str, id: &str) -> Result<()> {
    let triggers = table.get_mut("trigger").and_then(|trigger| trigger.get_mut("http")).and_then(Value::as_array_mut);
    let trigger = [("route", route), ("component", id)];
    triggers.context("the manifest has no HTTP triggers")?.push(Value::Table(
        trigger.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned()))).into_iter().collect(),
    ));
    Ok(())
}

fn write(table: &Table, copy: &Path) -> Result<()> {
    std::fs::write(copy, table.to_string()).with_context(|| format!("{} cannot be written", copy.display()))
}

fn read(manifest: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", manifest.display()))
}

fn folder(manifest: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(manifest)?.parent().context("the manifest is in no folder")?.to_owned())
}

fn source<'a>(id: &str, component: &'a Value) -> Result<&'a str> {
    component.get("source").and_then(Value::as_str).with_context(|| format!("the component {id} has no source file"))
}

fn set(component: &mut Value, key: &str, value: Value) {
    if let Some(table) = component.as_table_mut() {
        table.insert(key.into(), value);
    }
}

fn path_value(path: &Path) -> Result<Value> {
    Ok(Value::String(path.to_str().context("a path is not UTF-8")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_absolute_paths_and_one_more_route() {
        let dir = std::env::temp_dir().join(format!("moc-bench-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (manifest, copy) = (dir.join("spin.toml"), dir.join("copy.toml"));
        let text = "[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n[component.a]\nsource = \"out/a.wasm\"\n";
        std::fs::write(&manifest, text).unwrap();
        write_with_hello(&manifest, &dir.join("hello.wasm"), &copy).unwrap();
        let found = components(&copy).unwrap();
        let routes = read(&copy).unwrap()["trigger"]["http"].as_array().unwrap().len();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [("a".into(), dir.join("out/a.wasm")), ("hello".into(), dir.join("hello.wasm"))]);
        assert_eq!(routes, 2);
    }
}
