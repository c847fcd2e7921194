//! Parameters in paths and headers, and the headers of responses.

use moc_domain::limits::TRACE_STATE_MAX_BYTES;
use serde_json::{Map, Value, json};

use super::{example, properties_of, reference, sample};

/// The parameters of every path and header, by the names that operations refer to.
pub fn parameters() -> Map<String, Value> {
    let path = |name: &str, schema: &str, example: Value, description: &str| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "schema": reference("schemas", schema),
            "example": example,
            "description": description,
        })
    };
    let header = |name: &str, schema: Value, example: &str, description: &str| {
        parameter(name, false, schema, example, description)
    };
    let parameters = json!({
        "sessionId": path("sessionId", "Id", json!(sample::session_id().to_string()), "The session's id."),
        "fileId": path("fileId", "Id", json!(sample::file_id().to_string()), "The file's id."),
        "mocId": path("mocId", "Id", json!(sample::moc_id().to_string()), "The MOC's id."),
        "partNumber": path("partNumber", "PartNumber", json!(1), "The part's number, without leading zeros."),
        "X-Request-Id": header(
            "X-Request-Id",
            reference("schemas", "RequestId"),
            &sample::request_id(),
            "Names the request in the response and in the server's log. A value of another form is ignored.",
        ),
        "token": {
            "name": "token",
            "in": "query",
            "required": false,
            "schema": text("^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$"),
            "example": sample::watch_token(),
            "description": "The token of the session's `eventsUrl` or `wsUrl`. It is required unless `X-Original-URI` has it.",
        },
        "X-Original-URI": header(
            "X-Original-URI",
            json!({ "type": "string", "minLength": 1 }),
            &format!("/session/{}?token={}", sample::session_id(), sample::watch_token()),
            "What a client has asked of the proxy that sends this request, with its query.",
        ),
        "Last-Event-ID": header(
            "Last-Event-ID",
            json!({ "type": "string" }),
            "42",
            "The `sequence` of the last state that the client has seen, as browsers send it: it gets the next one once \
             there is another. Anything but a number is ignored.",
        ),
        "Grip-Sig": parameter(
            "Grip-Sig",
            true,
            text("^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$"),
            sample::watch_token(),
            "The proxy's signature: a JWT, signed with HS256 and `pushpin_grip_key`, that expires.",
        ),
        "Content-Length": parameter(
            "Content-Length",
            true,
            json!({ "type": "integer", "format": "int64", "minimum": 1 }),
            sample::PART_BYTES,
            "The size of the part. A part that does not have the size that the file's plan requires is rejected unread.",
        ),
        "Content-MD5": header(
            "Content-MD5",
            text("^[A-Za-z0-9+/]{22}==$"),
            "1B2M2Y8AsgTpgAmY7PhCfg==",
            "The MD5 of the part in base64 (RFC 1864).",
        ),
        "Content-Digest": header(
            "Content-Digest",
            json!({ "type": "string", "minLength": 1 }),
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "Checksums of the part (RFC 9530): `sha-256` and `md5` are verified, others ignored.",
        ),
        "traceparent": header(
            "traceparent",
            text("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
            sample::TRACE_PARENT,
            "The trace that the finalize belongs to (W3C Trace Context). A malformed value is ignored.",
        ),
        "tracestate": header(
            "tracestate",
            json!({ "type": "string", "maxLength": TRACE_STATE_MAX_BYTES }),
            "vendor=abc",
            "Vendor-specific trace data (W3C Trace Context). A value that is too long is ignored.",
        ),
    });
    properties_of(parameters)
}

/// A parameter that is a header.
pub fn parameter(name: &str, required: bool, schema: Value, example: impl Into<Value>, description: &str) -> Value {
    json!({
        "name": name,
        "in": "header",
        "required": required,
        "schema": schema,
        "example": example.into(),
        "description": description,
    })
}

/// The schema of a text of this form.
pub fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// The names of the parameters of an operation.
pub fn of_request(operation: &str, path: &str) -> Vec<String> {
    let in_path = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let own: &[&str] = match operation {
        "putPart" => &["Content-Length", "Content-MD5", "Content-Digest"],
        "watchSession" | "watchSessionByOtherPath" => &["token", "X-Original-URI", "Last-Event-ID"],
        "openWebSocket" | "openWebSocketByOtherPath" => &["token", "Grip-Sig"],
        "finalize" | "finalizeSession" => &["traceparent", "tracestate"],
        _ => &[],
    };
    in_path.chain(["X-Request-Id"]).chain(own.iter().copied()).map(str::to_owned).collect()
}

/// The headers of responses that the document names once.
pub fn components() -> Map<String, Value> {
    let id = json!({
        "required": true,
        "schema": reference("schemas", "RequestId"),
        "example": sample::request_id(),
        "description": "The client's `X-Request-Id`, or a new one. The server's log has it too.",
    });
    let always =
        |value: &str, description: &str| required(json!({ "type": "string", "const": value }), value, description);
    properties_of(json!({
        "X-Request-Id": id,
        "Cache-Control": always("no-store", "No cache keeps a response."),
        "Vary": required(
            text("^Authorization(, Origin)?$"),
            "Authorization",
            "What the response depends on: `Origin`, too, where pages of other origins may call.",
        ),
        "X-Content-Type-Options": always("nosniff", "The content type is what it says."),
    }))
}

/// What every response has.
pub fn of_every_response() -> Map<String, Value> {
    components().into_iter().map(|(name, _)| (name.clone(), reference("headers", &name))).collect()
}

/// A header of an operation's success.
pub fn of_success(operation: &str, name: &str) -> Value {
    match name {
        "ETag" => required(
            reference("schemas", "ETag"),
            &format!("\"{}\"", sample::part_etag(1)),
            "The part's ETag in the bucket.",
        ),
        "X-Accel-Buffering" => {
            required(json!({ "type": "string", "const": "no" }), "no", "nginx passes each event on at once.")
        }
        "Sec-WebSocket-Extensions" => {
            required(json!({ "type": "string", "const": "grip" }), "grip", "Messages to the proxy begin with `c:`.")
        }
        _ => required(
            json!({ "type": "string", "format": "uri-reference" }),
            &example::location(operation),
            "Where to go on: the path of what was made.",
        ),
    }
}

/// A header of a problem under its usual name; `always` where every code of the response has it.
pub fn of_problem(name: &str, value: &str, always: bool) -> (&'static str, Value) {
    let (name, mut header) = match name {
        "retry-after" => {
            let schema = json!({ "type": "integer", "minimum": 1 });
            ("Retry-After", required(schema, value, "Seconds to wait before the same request."))
        }
        "www-authenticate" => (
            "WWW-Authenticate",
            required(
                json!({ "type": "string", "pattern": "^Bearer($| )" }),
                value,
                "How to authenticate (RFC 6750): with `error` and `error_description` if the token is not valid, and \
                 with `scope` if it lacks a required scope.",
            ),
        ),
        _ => ("Allow", required(json!({ "type": "string" }), value, "The methods that the path has.")),
    };
    header["required"] = json!(always);
    if let Ok(number) = value.parse::<u64>() {
        header["example"] = json!(number);
    }
    (name, header)
}

fn required(schema: Value, example: &str, description: &str) -> Value {
    json!({ "required": true, "schema": schema, "example": example, "description": description })
}
