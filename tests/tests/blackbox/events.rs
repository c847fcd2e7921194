//! Live progress, from the broadcaster on: what those receive who watch a session.

mod batch;
mod clients;
mod sequence;
mod tokens;

use moc_tests::socket::Socket;
use moc_tests::{Client, Stack, declared_pdf, path};
use serde_json::{Value, json};

const TOKEN_SECRET: &str = "a-secret-for-tokens-to-watch-with";

/// The variables of a stack whose broadcaster is its own.
const VARIABLES: [(&str, &str); 3] = [
    ("websocket_token_secret", TOKEN_SECRET),
    // On a busy machine an event may take longer than it usually may, and here each is needed.
    ("websocket_emit_timeout_ms", "10000"),
    ("instruction_max_mb", "100"),
];

/// One for all tests that need no other.
fn shared() -> &'static Stack {
    Stack::shared_with(&VARIABLES)
}

/// Creates a session; gives its id and its `wsUrl`.
async fn create(client: &Client) -> (String, String) {
    let reply = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    (reply.text_of("sessionId"), reply.text_of("wsUrl"))
}

/// Creates a session and watches it.
async fn watched(client: &Client) -> (String, Socket) {
    let (session, ws_url) = create(client).await;
    (session, Socket::connect(&ws_url).await.expect("its own token is good"))
}

/// The types of events.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}
