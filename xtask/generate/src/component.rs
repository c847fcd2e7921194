//! What each component declares in its Cargo.toml, and what it is granted for that.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use moc_config::{CorsSettings, HostLimits, UploadSettings};
use serde::Deserialize;

use crate::capability::Capability;

/// `[package.metadata.moc]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    /// The public paths; a component without one has a private route.
    #[serde(default)]
    routes: Vec<String>,
    /// The paths of a component with a private route that the one component for plain WASI serves.
    #[serde(default, rename = "wasi-routes")]
    wasi_routes: Vec<String>,
    #[serde(default)]
    uses: Vec<Capability>,
    /// Those of [`UploadSettings`] and [`HostLimits`] that it reads.
    #[serde(default)]
    variables: Vec<String>,
    /// Another component of the same file, with a private route and other grants.
    also: Option<Also>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Also {
    id: String,
    description: String,
    uses: Vec<Capability>,
}

#[derive(Deserialize)]
struct CargoManifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    description: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    moc: Declared,
}

/// A component with what it declares.
pub struct Component {
    pub id: String,
    /// The crate that it is built from, which has the same name unless it is [`Also`] built from it.
    pub source: String,
    pub description: String,
    /// Whether it is built from a page, by npm.
    pub has_page: bool,
    declared: Declared,
}

impl Component {
    /// Every component, by name.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let mut components = Vec::new();
        for entry in fs::read_dir(root.join("components"))? {
            let folder = entry?.path();
            let path = folder.join("Cargo.toml");
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let manifest: Result<CargoManifest, _> = toml::from_str(&text);
            let Package { name, description, mut metadata } =
                manifest.with_context(|| format!("{}", path.display()))?.package;
            let known = [UploadSettings::NAMES, HostLimits::NAMES].concat();
            let unknown = metadata.moc.variables.iter().find(|name| !known.contains(&name.as_str()));
            ensure!(unknown.is_none(), "{name}: {unknown:?} is no variable of UploadSettings or HostLimits");
            let has_page = folder.join("package.json").is_file();
            if let Some(Also { id, description, uses }) = metadata.moc.also.take() {
                let declared = Declared { uses, ..Declared::default() };
                components.push(Self { id, source: name.clone(), description, has_page, declared });
            }
            components.push(Self { id: name.clone(), source: name, description, has_page, declared: metadata.moc });
        }
        components.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(components)
    }

    /// The public paths; none for a component that only others of the application call.
    pub fn routes(&self) -> &[String] {
        &self.declared.routes
    }

    /// The paths that the one component for hosts of plain WASI serves with it.
    pub fn wasi_routes(&self) -> impl Iterator<Item = &String> {
        self.declared.routes.iter().chain(&self.declared.wasi_routes)
    }

    pub fn uses(&self, capability: Capability) -> bool {
        self.declared.uses.contains(&capability)
    }

    /// Whether it keeps something in the key-value store.
    pub fn has_key_values(&self) -> bool {
        self.declared.uses.iter().any(|capability| capability.has_key_values())
    }

    /// The variables that it is granted, by name.
    pub fn variables(&self) -> BTreeSet<&str> {
        let cors = if self.routes().is_empty() { &[] } else { CorsSettings::NAMES };
        let capabilities = &self.declared.uses;
        let of_capabilities = capabilities.iter().flat_map(|it| it.variables().iter().chain(it.host_limits()));
        cors.iter().chain(of_capabilities).copied().chain(self.declared.variables.iter().map(String::as_str)).collect()
    }

    /// The hosts that it is granted, in the order of its capabilities.
    pub fn hosts(&self) -> Vec<&'static str> {
        self.declared.uses.iter().flat_map(|capability| capability.hosts()).copied().collect()
    }
}
