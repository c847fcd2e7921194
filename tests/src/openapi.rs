//! Checks of requests and responses against the OpenAPI document.

mod document;
mod message;

use std::sync::LazyLock;

use serde_json::Value;

use crate::Response;
pub use document::{Document, Operation, resolve};

/// The document as it is published.
pub static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let text = include_str!("../../shared/contract/openapi.json");
    Document::new(serde_json::from_str(text).expect("JSON"))
});

/// Checks that a response is as the document promises.
#[track_caller]
pub fn check(reply: &Response) {
    let errors = errors(reply);
    let Response { method, path, status, headers, .. } = reply;
    let shown = format!("{method} {path}: {status} {headers:?}\n{}", reply.text());
    assert!(errors.is_empty(), "not as openapi.json has it: {shown}\n{}", errors.join("\n"));
}

/// Statuses that the server responds with by itself, without a body: a head that is too long, a component that broke.
const OF_SERVER: [u16; 2] = [431, 500];

/// What is wrong with a response. Those of paths that the document does not have are not its matter, but for a 404 of
/// the API; nor are those that no component gave.
pub fn errors(reply: &Response) -> Vec<String> {
    let Response { method, path, status, headers, bytes, .. } = reply;
    if OF_SERVER.contains(status) && bytes.is_empty() && reply.header("x-request-id").is_none() {
        return Vec::new();
    }
    let operations = DOCUMENT.at(path);
    // Whatever responds to GET responds to HEAD in the same way.
    let asked = if method == "HEAD" { "GET" } else { method };
    let known = operations.iter().find(|operation| operation.method == asked);
    let response = match (known, operations.first(), status) {
        // A preflight, which is the same everywhere.
        (_, _, 204) if method == "OPTIONS" => return Vec::new(),
        (_, None, 404) if path.starts_with("/api/") => Some(&DOCUMENT.not_found),
        (_, None, _) => return Vec::new(),
        (None, _, 405) => Some(&DOCUMENT.method_not_allowed),
        // What comes before the method is looked at.
        (None, Some(operation), 401 | 500 | 503) => operation.responses.get(status),
        (known, ..) => known.and_then(|operation| operation.responses.get(status)),
    };
    let Some(response) = response else { return vec![format!("{method} never responds {status} there")] };
    // A response to HEAD has none of the body that its head is of.
    let body = (method != "HEAD").then_some(bytes.as_slice());
    response.errors(headers, body)
}

/// What is wrong with a request, apart from who sends it: `None` if the document has no such operation.
pub fn request_errors(method: &str, path: &str, headers: &[(String, String)], body: &Value) -> Option<Vec<String>> {
    let operations = DOCUMENT.at(path);
    let asked = if method == "HEAD" { "GET" } else { method };
    let operation = operations.into_iter().find(|operation| operation.method == asked)?;
    Some(operation.request_errors(path, headers, body))
}
