//! README.md has the table of variables that spin.toml makes, and what spin.toml says of their values is what the
//! code takes. `cargo xtask variables` writes the table.

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use moc_config::{ProgressSettings, UploadSettings, Values, check_all};
use toml::{Table, Value};

use crate::manifest::{Grants, Manifest};
use crate::{read, root};

/// The lines before and after the table.
const MARKERS: [&str; 2] =
    ["<!-- table of variables: written by `cargo xtask variables` -->", "<!-- end of the table -->"];
/// Where this is in the environment, the table is written.
const WRITE: &str = "MOC_WRITE_VARIABLES";
/// Components that get much the same, by a name and by a variable that they get and no others.
const GROUPS: [(&str, &str); 3] =
    [("users", "jwt_secret"), ("bucket", "s3_access_key_id"), ("events", "websocket_api_url")];

/// A variable of spin.toml.
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its default.
    pub default: String,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// What it is.
    what: String,
    /// The form of its values: the unit and the bounds of a number.
    pub form: String,
    /// Who gets it, as a variable or as a host.
    components: BTreeSet<String>,
}

impl Variable {
    /// All of them, in the order of the file.
    pub fn all() -> Vec<Self> {
        let text = read("spin.toml");
        let manifest: Table = text.parse().expect("TOML");
        let components = Manifest::read().components();
        let declared = manifest["variables"].as_table().expect("variables").iter();
        let mut variables: Vec<Self> = declared.map(|(name, entry)| Self::of(name, entry, &components)).collect();
        variables.sort_by_key(|variable| text.find(&format!("\n{} = {{", variable.name)));
        variables
    }

    /// The one of this name.
    pub fn named(name: &str) -> Self {
        Self::all().into_iter().find(|variable| variable.name == name).unwrap_or_else(|| panic!("no variable {name}"))
    }

    fn of(name: &str, entry: &Value, components: &BTreeMap<String, Grants>) -> Self {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} has no {key}"));
        let form = text("description").strip_suffix(')').and_then(|description| description.rsplit_once(" ("));
        let (what, form) = form.unwrap_or_else(|| panic!("{name}: the description does not end with a form"));
        let granted = |grants: &Grants| {
            grants.variables.keys().any(|granted| granted == name)
                || grants.hosts.iter().any(|host| host.contains(&format!("{{{{ {name} }}}}")))
        };
        Self {
            name: name.to_owned(),
            default: text("default").to_owned(),
            is_secret: entry.get("secret").and_then(Value::as_bool).unwrap_or_default(),
            what: what.to_owned(),
            form: form.to_owned(),
            components: components.iter().filter(|(_, grants)| granted(grants)).map(|(id, _)| id.clone()).collect(),
        }
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(cells: [&str; 5]) -> String {
    format!("| {} |", cells.join(" | ")).replace("|  |", "| |")
}

/// The table, and who is meant by the groups in it.
fn table(variables: &[Variable]) -> String {
    let named = |name: &str| variables.iter().find(|variable| variable.name == name);
    let groups = GROUPS.map(|(group, name)| (format!("*{group}*"), &named(name).expect("its variable").components));
    let mut lines = vec![row(["variable", "default", "value", "what", "who gets it"]), row(["---"; 5])];
    for Variable { name, default, is_secret, what, form, components } in variables {
        let default = if default.is_empty() { String::new() } else { code(default) };
        let form = if *is_secret { format!("{form}; secret") } else { form.clone() };
        let words = what.split(' ').map(|word| if named(word).is_some() { code(word) } else { word.to_owned() });
        let fits = groups.iter().filter(|(_, members)| members.is_subset(components));
        let group = fits.max_by_key(|(_, members)| members.len());
        let others = components.iter().filter(|id| group.is_none_or(|(_, members)| !members.contains(*id)));
        let who: Vec<String> =
            group.map(|(group, _)| group.clone()).into_iter().chain(others.map(|id| code(id))).collect();
        lines.push(row([&code(name), &default, &form, &words.collect::<Vec<_>>().join(" "), &who.join(", ")]));
    }
    let members = groups.map(|(group, members)| {
        let ids: Vec<String> = members.iter().map(|id| code(id)).collect();
        format!("{group}: {}", ids.join(", "))
    });
    format!("{}\n\n{}.", lines.join("\n"), members.join("; "))
}

#[test]
fn readme_has_the_table_of_variables() {
    let readme = read("README.md");
    let parts = readme.split_once(MARKERS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKERS[1])?)));
    let (before, (found, after)) = parts.expect("README.md has the markers of the table");
    let made = format!("\n{}\n", table(&Variable::all()));
    if env::var_os(WRITE).is_some() {
        fs::write(root().join("README.md"), [before, MARKERS[0], &made, MARKERS[1], after].concat())
            .expect("README.md");
    } else {
        assert_eq!(found, made, "README.md's table of variables is not spin.toml's: run `cargo xtask variables`");
    }
}

/// What the code says a variable must be when it is given nonsense; nothing where it takes any text. The
/// others are such that it is read at all.
fn demanded(name: &str) -> Option<String> {
    let get = |asked: &str| match asked {
        _ if asked == name => Some("?".to_owned()),
        "s3_endpoint" => Some("http://127.0.0.1".to_owned()),
        "jwt_jwks_url" => Some("http://127.0.0.1/keys".to_owned()),
        "rate_limit_sessions_per_hour" => Some("1".to_owned()),
        "s3_bucket" | "s3_access_key_id" | "s3_secret_access_key" => Some("text".to_owned()),
        _ => None,
    };
    let said = check_all(get).unwrap_or_else(|error| vec![error.to_string()]);
    let demand = said.iter().find_map(|line| line.strip_prefix(&format!("the variable {name} must be ")))?;
    // Behind it, what is off for this.
    demand.split(": ").next().map(str::to_owned)
}

#[test]
fn values_have_the_form_that_the_code_demands() {
    for Variable { name, form, .. } in Variable::all() {
        let said = match form.as_str() {
            "origin" => "an origin such as https://example.com".to_owned(),
            "URL" => "a URL with http or https and without a user".to_owned(),
            "URL, ws or wss" => "a URL with ws or wss and without a user".to_owned(),
            "origins with commas between them, or *" => {
                form.replacen("origins", "origins such as https://example.com", 1)
            }
            _ => match form.split_once(", ") {
                Some((_, range)) if range.contains(" to ") => format!("a whole number from {}", range.replace(',', "")),
                _ => form.clone(),
            },
        };
        match demanded(&name) {
            Some(demanded) => assert_eq!(said, demanded, "{name}"),
            None => assert!(form.starts_with("text"), "{name} takes any text, and not only: {form}"),
        }
    }
}

#[test]
fn defaults_are_those_of_the_code() {
    let variables = Variable::all();
    let default = |name: &'static str| {
        let declared = variables.iter().find(|variable| variable.name == name).expect("a variable of spin.toml");
        (name, declared.default.clone())
    };
    let declared: Values = [UploadSettings::NAMES, ProgressSettings::NAMES].concat().into_iter().map(default).collect();
    let settings =
        |values: &Values| format!("{:?} {:?}", UploadSettings::parse(values), ProgressSettings::parse(values));
    assert_eq!(settings(&declared), settings(&Values::default()));
}
