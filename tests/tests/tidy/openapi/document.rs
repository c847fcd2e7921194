//! The document as a whole.

use std::collections::BTreeSet;

use moc_tests::openapi::DOCUMENT;
use roas::v3_1::spec::Spec;
use roas::validation::{Options, Validate as _};
use serde_json::{Value, json};

use crate::manifest::Manifest;
use crate::source::strings_after;
use crate::{component_source, read};

/// The components that serve pages, and the one for every path that no other has.
const NO_OPERATIONS: [&str; 3] = ["api-reference", "not-found", "web"];

#[test]
fn it_is_valid() {
    assert_eq!(invalid(&DOCUMENT.json), Vec::<String>::new());
}

#[test]
fn what_is_not_valid_is_found() {
    for (pointer, value) in [
        ("/info/title", Value::Null),
        ("/info/colour", json!("red")),
        ("/paths/~1api~1mocs~1{mocId}/get/colour", json!("red")),
        ("/paths/~1api~1mocs~1{mocId}/get/operationId", json!("finalize")),
        ("/paths/~1api~1mocs~1{mocId}/get/parameters", json!([])),
        ("/paths/~1api~1mocs~1{mocId}/get/security", json!([{ "nobody": [] }])),
        ("/paths/~1api~1mocs~1{mocId}/get/responses/2000", json!({ "description": "more than fine" })),
        ("/components/schemas/Id/type", json!("text")),
        ("/components/schemas/Moc/properties/id/$ref", json!("#/components/schemas/Nothing")),
        ("/components/parameters/mocId/in", json!("body")),
        ("/components/headers/X-Request-Id/name", json!("X-Request-Id")),
    ] {
        let mut document = DOCUMENT.json.clone();
        let (holder, name) = pointer.rsplit_once('/').expect("a pointer");
        document.pointer_mut(holder).expect("it is in the document")[name] = value;
        assert!(!invalid(&document).is_empty(), "{pointer}");
    }
}

/// Why a document is not OpenAPI 3.1.
fn invalid(document: &Value) -> Vec<String> {
    let spec: Spec = match serde_json::from_value(document.clone()) {
        Ok(spec) => spec,
        Err(error) => return vec![error.to_string()],
    };
    // The general responses are of no operation, and schemas are used by each other.
    let options = Options::IgnoreUnusedResponses | Options::IgnoreUnusedSchemas;
    let problems = spec.validate(options, None).err().map(|problems| problems.errors).unwrap_or_default();
    let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    // A field that OpenAPI does not have is read over.
    lost("#", document, &serde_json::to_value(&spec).expect("JSON"), &mut problems);
    problems
}

/// The fields of `document` that are not in what was `kept` of it.
fn lost(place: &str, document: &Value, kept: &Value, found: &mut Vec<String>) {
    match (document, kept) {
        (Value::Object(fields), Value::Object(kept)) => {
            for (name, value) in fields {
                lost(&format!("{place}/{name}"), value, kept.get(name).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(items), Value::Array(kept)) if items.len() == kept.len() => {
            items.iter().zip(kept).for_each(|(value, kept)| lost(place, value, kept, found));
        }
        (value, kept) if value == kept => {}
        _ => found.push(format!("{place} is unknown")),
    }
}

#[test]
fn it_has_the_routes_of_the_application() {
    let in_document: BTreeSet<(String, String)> =
        DOCUMENT.operations.iter().map(|operation| (operation.method.clone(), operation.path.clone())).collect();
    let mut in_manifest = BTreeSet::new();
    for (route, id) in Manifest::read().routes().into_iter().filter(|(_, id)| !NO_OPERATIONS.contains(&id.as_str())) {
        let named = |segment: &str| match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => segment.to_owned(),
        };
        let path = route.split('/').map(named).collect::<Vec<_>>().join("/");
        for methods in strings_after(&component_source(&id), "allow") {
            let methods: Vec<&str> = methods.split(", ").collect();
            assert_eq!(methods.contains(&"GET"), methods.contains(&"HEAD"), "{id}");
            // What the document says of GET holds for HEAD.
            let operations = methods.into_iter().filter(|method| *method != "HEAD");
            in_manifest.extend(operations.map(|method| (method.to_owned(), path.clone())));
        }
    }
    assert_eq!(in_document, in_manifest);
}

#[test]
fn it_has_every_code() {
    let listed = DOCUMENT.json["components"]["schemas"]["ProblemCode"]["enum"].as_array().expect("codes");
    let listed: BTreeSet<String> = listed.iter().map(|code| code.as_str().expect("text").to_owned()).collect();
    let is_code =
        |text: &&str| text.len() >= 4 && text.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit());
    let quoted = |source: &str, mark: char| -> BTreeSet<String> {
        let texts = source.split(mark).skip(1).step_by(2);
        texts.filter(is_code).map(str::to_owned).collect()
    };
    let source = read("shared/contract/src/problem.rs");
    let source = source.split("#[cfg(test)]").next().expect("code");
    let other = ["AUTO_APPEND", "PROMPT_USER", "OBJECT_MISSING", "SIZE_MISMATCH", "CONTENT_MISMATCH"];
    let made: BTreeSet<String> =
        quoted(source, '"').into_iter().filter(|code| !other.contains(&code.as_str())).collect();
    assert_eq!(made, listed, "the codes of shared/contract/src/problem.rs");
}

#[test]
fn every_code_belongs_to_an_operation() {
    let schemas = DOCUMENT.json["components"]["schemas"].as_object().expect("schemas");
    let of_code = schemas.iter().filter(|(_, schema)| schema.pointer("/allOf/1/properties/code/const").is_some());
    let responses = json!([DOCUMENT.json["paths"], DOCUMENT.json["components"]["responses"]]).to_string();
    let unused: Vec<&String> = of_code
        .map(|(name, _)| name)
        .filter(|name| !responses.contains(&format!("#/components/schemas/{name}\"")))
        .collect();
    assert_eq!(unused, Vec::<&String>::new());
}

/// Fields of JSON Schema that bound a text or a number, or say what it is.
const BOUNDS: [&str; 8] = ["const", "enum", "format", "maxLength", "maximum", "minLength", "minimum", "pattern"];

#[test]
fn every_list_and_value_has_a_bound() {
    let mut unbounded = Vec::new();
    each_schema("#", &DOCUMENT.json["components"]["schemas"], &mut |place, schema| {
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let has = |names: &[&str]| names.iter().any(|name| schema.get(name).is_some());
        let is = |kind: &str| kinds.iter().any(|given| given == kind);
        let bounded =
            (!is("array") || has(&["maxItems", "minItems"])) && (!(is("string") || is("integer")) || has(&BOUNDS));
        if !bounded {
            unbounded.push(place.to_owned());
        }
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

fn each_schema(place: &str, value: &Value, act: &mut impl FnMut(&str, &Value)) {
    if value.get("type").is_some_and(|kind| kind.is_string() || kind.is_array()) {
        act(place, value);
    }
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| each_schema(&format!("{place}/{name}"), value, act))
        }
        Value::Array(items) => items.iter().for_each(|value| each_schema(place, value, act)),
        _ => {}
    }
}
