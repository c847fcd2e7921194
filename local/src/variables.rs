//! Application variables, their templates, and `spin:variables`.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, anyhow, bail};
use wasmtime::component::Accessor;

use crate::bindings::{HostData, spin::variables::variables as wit};
use crate::manifest::{Component, Variable};

/// The value of every application variable: from the environment (`SPIN_VARIABLE_<UPPER>`), else from the host's
/// own defaults, else the manifest's default.
#[derive(Debug, Default)]
pub struct Variables(HashMap<String, String>);

/// The environment variable that sets the application variable `name`.
pub fn environment_name(name: &str) -> String {
    format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase())
}

impl Variables {
    /// Resolves all declared variables. `environment` reads the process environment by name, `defaults` holds the
    /// values that the host itself supplies. The error names the variable that has a bad name or no value.
    pub fn resolve(
        declared: &BTreeMap<String, Variable>,
        environment: impl Fn(&str) -> Option<String>,
        defaults: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut values = HashMap::new();
        for (name, variable) in declared {
            check_name(name).map_err(|reason| anyhow!("variable {reason}"))?;
            let key = environment_name(name);
            let value = environment(&key)
                .or_else(|| defaults.get(name).cloned())
                .or_else(|| variable.default.clone())
                .ok_or_else(|| anyhow!("variable `{name}` is required and has no value: set {key}"))?;
            values.insert(name.clone(), value);
        }
        Ok(Self(values))
    }

    /// The value of the variable `name`, if it is declared.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text of `template` with each `{{ name }}` replaced.
    /// Errors: unbalanced braces, or a name that the application does not declare.
    pub fn expand(&self, template: &str) -> Result<String> {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let Some((name, after)) = expression.split_once("}}") else {
                bail!("unmatched '{{{{' in template {template:?}");
            };
            let name = name.trim();
            let Some(value) = self.0.get(name) else { bail!("unknown variable {name:?} in template {template:?}") };
            text.extend([literal, value]);
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    /// The variables granted to one component, by the component's own names.
    pub fn grants(&self, component: &Component) -> Result<HashMap<String, String>> {
        let grant = |(name, template): (&String, &String)| {
            check_name(name).map_err(|reason| anyhow!("variable {reason}"))?;
            Ok((name.clone(), self.expand(template)?))
        };
        component.variables.iter().map(grant).collect()
    }
}

/// Spin's rules for names.
fn check_name(name: &str) -> Result<(), String> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let sound = name.split('_').all(word) && name.starts_with(|c: char| c.is_ascii_lowercase());
    let rule = "lower-case letters, digits, and single underscores between them, beginning with a letter";
    sound.then_some(()).ok_or_else(|| format!("{name:?}: a name is made of {rule}"))
}

impl<T: Send> wit::HostWithStore<T> for HostData {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, wit::Error> {
        check_name(&name).map_err(wit::Error::InvalidName)?;
        accessor.with(|mut access| {
            let component = &access.get().component;
            let value = component.variables.get(&name).cloned();
            value.ok_or_else(|| wit::Error::Undefined(format!("no variable for {:?}.{name:?}", component.id)))
        })
    }
}

impl wit::Host for crate::instance::Guest {}
