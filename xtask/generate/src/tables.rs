//! Tables in Markdown files, between `<!-- generated: NAME -->` and `<!-- /generated -->`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toml::Table;

use crate::component::Component;
use crate::{Output, read};

/// What most paths begin with.
const BASE_PATH: &str = "/api/mocs/uploads";
/// The folder of the documentation.
const DOCS: &str = "docs";
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- /generated -->";
/// Names for what many components are granted, each by a variable that shows it.
const GROUPS: [(&str, &str); 3] =
    [("users", "jwt_secret"), ("bucket", "s3_access_key_id"), ("events", "websocket_api_url")];

/// The Markdown files with their tables.
pub fn write(root: &Path, components: &[Component], openapi: &Value) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for path in markdown_files(root)? {
        let current = read(root, &path.to_string_lossy())?;
        let content = fill(&current, |name| match name {
            "variables" => variables(&read(root, "spin.toml")?, components),
            "routes" => Ok(routes(openapi)),
            "errors" => Ok(errors(openapi)),
            other => bail!("{}: there is no table {other:?}", path.display()),
        })?;
        outputs.push(Output { path, content });
    }
    Ok(outputs)
}

fn markdown_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from(DOCS)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = folder.join(entry?.file_name());
            if root.join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Replaces what stands between each pair of markers.
fn fill(text: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").context("a marker does not end")?;
        let (_, after) = after.split_once(END).with_context(|| format!("the table {name} does not end with {END}"))?;
        filled.push_str(&format!("{before}{BEGIN}{name} -->\n\n{}\n\n{END}", table(name)?));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn row(cells: &[&str]) -> String {
    format!("| {} |", cells.join(" | ")).replace("|  |", "| |")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A variable as spin.toml declares it; its description ends with the form of its values in parentheses.
struct Variable {
    name: String,
    default: String,
    is_secret: bool,
    description: String,
    form: String,
    components: BTreeSet<String>,
}

impl Variable {
    /// All, in the order of the file.
    fn all(manifest: &str, components: &[Component]) -> Result<Vec<Self>> {
        let table: Table = manifest.parse()?;
        let declared = table.get("variables").and_then(toml::Value::as_table).context("spin.toml has no variables")?;
        let mut variables = Vec::new();
        for (name, entry) in declared {
            let text =
                |key| entry.get(key).and_then(toml::Value::as_str).with_context(|| format!("{name} has no {key}"));
            let description = text("description")?;
            let form = description.strip_suffix(')').and_then(|description| description.rsplit_once(" ("));
            let (description, form) =
                form.with_context(|| format!("{name}: the description does not end with a form"))?;
            let host = format!("{{{{ {name} }}}}");
            let granted = |component: &&Component| {
                component.variables().contains(name.as_str()) || component.hosts().contains(&host.as_str())
            };
            variables.push(Self {
                name: name.clone(),
                default: text("default")?.to_owned(),
                is_secret: entry.get("secret").and_then(toml::Value::as_bool).unwrap_or_default(),
                description: description.to_owned(),
                form: form.to_owned(),
                components: components.iter().filter(granted).map(|component| component.id.clone()).collect(),
            });
        }
        variables.sort_by_key(|variable| manifest.find(&format!("\n{} = {{", variable.name)));
        Ok(variables)
    }
}

fn variables(manifest: &str, components: &[Component]) -> Result<String> {
    let variables = Variable::all(manifest, components)?;
    let names: BTreeSet<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let of = |name: &str| variables.iter().find(|variable| variable.name == name).map(|variable| &variable.components);
    let groups: Vec<(String, &BTreeSet<String>)> =
        GROUPS.iter().filter_map(|(group, name)| Some((format!("*{group}*"), of(name)?))).collect();
    let mut lines = vec![row(&["variable", "default", "value", "meaning", "granted to"]), row(&["---"; 5])];
    for Variable { name, default, is_secret, description, form, components } in &variables {
        let default = if default.is_empty() { String::new() } else { code(default) };
        let form = if *is_secret { format!("{form}; secret") } else { form.clone() };
        let words = description.split(' ').map(|word| if names.contains(word) { code(word) } else { word.to_owned() });
        let description = words.collect::<Vec<_>>().join(" ");
        let fitting = groups.iter().filter(|(_, members)| members.is_subset(components));
        let group = fitting.max_by_key(|(_, members)| members.len());
        let others = components.iter().filter(|id| group.is_none_or(|(_, members)| !members.contains(*id)));
        let granted: Vec<String> =
            group.map(|(group, _)| group.clone()).into_iter().chain(others.map(|id| code(id))).collect();
        lines.push(row(&[&code(name), &default, &form, &description, &granted.join(", ")]));
    }
    let members = groups.iter().map(|(group, members)| {
        let ids: Vec<String> = members.iter().map(|id| code(id)).collect();
        format!("{group}: {}", ids.join(", "))
    });
    Ok(format!("{}\n\n{}.", lines.join("\n"), members.collect::<Vec<_>>().join("; ")))
}

/// Every operation: path, method, its object.
fn operations(openapi: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = openapi.pointer("/paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    })
}

fn routes(openapi: &Value) -> String {
    let mut rows: Vec<String> = operations(openapi)
        .map(|(path, method, operation)| {
            let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
            let statuses: Vec<&str> =
                responses.map(|(status, _)| status.as_str()).filter(|status| status.starts_with('2')).collect();
            let summary = operation.get("summary").and_then(Value::as_str).unwrap_or_default();
            let path = path.strip_prefix(BASE_PATH).map_or_else(|| path.clone(), |rest| format!("…{rest}"));
            row(&[&code(&format!("{} {path}", method.to_uppercase())), summary, &statuses.join(", ")])
        })
        .collect();
    rows.splice(0..0, [row(&["request", "operation", "success"]), row(&["---"; 3])]);
    rows.join("\n")
}

fn errors(openapi: &Value) -> String {
    let examples = openapi.pointer("/components/examples").and_then(Value::as_object).into_iter().flatten();
    let mut problems: Vec<(u64, &str, &str)> = examples
        .filter_map(|(name, example)| {
            let text = |field: &str| example.pointer(&format!("/value/{field}")).and_then(Value::as_str);
            let status = example.pointer("/value/status").and_then(Value::as_u64)?;
            Some((status, text("code").filter(|code| code == name)?, text("detail")?))
        })
        .collect();
    problems.sort_unstable();
    let mut rows = vec![row(&["status", "code", "`detail`, for example"]), row(&["---"; 3])];
    rows.extend(problems.into_iter().map(|(status, name, detail)| row(&[&status.to_string(), &code(name), detail])));
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_markers_is_replaced() {
        let text = "a\n<!-- generated: x -->\nold\n<!-- /generated -->\nb\n";
        let filled = fill(text, |name| Ok(format!("table {name}"))).unwrap();
        assert_eq!(filled, "a\n<!-- generated: x -->\n\ntable x\n\n<!-- /generated -->\nb\n");
        assert_eq!(fill(&filled, |name| Ok(format!("table {name}"))).unwrap(), filled);
        assert!(fill("<!-- generated: x -->", |_| Ok(String::new())).is_err());
    }
}
