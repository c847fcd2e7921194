//! The document's examples are what their schemas say, and each has one.

use std::collections::BTreeMap;

use moc_tests::openapi::{DOCUMENT, resolve};
use moc_tests::schema::validator;
use serde_json::{Value, json};

fn resolved(value: &'static Value) -> &'static Value {
    resolve(&DOCUMENT.json, value)
}

/// What is wrong with the examples of `holder`, next to whose `schema` they stand.
fn errors(place: &str, holder: &Value) -> Vec<String> {
    let validator = validator(&DOCUMENT.json, &holder["schema"]);
    let named = holder["examples"].as_object().into_iter().flatten();
    let named = named.map(|(name, example)| (name.as_str(), &resolve(&DOCUMENT.json, example)["value"]));
    let examples: BTreeMap<&str, &Value> = named.chain(holder.get("example").map(|example| ("", example))).collect();
    if examples.is_empty() {
        return vec![format!("{place} has no example")];
    }
    let errors = examples.iter().flat_map(|(name, value)| {
        validator.iter_errors(value).map(move |error| format!("{place} {name}: {error} at {}", error.instance_path()))
    });
    errors.collect()
}

/// What has examples: a body of some type, a header, a parameter.
fn holders() -> Vec<(String, &'static Value)> {
    let mut holders = Vec::new();
    let document = &DOCUMENT.json;
    let contents = |place: &str, message: &'static Value, holders: &mut Vec<(String, &'static Value)>| {
        let contents = message["content"].as_object().into_iter().flatten();
        holders.extend(contents.map(|(kind, content)| (format!("{place} {kind}"), content)));
        let headers = message["headers"].as_object().into_iter().flatten();
        holders.extend(headers.map(|(name, header)| (format!("{place} {name}"), resolved(header))));
    };
    let items = ["paths", "webhooks"].into_iter().flat_map(|name| document[name].as_object().expect("operations"));
    for operation in items.flat_map(|(_, item)| item.as_object().expect("operations").values()) {
        let id = operation["operationId"].as_str().expect("an id");
        contents(id, &operation["requestBody"], &mut holders);
        for (status, response) in operation["responses"].as_object().expect("responses") {
            contents(&format!("{id} {status}"), resolved(response), &mut holders);
        }
        for parameter in operation["parameters"].as_array().expect("parameters") {
            holders.push((format!("{id} {parameter}"), resolved(parameter)));
        }
    }
    for (name, response) in document["components"]["responses"].as_object().expect("responses") {
        contents(name, response, &mut holders);
    }
    holders
}

#[test]
fn everything_has_examples_and_they_are_right() {
    let holders = holders();
    assert!(holders.len() > 200, "{} places are few", holders.len());
    let errors: Vec<String> = holders.iter().flat_map(|(place, holder)| errors(place, holder)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let of = |example: Value| {
        errors("here", &json!({ "schema": { "$ref": "#/components/schemas/Id" }, "example": example }))
    };
    assert_eq!(of(json!("01890a5d-ac96-774b-bcce-b302099a8057")), Vec::<String>::new());
    assert_eq!(of(json!("01890a5d")).len(), 1);
    assert_eq!(errors("here", &json!({ "schema": {} })), ["here has no example"]);
}
