//! A response, whole.

use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use crate::openapi;

/// Headers that are part of what is promised, and differ from response to response.
const SHOWN: [&str; 11] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "content-type",
    "etag",
    "location",
    "retry-after",
    "www-authenticate",
];

/// A response, whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// The method of the request, in capitals.
    pub method: String,
    /// The path that was asked for, without its query.
    pub path: String,
}

impl Response {
    /// A response that has come, to a request of this method and path.
    pub(crate) fn received(method: &str, path: &str, status: u16, headers: HeaderMap, bytes: Vec<u8>) -> Self {
        let reply = Self { status, headers, bytes, method: method.to_owned(), path: path.to_owned() };
        openapi::check(&reply);
        reply
    }

    /// A header, the first of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are ASCII"))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{} is no JSON ({error}): {}", self.path, self.text()))
    }

    /// A field of the body that is text.
    pub fn text_of(&self, field: &str) -> String {
        let body = self.json();
        body[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {body}")).to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Checks that it is a success of this status, and gives the body.
    pub fn success(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.path, self.text());
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.path);
        self.check_frame();
        self.json()
    }

    /// Checks that it is a problem of this status and code with every field that the contract
    /// promises, and gives the body.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let shown = format!("{} {}", self.path, self.text());
        assert_eq!((self.status, self.json()["code"].as_str()), (status, Some(code)), "{shown}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{shown}");
        self.check_frame();
        let body = self.json();
        let text = |field: &str| body[field].as_str().unwrap_or_else(|| panic!("no {field} in {shown}"));
        let kind = code.to_lowercase().replace('_', "-");
        assert_eq!(text("type"), format!("urn:moc-uploads:problem:{kind}"), "{shown}");
        assert_eq!(body["status"], status, "{shown}");
        assert_eq!(text("instance"), self.path, "{shown}");
        assert_eq!(Some(text("requestId")), self.header("x-request-id"), "{shown}");
        assert!(!text("title").is_empty() && !text("detail").is_empty(), "{shown}");
        let retryable = matches!(status, 408 | 429 | 503) || code == "FINALIZE_IN_PROGRESS";
        assert_eq!(body["retryable"], retryable, "{shown}");
        let later = matches!(status, 429 | 503);
        assert!(!later || self.header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "{shown}");
        for internal in ["sqlite", "rusqlite", "wasi", "panicked", ".rs:", "Bearer ", "X-Amz"] {
            assert!(!text("detail").contains(internal), "{shown}");
        }
        body
    }

    /// What every response has.
    #[track_caller]
    fn check_frame(&self) {
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{} has no X-Request-Id", self.path);
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        assert_eq!(length, Some(self.bytes.len()), "{} has a wrong Content-Length", self.path);
    }

    /// What was asked, the status, the promised headers and the body, for a snapshot.
    pub fn shown(&self) -> Value {
        let headers: Map<String, Value> =
            SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), json!(self.header(name)?)))).collect();
        let body = if self.bytes.is_empty() { Value::Null } else { self.json() };
        let request = format!("{} {}", self.method, self.path);
        json!({ "request": request, "status": self.status, "headers": headers, "body": body })
    }
}
