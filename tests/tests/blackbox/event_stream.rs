//! Progress without a broadcaster: the states of a session as server-sent events.

use std::time::{Duration, Instant};

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::event_source::{Event, EventSource};
use moc_tests::token::{hs256, now};
use moc_tests::{
    Client, Stack, declared_pdf, logged_json, own_database, own_stack, path, unique_title, wait_for,
    work_after_responses,
};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const OURS: &str = "https://app.example";

/// A stack without a broadcaster, whose streams end after two seconds.
fn shared() -> &'static Stack {
    Stack::shared_with(&[("websocket_api_url", ""), ("events_max_seconds", "2"), ("allowed_upload_origins", OURS)])
}

/// Creates a session; gives its id and its `eventsUrl`.
async fn create(client: &Client) -> (String, String) {
    let reply = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    (reply.text_of("sessionId"), reply.text_of("eventsUrl"))
}

async fn open(client: &Client, url: &str) -> EventSource {
    EventSource::open(client, url).await.unwrap_or_else(|response| panic!("no stream: {}", response.text()))
}

/// The files of a state by their names and stored parts.
fn files(state: &Event) -> Vec<(&str, u64)> {
    let files = state.data["files"].as_array().expect("files");
    let shown = |file: &'_ Value| file["partsCompleted"].as_u64().expect("a number");
    files.iter().map(|file| (file["name"].as_str().expect("a name"), shown(file))).collect()
}

#[tokio::test]
async fn shows_the_session_at_once_and_then_what_changes() {
    let client = Stack::shared().client();
    let (session, url) = create(&client).await;
    assert!(url.starts_with(&format!("{}/watch?token=", path::session(&session))), "{url}");
    let bytes = pdf(2 * PART_BYTES + 7);
    let file = client.register_pdf(&session, bytes.len()).await;
    let _ = client.register(&session, "front.png", "image", "image/png", 7).await;

    let mut events = open(&client, &url).await;
    for (name, value) in [("cache-control", "no-store"), ("x-accel-buffering", "no")] {
        assert_eq!(events.headers.get(name).and_then(|value| value.to_str().ok()), Some(value));
    }
    assert_eq!(events.headers.get("content-length"), None);
    let first = events.expect("state").await;
    assert_eq!(events.retry, Some(1_000));
    assert_eq!(files(&first), [("castle.pdf", 0), ("front.png", 0)]);
    let sequence = first.data["sequence"].as_u64().expect("a number");
    assert_eq!(first.last_id, sequence.to_string());
    let (mut shown, state) = (first.data, client.get(&path::session(&session)).await.success(200));
    assert_eq!((&shown["sessionId"], &shown["status"]), (&json!(session), &json!("active")));
    assert_eq!((&shown["expiresAt"], &shown["allFiles"]), (&state["expiresAt"], &json!(true)));
    // As the session's own response has them.
    assert_eq!(shown["files"].take(), state["files"]);

    let _ = client.put_part(&session, &file, 3, bytes[2 * PART_BYTES..].to_vec()).await.success(200);
    let stored = Instant::now();
    let second = events.expect("state").await;
    // A second, and what a busy machine takes.
    assert!(stored.elapsed() < Duration::from_secs(5), "{:?}", stored.elapsed());
    assert_eq!((files(&second), &second.data["allFiles"]), (vec![("castle.pdf", 1)], &json!(false)));
    assert_eq!(second.data["files"][0]["bytesCompleted"], 7);
    assert!(second.data["sequence"].as_u64() > Some(sequence), "{second:?}");
}

#[tokio::test]
async fn a_client_that_connects_again_gets_what_it_has_not_seen() {
    own_stack!();
    let client = shared().client();
    let (session, url) = create(&client).await;
    let mut events = open(&client, &url).await;
    let first = events.expect("state").await;
    // It ends by itself, without an event.
    let began = Instant::now();
    assert!(events.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    let mut again = EventSource::reopen(&client, &url, &first.last_id).await.expect("a stream");
    assert!(again.next().await.is_none(), "nothing has changed");
    assert_eq!(again.retry, Some(1_000));

    let _ = client.register_pdf(&session, 100).await;
    let mut again = EventSource::reopen(&client, &url, &first.last_id).await.expect("a stream");
    let state = again.expect("state").await;
    assert_eq!((files(&state), &state.data["allFiles"]), (vec![("castle.pdf", 0)], &json!(true)));
}

#[tokio::test]
async fn ends_with_the_session() {
    let client = Stack::shared().client();
    for status in ["finalized", "cancelled"] {
        let (session, url) = create(&client).await;
        let file = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(100)).await;
        let mut events = open(&client, &url).await;
        let _ = events.expect("state").await;
        if status == "finalized" {
            let _ = client.finalize(&session, &unique_title()).await.success(201);
        } else {
            assert_eq!(client.delete(&path::session(&session)).await.status, 204);
        }
        // One that finalizing has begun may come before.
        let mut last = events.expect("state").await;
        while last.data["status"] != status {
            last = events.expect("state").await;
        }
        let end = events.expect("end").await;
        assert_eq!((&end.data["status"], end.data.get("files")), (&json!(status), None));
        assert_eq!(end.data["sequence"], last.data["sequence"]);
        assert_eq!(end.data.get("mocId").is_some(), status == "finalized");
        assert!(events.next().await.is_none());
        // Late, the same at once.
        let mut late = open(&client, &url).await;
        let state = late.expect("state").await;
        assert_eq!(state.data["files"][0]["fileId"], json!(file));
        let _ = late.expect("end").await;
        assert!(late.next().await.is_none());
    }
}

