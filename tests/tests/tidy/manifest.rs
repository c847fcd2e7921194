//! What spin.toml grants, which `cargo xtask generate` writes from what components declare.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::source::idents;
use crate::{component_source, directories, read};

/// A manifest, as far as it is checked here.
pub struct Manifest {
    /// Its folder in the project.
    folder: &'static str,
    table: Table,
}

/// What one component is granted.
pub struct Grants {
    /// Outbound hosts, as they stand.
    pub hosts: Vec<String>,
    /// Labels of key-value stores.
    pub key_values: Vec<String>,
    /// Labels of SQLite databases.
    pub databases: Vec<String>,
    /// Variables: the component's name and the template.
    pub variables: BTreeMap<String, String>,
    /// Where the built component is, relative to the project.
    pub source: String,
}

impl Manifest {
    /// spin.toml
    pub fn read() -> Self {
        Self::of("")
    }

    /// deploy/akamai/spin.toml
    pub fn akamai() -> Self {
        Self::of("deploy/akamai/")
    }

    fn of(folder: &'static str) -> Self {
        Self { folder, table: read(format!("{folder}spin.toml")).parse().expect("TOML") }
    }

    /// Every public path with the component that serves it.
    pub fn routes(&self) -> Vec<(String, String)> {
        let triggers = self.table["trigger"]["http"].as_array().expect("HTTP triggers");
        let text = |trigger: &Value, name: &str| trigger.get(name).and_then(Value::as_str).map(str::to_owned);
        triggers.iter().filter_map(|trigger| Some((text(trigger, "route")?, text(trigger, "component")?))).collect()
    }

    /// Every component, by its id.
    pub fn components(&self) -> BTreeMap<String, Grants> {
        let components = self.table["component"].as_table().expect("components");
        components.iter().map(|(id, component)| (id.clone(), Grants::of(component, self.folder))).collect()
    }

    /// The declared variables, by their names.
    pub fn variables(&self) -> &Table {
        self.table["variables"].as_table().expect("variables")
    }
}

impl Grants {
    fn of(component: &Value, folder: &str) -> Self {
        let list = |name: &str| -> Vec<String> {
            let entries = component.get(name).and_then(Value::as_array).into_iter().flatten();
            entries.map(|entry| entry.as_str().expect("text").to_owned()).collect()
        };
        let variables = component.get("variables").and_then(Value::as_table).into_iter().flatten();
        Self {
            hosts: list("allowed_outbound_hosts"),
            key_values: list("key_value_stores"),
            databases: list("sqlite_databases"),
            variables: variables
                .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
                .collect(),
            source: format!("{folder}{}", component["source"].as_str().expect("a path")),
        }
    }
}

/// The variable of a template that is nothing else: `name` of `{{ name }}`.
fn variable(template: &str) -> Option<&str> {
    template.strip_prefix("{{ ")?.strip_suffix(" }}")
}

/// What a component declares to use in `[package.metadata.moc]`, with a name that its code has then.
const USES: [(&str, &[&str]); 17] = [
    ("users", &["auth"]),
    ("store", &["store"]),
    ("bucket", &["s3"]),
    ("public-urls", &["Downloads"]),
    ("progress", &["emit", "emit_part", "emit_parts", "emit_traced"]),
    ("broadcaster", &["relay"]),
    ("watch-tokens", &["watch_token"]),
    ("watching", &["watching"]),
    ("event-streams", &["event_stream"]),
    ("thumbnails", &["make_due"]),
    ("follow-ups", &["FinalizeSettings"]),
    ("webhook", &["HttpReceiver"]),
    ("tracing", &["traced"]),
    ("collector", &["TraceBatch"]),
    ("sweeps", &["after_response"]),
    ("sweeping", &["SweepBody"]),
    ("page", &["page"]),
];

#[test]
fn components_declare_what_their_code_uses() {
    for id in directories("components") {
        let cargo: Table = read(format!("components/{id}/Cargo.toml")).parse().expect("TOML");
        let declared = cargo["package"].get("metadata").and_then(|metadata| metadata["moc"].get("uses"));
        let declared: BTreeSet<&str> =
            declared.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let idents = idents(&component_source(&id));
        let uses = USES.iter().filter(|(_, names)| names.iter().any(|name| idents.contains(*name)));
        assert_eq!(declared, uses.map(|(used, _)| *used).collect(), "{id}: Cargo.toml and code");
    }
}

#[test]
fn no_host_is_a_wildcard() {
    let manifest = Manifest::read();
    for (id, grants) in manifest.components() {
        for host in grants.hosts.into_iter().filter(|host| !host.ends_with(".spin.internal")) {
            let Some(name) = variable(&host) else { panic!("{id}: the host {host} is no variable's") };
            let is_origin = name.ends_with("_origin") || name.ends_with("_endpoint");
            assert!(is_origin && manifest.variables().contains_key(name), "{id}: {host}");
            let default = manifest.variables()[name].get("default").and_then(Value::as_str);
            assert!(!default.unwrap_or_default().contains('*'), "{name}: {default:?}");
        }
    }
}

#[test]
fn variables_have_one_name_and_all_are_used() {
    let manifest = Manifest::read();
    let mut granted = BTreeSet::new();
    for (id, grants) in manifest.components() {
        for (name, template) in grants.variables {
            assert_eq!(variable(&template), Some(name.as_str()), "{id}: a variable has the same name everywhere");
            assert!(manifest.variables().contains_key(&name), "{id}: {name} is not declared");
            granted.insert(name);
        }
        granted.extend(grants.hosts.iter().filter_map(|host| variable(host)).map(str::to_owned));
    }
    let declared: BTreeSet<String> = manifest.variables().keys().cloned().collect();
    assert_eq!(declared, granted, "every variable is used by some component");
    for (name, variable) in manifest.variables() {
        let hidden = variable.get("secret").and_then(Value::as_bool) == Some(true);
        let keys = ["access_key", "api_key", "grip_key"];
        let parts = ["secret", "database_url", "database_token", "session_token", "otlp_headers"];
        let secret = keys.iter().chain(&parts).any(|part| name.contains(part));
        assert_eq!(hidden, secret, "{name}");
    }
}
