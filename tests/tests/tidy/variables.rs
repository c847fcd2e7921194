//! What spin.toml says of the values of variables is what the code accepts.

use moc_config::{HostLimits, ProgressSettings, UploadSettings, Values, check_all};
use toml::{Table, Value};

use crate::read;

/// A variable of spin.toml.
pub struct Variable {
    pub name: String,
    pub default: String,
    pub is_secret: bool,
    /// The form of its values: the unit and the bounds of a number.
    pub form: String,
}

impl Variable {
    pub fn all() -> Vec<Self> {
        let manifest: Table = read("spin.toml").parse().expect("TOML");
        manifest["variables"].as_table().expect("variables").iter().map(|(name, entry)| Self::of(name, entry)).collect()
    }

    pub fn named(name: &str) -> Self {
        Self::all().into_iter().find(|variable| variable.name == name).unwrap_or_else(|| panic!("no variable {name}"))
    }

    fn of(name: &str, entry: &Value) -> Self {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} has no {key}"));
        let form = text("description").strip_suffix(')').and_then(|description| description.rsplit_once(" ("));
        let (_, form) = form.unwrap_or_else(|| panic!("{name}: the description does not end with a form"));
        Self {
            name: name.to_owned(),
            default: text("default").to_owned(),
            is_secret: entry.get("secret").and_then(Value::as_bool).unwrap_or_default(),
            form: form.to_owned(),
        }
    }
}

/// What the code says a variable must be when it is given malformed text; nothing where it takes any text. The
/// others are such that it is read at all.
fn demanded(name: &str) -> Option<String> {
    let get = |asked: &str| match asked {
        _ if asked == name => Some("?".to_owned()),
        "database_url" if name == "database_origin" => Some("http://127.0.0.1".to_owned()),
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
            "origin" => "an origin, for example https://example.com".to_owned(),
            "path" => "a path, for example /storage/v1/s3".to_owned(),
            "URL" => "a URL with http or https and without a user".to_owned(),
            "URL, ws or wss" => "a URL with ws or wss and without a user".to_owned(),
            "URL, postgres, http, https or libsql" => form.replacen("URL,", "a URL with", 1),
            "origins separated by commas, or *" => form.replacen(
                ",",
                ", for example https://example.com, https://*.example.com or capacitor://localhost,",
                1,
            ),
            "decimal number from 0 to 1" => format!("a {form}"),
            _ => match form.split_once(", ") {
                Some((_, range)) if range.contains(" to ") => format!("an integer from {}", range.replace(',', "")),
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
    let declared: Values =
        [UploadSettings::NAMES, HostLimits::NAMES, ProgressSettings::NAMES].concat().into_iter().map(default).collect();
    let settings = |values: &Values| {
        let (upload, host) = (UploadSettings::parse(values), HostLimits::parse(values));
        format!("{upload:?} {host:?} {:?}", ProgressSettings::parse(values))
    };
    assert_eq!(settings(&declared), settings(&Values::default()));
}
