//! `POST /ws/broadcast`: events of one session, or a list of several sessions' events, from whoever has the key.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::{BODY_MAX_BYTES, Shared};

/// The events of a session.
#[derive(Deserialize)]
struct Broadcast {
    #[serde(rename = "sessionId")]
    session_id: String,
    // Who uploads; it is part of the format, and nothing here depends on it.
    #[serde(rename = "userId")]
    _user_id: String,
    events: Vec<Box<RawValue>>,
}

impl Broadcast {
    fn parse(json: &str) -> Result<Self, String> {
        if !json.trim_ascii_start().starts_with('{') {
            return Err("the events of a session are an object".into());
        }
        let broadcast: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if broadcast.events.iter().all(|event| event.get().starts_with('{')) {
            Ok(broadcast)
        } else {
            Err("every event is an object".into())
        }
    }

    /// All of a body, or none.
    fn parse_all(body: &[u8]) -> Result<Vec<Self>, String> {
        let body = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        if !body.trim_ascii_start().starts_with('[') {
            return Self::parse(body).map(|broadcast| vec![broadcast]);
        }
        let sessions: Vec<&RawValue> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if sessions.is_empty() {
            return Err("the list is empty".into());
        }
        sessions.into_iter().map(|session| Self::parse(session.get())).collect()
    }
}

/// Queues every event of the body as one text message, unchanged.
pub async fn publish(State(shared): State<Arc<Shared>>, request: Request) -> Result<StatusCode, Problem> {
    if !has_key(request.headers(), &shared.settings.key) {
        return Err(Problem::unauthorized("The key is missing or wrong."));
    }
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("A body has {BODY_MAX_BYTES} bytes at most."))
        }
        status => Problem::new(status, "The body could not be read."),
    })?;
    let broadcasts = Broadcast::parse_all(&body)
        .map_err(|reason| Problem::new(StatusCode::BAD_REQUEST, format!("Not a broadcast: {reason}.")))?;
    for Broadcast { session_id, events, .. } in broadcasts {
        shared.sessions.publish(&session_id, events.iter().map(|event| event.get().into()));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the bearer token is the key, compared in constant time.
fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let credentials = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes).unwrap_or_default();
    let Some((scheme, token)) = credentials.split_at_checked("Bearer ".len()) else { return false };
    !key.is_empty() && scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(token.ct_eq(key.as_bytes()))
}
