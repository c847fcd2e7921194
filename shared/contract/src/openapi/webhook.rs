//! The webhook: what a receiver gets.

use serde_json::{Value, json};

use super::header::{parameter, text};
use super::reference;
use super::sample::{self, Sample};
use crate::webhook::{USER_AGENT, message_id, payload, timestamp};

/// What `moc_finalize_webhook_url` is sent when a session has become a MOC.
pub fn moc_finalized(sample: &Sample) -> Value {
    let body = payload(&sample.finalized);
    let example = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let content = json!({
        "schema": reference("schemas", "MocFinalized"),
        "examples": { "finalized": { "summary": "A MOC", "value": example } },
    });
    json!({
        "post": {
            "operationId": "mocFinalized",
            "tags": ["mocs"],
            "summary": "A session has become a MOC",
            "description": "Sent to `moc_finalize_webhook_url` after the response to finalize, at least once, with the \
                            headers of Standard Webhooks. Only a 2xx response is a success; otherwise there are \
                            three more attempts, after one, two and four seconds. Redirects are not followed.",
            "security": [],
            "parameters": parameters(sample),
            "requestBody": {
                "required": true,
                "description": "The published MOC.",
                "content": { "application/json": content },
            },
            "responses": {
                "2XX": { "description": "Delivered." },
                "default": { "description": "Not delivered; there are four attempts in total." },
            },
        },
    })
}

fn parameters(sample: &Sample) -> Vec<Value> {
    let (id, sent_at) = (message_id(sample.finalized.moc), timestamp(sample.finalized.at));
    vec![
        parameter(
            "webhook-id",
            true,
            text("^msg_[0-9a-f-]{36}$"),
            id,
            "The same on every attempt: a receiver that remembers these ids acts once.",
        ),
        parameter(
            "webhook-timestamp",
            true,
            json!({ "type": "integer", "format": "int64", "minimum": 0 }),
            sent_at,
            "When the attempt is made, in seconds since 1970.",
        ),
        parameter(
            "webhook-signature",
            false,
            text("^v1,[A-Za-z0-9+/]{43}=$"),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            "`v1,` and, in base64, the HMAC-SHA256 of id, timestamp and body, separated by dots. Present if \
             `moc_finalize_webhook_secret` is set.",
        ),
        parameter(
            "traceparent",
            false,
            text("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
            sample::TRACE_PARENT,
            "The trace of the finalize, if it is traced (W3C Trace Context).",
        ),
        parameter("user-agent", true, json!({ "type": "string", "const": USER_AGENT }), USER_AGENT, "Who sends it."),
    ]
}
