//! The responses that the black-box tests have recorded are what the document says.

use moc_tests::{Response, openapi};
use serde_json::Value;

use crate::{files, read};

/// What stands in a snapshot for what is different every time, and what could.
const PLACEHOLDERS: [(&str, &str); 11] = [
    ("\"[elapsed]\"", "1"),
    ("\"[number]\"", "1"),
    ("[id]", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("[method]", "POST"),
    ("[path]", "/api/mocs/uploads/sessions"),
    ("[request]", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("[time]", "2026-01-25T12:00:00.000Z"),
    ("[bucket]/", "https://s3.eu-central-1.amazonaws.com/moc-uploads/"),
    ("[signed]", "X-Amz-Signature=0f1e2d3c"),
    ("[upload]", "VXBsb2FkIElE"),
    ("[unique]", "unique0f1e2d3c4b5a"),
];

/// The response of a snapshot, with the headers that no snapshot shows, since they are on every response.
fn reply(snapshot: &str) -> Response {
    let (_, text) = snapshot.split_once("---\n").and_then(|(_, rest)| rest.split_once("---\n")).expect("a snapshot");
    let replace = |text: String, (placeholder, value): &(&str, &str)| text.replace(placeholder, value);
    let shown: Value = serde_json::from_str(&PLACEHOLDERS.iter().fold(text.to_owned(), replace)).expect("JSON");
    let headers = shown["headers"].as_object().expect("headers").iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str().expect("text")));
    let always = [
        ("x-request-id", PLACEHOLDERS[2].1),
        ("cache-control", "no-store"),
        ("vary", "Authorization"),
        ("x-content-type-options", "nosniff"),
    ];
    let header = |(name, value): (&str, &str)| (name.parse().expect("a name"), value.parse().expect("a value"));
    let (method, path) = shown["request"].as_str().and_then(|request| request.split_once(' ')).expect("a request");
    Response {
        status: shown["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        headers: headers.chain(always).map(header).collect(),
        bytes: if shown["body"].is_null() { Vec::new() } else { shown["body"].to_string().into_bytes() },
        method: method.to_owned(),
        path: path.to_owned(),
    }
}

#[test]
fn recorded_responds_are_documented() {
    let snapshots = files("tests/tests/blackbox", "snap");
    assert!(snapshots.len() > 50, "{} snapshots are few", snapshots.len());
    let mut wrong = Vec::new();
    for path in snapshots {
        let errors = openapi::errors(&reply(&read(&path)));
        wrong.extend(errors.into_iter().map(|error| format!("{}: {error}", path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_documented_is_wrong() {
    let part = r#"---
source: a test
---
{
  "body": { "etag": "\"a\"", "partNumber": 1 },
  "headers": { "content-type": "application/json", "etag": "\"a\"" },
  "request": "PUT /api/mocs/uploads/sessions/[id]/files/[id]/parts/1",
  "status": 200
}
"#;
    assert_eq!(openapi::errors(&reply(part)), Vec::<String>::new());
    for (right, wrong) in [
        ("200", "201"),
        (r#""partNumber": 1"#, r#""partNumber": 0"#),
        (r#""partNumber": 1"#, r#""partNumber": 1, "color": "red""#),
        (r#""partNumber": 1"#, r#""number": 1"#),
        ("application/json", "text/plain"),
        (r#"json", "etag": "\"a\"""#, r#"json""#),
        (r#""content-type""#, r#""x-color": "red", "content-type""#),
        ("PUT", "PATCH"),
        ("parts/1", "complete"),
    ] {
        let changed = part.replace(right, wrong);
        assert_ne!(part, changed, "{right}");
        assert!(!openapi::errors(&reply(&changed)).is_empty(), "{right} as {wrong}");
    }
}