#[tokio::test]
async fn ends_when_the_session_expires() {
    own_database!();
    let client = Stack::shared().client();
    let (session, url) = create(&client).await;
    let mut events = open(&client, &url).await;
    assert_eq!(events.expect("state").await.data["status"], "active");
    Stack::shared().set_session(&session, "expires_at = created_at - 1");
    let last = events.expect("state").await;
    assert_eq!((&last.data["status"], files(&last).len()), (&json!("expired"), 0));
    assert_eq!(events.expect("end").await.data["status"], "expired");
    assert!(events.next().await.is_none());
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(state.get("eventsUrl"), None, "{state}");
}

#[tokio::test]
async fn needs_a_token_for_this_session() {
    own_stack!();
    let stack = Stack::shared_with(&[("websocket_api_url", ""), ("websocket_token_secret", SECRET)]);
    let client = stack.client();
    let (session, url) = create(&client).await;
    let (_, other) = create(&client).await;
    let (path, own) = url.split_once('?').expect("a query");
    let (_, others) = other.split_once('?').expect("a query");
    let claims = |expires: u64| json!({ "sub": "dev-user", "sessionId": session, "aud": "moc-uploads-progress", "exp": expires });
    let signed = |secret: &str, expires: u64| format!("{path}?token={}", hs256(secret, &claims(expires)));
    let _ = open(&client, &signed(SECRET, now() + 60)).await;
    for wrong in [
        path.to_owned(),
        format!("{path}?token="),
        format!("{path}?{}", &own[..own.len() - 1]),
        format!("{path}?{others}"),
        signed(SECRET, now() - 1),
        signed("another-secret-of-thirty-two-bytes", now() + 60),
    ] {
        let rejected = EventSource::open(&client, &wrong).await.err().expect("no stream");
        let _ = rejected.problem(403, "FORBIDDEN");
    }
}

/// Without a variable, the secret is in the database, which all hosts share and which keeps it.
#[tokio::test]
async fn every_host_accepts_the_tokens_of_the_database() {
    own_stack!();
    let variables = [("websocket_api_url", ""), ("websocket_token_secret", "")];
    let mut stack = Stack::start(&variables);
    let client = stack.client();
    let (session, url) = create(&client).await;
    let next = Stack::start_next_to_with(&stack, &variables);
    let _ = open(&next.client(), &url).await.expect("state").await;
    let shown = next.client().get(&path::session(&session)).await;
    let _ = shown.success(200);
    let _ = open(&client, &shown.text_of("eventsUrl")).await.expect("state").await;
    stack.restart();
    let _ = open(&stack.client(), &url).await.expect("state").await;
    // One that is configured later signs from then on, and what was signed before stays good.
    let configured = Stack::start_next_to_with(&stack, &[variables[0], ("websocket_token_secret", SECRET)]);
    let _ = open(&configured.client(), &url).await.expect("state").await;
    let signed = configured.client().get(&path::session(&session)).await.text_of("eventsUrl");
    let rejected = EventSource::open(&stack.client(), &signed).await.err().expect("no stream");
    let _ = rejected.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_stream_has_one_line_in_the_log_when_it_has_ended() {
    own_stack!();
    work_after_responses!();
    let stack = Stack::start(&[("websocket_api_url", "")]);
    let client = stack.client();
    let (session, url) = create(&client).await;
    let mut events = open(&client, &url).await;
    let _ = events.expect("state").await;
    let lines = || {
        let log = stack.log();
        let lines = log.lines().filter(|line| line.contains(r#""route":"watch""#)).map(logged_json);
        lines.collect::<Vec<Value>>()
    };
    assert_eq!(lines(), Vec::<Value>::new());
    let _ = client.register_pdf(&session, 100).await;
    let _ = events.expect("state").await;
    // A client that leaves ends its stream.
    drop(events);
    let line = wait_for("the line of the stream", Duration::from_secs(10), async || lines().pop()).await;
    assert_eq!((&line["status"], &line["messages"], &line["session"]), (&json!(200), &json!(2), &json!(session)));
    assert!(line["durationMs"].as_f64() > Some(0.0), "{line}");
    assert_eq!(lines().len(), 1);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_watch() {
    own_stack!();
    let client = shared().client();
    let (_, url) = create(&client).await;
    for (origin, allowed) in [(OURS, Some(OURS)), ("https://evil.example", None)] {
        let request = client.request(Method::GET, &url).header("accept", "text/event-stream").header("origin", origin);
        let response = request.send().await.expect("a response");
        let header = response.headers().get("access-control-allow-origin").and_then(|value| value.to_str().ok());
        assert_eq!((response.status().as_u16(), header), (200, allowed));
    }
    let preflight = client.request(Method::OPTIONS, &url).header("origin", OURS);
    let preflight = preflight.header("access-control-request-method", "GET");
    let preflight = client.send(preflight.header("access-control-request-headers", "last-event-id")).await;
    let headers = preflight.header("access-control-allow-headers").expect("headers");
    assert!(preflight.status == 204 && headers.contains("last-event-id"), "{headers}");
    let head = client.request(Method::HEAD, &url).header("accept", "text/event-stream");
    let head = client.send(head).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
}
