//! `spin.toml`, manifest version 2: only what this host runs. Any other key is rejected, never ignored.

#![expect(dead_code, reason = "keys for people and for `spin build` are known, and not used")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, anyhow, ensure};
use serde::{Deserialize, de::IgnoredAny};

use crate::limits::{Interfaces, Limits};

/// The one label of stores and databases here, as under `spin up` without a runtime configuration.
const DEFAULT_LABEL: &str = "default";

/// A parsed and checked manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    /// `[application]`
    pub application: Application,
    /// `[variables]`
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    trigger: Triggers,
    /// `[component.<id>]`
    #[serde(default, rename = "component")]
    pub components: BTreeMap<String, Component>,
}

/// `[application]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The application's name, shown under `/.well-known/spin/info`.
    pub name: String,
    /// The application's version, shown there too.
    pub version: Option<String>,
    description: Option<String>,
    authors: Option<Vec<String>>,
    targets: Option<Vec<String>>,
}

/// One entry of `[variables]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The value if none is supplied; without one, a value is required.
    pub default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    secret: bool,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

/// One `[[trigger.http]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    /// Where requests come from.
    pub route: Route,
    /// The component that serves them.
    pub component: String,
}

/// The route of a trigger.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "a route is a path or { private = true }")]
pub enum Route {
    /// A path pattern: exact, with `:name` segments, or ending in `/...`.
    Public(String),
    /// `{ private = true }`: reachable through `http://<component>.spin.internal` only.
    Private {
        /// Must be true.
        private: bool,
    },
}

/// One `[component.<id>]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    pub source: PathBuf,
    /// Outbound grants, possibly templates.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// Labels of the key-value stores that the component may open.
    #[serde(default)]
    pub key_value_stores: BTreeSet<String>,
    /// Labels of the SQLite databases that the component may open.
    #[serde(default)]
    pub sqlite_databases: BTreeSet<String>,
    /// The component's variables: its own name for each, and the template of its value.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    description: Option<String>,
    build: Option<Build>,
    targets: Option<IgnoredAny>,
}

/// What `spin build` reads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    command: IgnoredAny,
    workdir: Option<IgnoredAny>,
    watch: Option<IgnoredAny>,
}

impl Manifest {
    /// Reads and checks the manifest at `path`, and makes its sources relative to the working directory.
    /// Errors: what is wrong and where, in one sentence.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let mut manifest: Self = text.parse().with_context(|| name.to_string())?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for component in manifest.components.values_mut() {
            component.source = directory.join(&component.source);
        }
        Ok(manifest)
    }

    /// The HTTP triggers in the order of the file.
    pub fn triggers(&self) -> &[HttpTrigger] {
        &self.trigger.http
    }

    /// The same variables for one component, `source`, which serves every path and may request any host.
    pub fn for_one_component(self, source: &Path) -> Self {
        let id = "application";
        let grants = self.variables.keys().map(|name| (name.clone(), format!("{{{{ {name} }}}}")));
        let component = Component {
            source: source.to_owned(),
            allowed_outbound_hosts: vec!["*://*:*".to_owned()],
            key_value_stores: BTreeSet::new(),
            sqlite_databases: BTreeSet::new(),
            variables: grants.collect(),
            description: None,
            build: None,
            targets: None,
        };
        let http = vec![HttpTrigger { route: Route::Public("/...".to_owned()), component: id.to_owned() }];
        Self { trigger: Triggers { http }, components: BTreeMap::from([(id.to_owned(), component)]), ..self }
    }

    /// Errors: a grant of what the platform with these limits does not provide.
    pub fn check_grants(&self, limits: &Limits) -> Result<()> {
        for (id, component) in &self.components {
            let provided = component.sqlite_databases.is_empty() || limits.interfaces == Interfaces::All;
            ensure!(provided, "component `{id}` is granted a SQLite database, and this platform provides none");
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let version = self.spin_manifest_version;
        ensure!(version == 2, "spin_manifest_version is {version}, and only version 2 is supported");
        for (name, variable) in &self.variables {
            let sound = variable.required != variable.default.is_some();
            ensure!(sound, "variable `{name}` must be `required` or have a `default`, and not both");
        }
        for HttpTrigger { route, component } in &self.trigger.http {
            let defined = self.components.contains_key(component);
            ensure!(defined, "[[trigger.http]] names component `{component}`, which is not defined");
            let sound = !matches!(route, Route::Private { private: false });
            ensure!(sound, "[[trigger.http]] of component `{component}`: a route is a path or {{ private = true }}");
        }
        for (id, component) in &self.components {
            let kebab = |word: &str| {
                word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.bytes().all(|b| b.is_ascii_alphanumeric())
            };
            ensure!(id.split('-').all(kebab), "component `{id}`: an id is kebab-case, like `my-component`");
            let stores = component.key_value_stores.iter().map(|label| ("key-value store", label));
            let databases = component.sqlite_databases.iter().map(|label| ("SQLite database", label));
            for (kind, label) in stores.chain(databases) {
                let provided = label == DEFAULT_LABEL;
                ensure!(provided, "component `{id}` uses {kind} `{label}`, and only `{DEFAULT_LABEL}` is provided");
            }
        }
        Ok(())
    }
}

impl FromStr for Manifest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow!("line {line}: {}", error.message().replace('\n', "; "))
        })?;
        manifest.check()?;
        Ok(manifest)
    }
}
