//! The document as tests read it: its operations, found by method and path, with validators that are made once.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::Value;

use super::message::{Body, Parameter, Response};
use crate::schema;

pub struct Document {
    /// All of it.
    pub json: Value,
    /// What it says of each operation.
    pub operations: Vec<Operation>,
    /// The response of paths that there are not.
    pub not_found: Response,
    /// The response to methods that a path does not take.
    pub method_not_allowed: Response,
}

/// What it says of an operation.
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// In capitals.
    pub method: String,
    /// With `{names}`.
    pub path: String,
    /// Its responses by their status.
    pub responses: BTreeMap<u16, Response>,
    parameters: Vec<Parameter>,
    body: Option<Body>,
}

impl Document {
    /// Reads a document.
    pub fn new(json: Value) -> Self {
        let reader = Reader { document: &json };
        let paths = json["paths"].as_object().expect("paths").iter();
        let items =
            paths.flat_map(|(path, item)| item.as_object().expect("operations").iter().map(move |it| (path, it)));
        let operations = items.map(|(path, (method, operation))| reader.operation(method, path, operation)).collect();
        let general = |name: &str| reader.response(&json["components"]["responses"][name]);
        let (not_found, method_not_allowed) = (general("NotFound"), general("MethodNotAllowed"));
        Self { operations, not_found, method_not_allowed, json }
    }

    /// The operations of a path, by whatever method: those whose path has the most of it by name.
    pub fn at(&self, path: &str) -> Vec<&Operation> {
        let ranked = self.operations.iter().filter_map(|operation| Some((operation.named(path)?, operation)));
        let ranked: Vec<(usize, &Operation)> = ranked.collect();
        let best = ranked.iter().map(|(named, _)| *named).max();
        ranked.into_iter().filter(|(named, _)| Some(*named) == best).map(|(_, operation)| operation).collect()
    }
}

impl Operation {
    /// How many segments of a path this one's names; `None` if it is another path.
    fn named(&self, path: &str) -> Option<usize> {
        let (own, given): (Vec<&str>, Vec<&str>) = (self.path.split('/').collect(), path.split('/').collect());
        let fits = |(own, given): (&&str, &&str)| own == given || (own.starts_with('{') && !given.is_empty());
        let all = own.len() == given.len() && own.iter().zip(&given).all(fits);
        all.then(|| own.iter().zip(&given).filter(|(own, given)| own == given).count())
    }

    /// What is wrong with a request to this operation.
    pub(super) fn request_errors(&self, path: &str, headers: &[(String, String)], body: &Value) -> Vec<String> {
        let segments = self.path.split('/').zip(path.split('/'));
        let in_path = segments.filter_map(|(own, given)| Some((own.strip_prefix('{')?.strip_suffix('}')?, given)));
        let in_path: Vec<(&str, &str)> = in_path.collect();
        let errors = self.parameters.iter().flat_map(|parameter| parameter.errors(&in_path, headers));
        let errors = errors.chain(match &self.body {
            Some(rule) => rule.errors(headers, body),
            None if body.is_null() => Vec::new(),
            None => vec!["it takes no body".to_owned()],
        });
        errors.collect()
    }
}

struct Reader<'a> {
    document: &'a Value,
}

impl<'a> Reader<'a> {
    fn operation(&self, method: &str, path: &str, operation: &'a Value) -> Operation {
        let responses = operation["responses"].as_object().expect("responses").iter();
        let parameters = operation["parameters"].as_array().expect("parameters").iter();
        let body = operation.get("requestBody");
        Operation {
            id: operation["operationId"].as_str().expect("an id").to_owned(),
            method: method.to_uppercase(),
            path: path.to_owned(),
            responses: responses
                .map(|(status, response)| (status.parse().expect("a status"), self.response(response)))
                .collect(),
            parameters: parameters.map(|parameter| self.parameter(self.resolve(parameter))).collect(),
            body: body.map(|body| Body { required: is_required(body), contents: self.contents(body) }),
        }
    }

    fn response(&self, response: &'a Value) -> Response {
        let response = self.resolve(response);
        let headers = response["headers"].as_object().expect("headers").iter();
        let header = |(name, header): (&String, &'a Value)| self.value(name, self.resolve(header));
        Response { headers: headers.map(header).collect(), contents: self.contents(response) }
    }

    fn parameter(&self, parameter: &Value) -> Parameter {
        let name = parameter["name"].as_str().expect("a name");
        Parameter { in_path: parameter["in"] == "path", ..self.value(name, parameter) }
    }

    /// A header or a parameter.
    fn value(&self, name: &str, value: &Value) -> Parameter {
        let validator = self.validator(&value["schema"]);
        Parameter { name: name.to_owned(), in_path: false, required: is_required(value), validator }
    }

    fn contents(&self, message: &Value) -> BTreeMap<String, Validator> {
        let contents = message.get("content").and_then(Value::as_object).into_iter().flatten();
        contents.map(|(kind, content)| (kind.clone(), self.validator(&content["schema"]))).collect()
    }

    fn validator(&self, schema: &Value) -> Validator {
        schema::validator(self.document, schema)
    }

    fn resolve(&self, value: &'a Value) -> &'a Value {
        resolve(self.document, value)
    }
}

/// A part of a document, or what it refers to.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("it is in the document"),
        None => value,
    }
}

fn is_required(value: &Value) -> bool {
    value["required"] == true
}
