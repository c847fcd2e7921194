//! Checks of events against the AsyncAPI document.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let document = document();
    let messages = document["components"]["messages"].as_object().expect("messages").values();
    let events = messages.filter_map(|message| {
        let reference = message["payload"]["$ref"].as_str().expect("a schema by its name");
        let schema = document.pointer(reference.trim_start_matches('#')).expect("the schema is in the document");
        let kind = schema.pointer("/properties/type/const")?.as_str().expect("a type is text");
        Some((kind.to_owned(), validator(&document, &message["payload"])))
    });
    Schemas { events: events.collect(), batch: validator(&document, &json!({ "$ref": "#/components/schemas/batch" })) }
});

struct Schemas {
    /// Of each event, by its type.
    events: BTreeMap<String, Validator>,
    /// Of a message that is a list of events.
    batch: Validator,
}

fn document() -> Value {
    serde_saphyr::from_str(include_str!("../../shared/contract/asyncapi.yaml")).expect("YAML")
}

/// A validator of a schema whose references lead to the schemas of a document.
pub fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = json!({ "schemas": document["components"]["schemas"] });
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&schema).expect("a schema")
}

/// Checks that an event is as the document promises.
#[track_caller]
pub fn check(event: &Value) {
    let errors = errors(event);
    assert!(errors.is_empty(), "not as asyncapi.yaml has it: {event}\n{}", errors.join("\n"));
}

/// What is wrong with an event, or with a list of events.
pub fn errors(message: &Value) -> Vec<String> {
    let validator = match message {
        Value::Array(_) => Some(&SCHEMAS.batch),
        _ => message["type"].as_str().and_then(|kind| SCHEMAS.events.get(kind)),
    };
    let Some(validator) = validator else { return vec![format!("no type of the document: {}", message["type"])] };
    validator.iter_errors(message).map(|error| format!("{error} at {:?}", error.instance_path().as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of every message, by its name.
    fn messages() -> BTreeMap<String, Vec<Value>> {
        let document = document();
        let messages = document["components"]["messages"].as_object().expect("messages").iter();
        let payloads = |message: &Value| {
            let examples = message["examples"].as_array().map(Vec::as_slice).unwrap_or_default();
            examples.iter().map(|example| example["payload"].clone()).collect()
        };
        messages.map(|(name, message)| (name.clone(), payloads(message))).collect()
    }

    fn examples() -> impl Iterator<Item = Value> {
        messages().into_values().flatten()
    }

    #[test]
    fn the_document_has_every_type() {
        let kinds: Vec<&str> = SCHEMAS.events.keys().map(String::as_str).collect();
        let lifecycle = ["file_completed", "file_registered", "part_uploaded", "session_created", "session_finalized"];
        assert_eq!(kinds, [&lifecycle[..], &["upload.part.completed", "upload.session.finalized"]].concat());
    }

    #[test]
    fn every_message_has_an_example_and_each_is_right() {
        for (name, examples) in messages() {
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                let right = if name == "batch" { example.is_array() } else { example.is_object() };
                assert!(right, "{name}: {example}");
                check(&example);
            }
        }
    }

    #[test]
    fn a_field_more_or_less_is_wrong() {
        for event in examples().filter(Value::is_object) {
            let mut more = event.clone();
            more["color"] = json!("red");
            assert!(!errors(&more).is_empty(), "{more}");
            for name in event.as_object().expect("an object").keys() {
                let mut less = event.clone();
                less.as_object_mut().expect("an object").remove(name);
                assert!(!errors(&less).is_empty(), "{less}");
            }
        }
    }

    #[test]
    fn wrong_values_are_wrong() {
        let wrong = [
            ("/sessionId", json!("019aa8a4")),
            ("/fileId", json!("")),
            ("/sequence", json!(0)),
            ("/timestamp", json!("2026-11-21T22:54:32Z")),
            ("/timestamp", json!("2026-13-21T22:54:32.123Z")),
            ("/progress/partsTotal", json!(0)),
            ("/progress/bytesCompleted", json!(-1)),
            ("/progress/partsCompleted", json!(1.5)),
            ("/metadata/etag", json!("d41d8cd98f00b204e9800998ecf8427e")),
            ("/metadata/category", json!("virus")),
            ("/partNumber", json!(10_001)),
            ("/completedParts", json!("1")),
            ("/percentComplete", json!(101)),
            ("/status", json!("failure")),
        ];
        for (pointer, value) in wrong {
            let mut tried = 0;
            for mut event in examples().filter(|event| event.pointer(pointer).is_some()) {
                *event.pointer_mut(pointer).expect("it is there") = value.clone();
                assert!(!errors(&event).is_empty(), "{event}");
                assert!(!errors(&json!([event])).is_empty(), "also in a list: {event}");
                tried += 1;
            }
            assert!(tried > 0, "{pointer} is in no example");
        }
        assert!(errors(&json!([])).is_empty(), "an empty list is one in which nothing has happened");
        assert!(!errors(&json!({ "type": "part_lost" })).is_empty(), "an unknown type");
        assert!(!errors(&json!("part_uploaded")).is_empty(), "a text");
    }
}
