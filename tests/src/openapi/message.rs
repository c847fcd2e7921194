//! What a message has to look like: its headers, and its body by its media type.

use std::collections::BTreeMap;

use jsonschema::Validator;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// Headers of responses that belong to HTTP itself, to the requests of other origins, or to a proxy.
const FRAME: [&str; 11] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "connection",
    "content-length",
    "content-type",
    "date",
    "server",
    "strict-transport-security",
];

/// A header, or a part of the path.
pub struct Parameter {
    pub name: String,
    pub in_path: bool,
    pub required: bool,
    pub validator: Validator,
}

/// The body of a request.
pub struct Body {
    pub required: bool,
    /// By its media type.
    pub contents: BTreeMap<String, Validator>,
}

/// A response of some status.
pub struct Response {
    pub headers: Vec<Parameter>,
    /// Its body by its media type; none has one if there are none.
    pub contents: BTreeMap<String, Validator>,
}

impl Parameter {
    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// What is wrong with its text, which may be a number.
    fn value_errors(&self, text: &str) -> Vec<String> {
        let number = text.parse::<u64>().ok();
        if number.is_some_and(|number| self.validator.is_valid(&json!(number))) {
            return Vec::new();
        }
        errors(&self.validator, &json!(text)).into_iter().map(|error| format!("{}: {error}", self.name)).collect()
    }

    /// What is wrong with it in a request.
    pub fn errors(&self, in_path: &[(&str, &str)], headers: &[(String, String)]) -> Vec<String> {
        let in_head = || headers.iter().find(|(name, _)| self.is_named(name)).map(|(_, value)| value.as_str());
        let given = match self.in_path {
            true => in_path.iter().find(|(name, _)| *name == self.name).map(|(_, value)| *value),
            false => in_head(),
        };
        match given {
            Some(text) => self.value_errors(text),
            // HTTP itself sees to it.
            None if self.required && !self.is_named("content-length") => vec![format!("{} is missing", self.name)],
            None => Vec::new(),
        }
    }
}

impl Body {
    /// What is wrong with the body of a request, which is `null` if there is none.
    pub fn errors(&self, headers: &[(String, String)], body: &Value) -> Vec<String> {
        if body.is_null() {
            return if self.required { vec!["its body is missing".to_owned()] } else { Vec::new() };
        }
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let kind = kind.and_then(|(_, value)| value.split(';').next()).unwrap_or_default();
        match self.contents.get(kind) {
            Some(validator) => errors(validator, body),
            None => vec![format!("it takes no {kind}")],
        }
    }
}

impl Response {
    /// What is wrong with a response; without a `body` with its head.
    pub fn errors(&self, headers: &HeaderMap, body: Option<&[u8]>) -> Vec<String> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().expect("headers are ASCII"));
        let mut found = Vec::new();
        for header in &self.headers {
            match text(&header.name) {
                Some(text) => found.extend(header.value_errors(text)),
                None if header.required => found.push(format!("{} is missing", header.name)),
                None => {}
            }
        }
        let known = |name: &str| FRAME.contains(&name) || self.headers.iter().any(|header| header.is_named(name));
        let unknown = headers.keys().filter(|name| !known(name.as_str()));
        found.extend(unknown.map(|name| format!("{name} is not documented")));
        let kind = text("content-type");
        match (kind.and_then(|kind| self.contents.get(kind)), body) {
            (Some(_), None) => {}
            (Some(validator), Some(body)) if kind.is_some_and(|kind| !kind.ends_with("json")) => {
                found.extend(errors(validator, &json!(String::from_utf8_lossy(body))));
            }
            (Some(validator), Some(body)) => match serde_json::from_slice(body) {
                Ok(body) => found.extend(errors(validator, &body)),
                Err(error) => found.push(format!("its body is no JSON: {error}")),
            },
            (None, body) => {
                if kind.is_some() || !self.contents.is_empty() || body.is_some_and(|body| !body.is_empty()) {
                    found.push(format!("the type {kind:?} is not documented"));
                }
            }
        }
        found
    }
}

fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{error} at {:?}", error.instance_path().as_str())).collect()
}
