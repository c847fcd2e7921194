//! A broadcaster that is not ours: nginx with nchan between the relay and a WebSocket client.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::nginx::Nginx;
use moc_tests::socket::Socket;
use moc_tests::{Stack, declared_pdf, own_stack, path, sharing_instances, unique_title};
use serde_json::{Value, json};

use super::{KEY, PATIENT_MS, TOKEN_SECRET, complaints};

/// A stack whose broadcaster is this nginx; `None`, with a word of it, if there is no nginx.
fn start(key: &str) -> Option<(Nginx, Stack)> {
    if !Nginx::is_installed() {
        use std::io::Write as _;
        // Not `eprintln!`, which a test that passes does not show.
        let _ = writeln!(std::io::stderr(), "skipped: needs nginx with nchan: {}", file!());
        return None;
    }
    let nginx = Nginx::start(key);
    let origin = nginx.origin();
    let stack = Stack::start(&[
        ("websocket_api_url", &format!("{origin}/pub")),
        ("websocket_api_origin", &origin),
        ("websocket_api_key", KEY),
        ("websocket_broadcast_format", "nchan"),
        ("websocket_emit_timeout_ms", PATIENT_MS),
        ("websocket_server_url", &nginx.server_url()),
        ("websocket_token_secret", TOKEN_SECRET),
    ]);
    Some((nginx, stack))
}

/// Creates a session and watches it.
async fn watched(stack: &Stack) -> (String, Socket) {
    let reply = stack.client().post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    let socket = Socket::connect(&reply.text_of("wsUrl")).await.expect("nginx takes the client");
    (reply.text_of("sessionId"), socket)
}

/// Nothing has come for this session but what was received: what is published now comes next.
async fn has_no_more(nginx: &Nginx, session: &str, socket: &mut Socket) {
    let id = uuid::Uuid::new_v4();
    let marker = json!({ "type": "upload.session.finalized", "sessionId": session, "mocId": id.to_string(), "status": "success" });
    let url = format!("{}/pub?id={session}", nginx.origin());
    let published = reqwest::Client::new().post(url).bearer_auth(KEY).body(marker.to_string()).send().await;
    assert!(published.expect("a response").status().is_success());
    assert_eq!(socket.next().await, marker);
}

#[tokio::test]
async fn nginx_with_nchan_gives_events_to_those_who_watch() {
    own_stack!();
    let Some((nginx, stack)) = start(KEY) else { return };
    let client = stack.client();
    let (session, mut socket) = watched(&stack).await;
    let (other_session, mut other) = watched(&stack).await;
    let bytes = pdf(PART_BYTES + 1_000);
    let file = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &bytes).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);

    let events = socket.take(9).await;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let part = ["part_uploaded", "upload.part.completed"];
    let (first, last) =
        (["session_created", "file_registered"], ["file_completed", "session_finalized", "upload.session.finalized"]);
    assert_eq!(kinds, [&first[..], &part, &part, &last].concat());
    assert!(events.iter().all(|event| event["sessionId"] == session.as_str()), "{events:?}");
    assert!(events[1..7].iter().all(|event| event["fileId"] == file.as_str()), "{events:?}");
    let percent: Vec<&Value> = events.iter().filter_map(|event| event.get("percentComplete")).collect();
    assert_eq!(percent, [50, 100]);
    assert_eq!((&events[7]["metadata"]["mocId"], &events[8]["mocId"]), (&moc["id"], &moc["id"]));

    let created = other.next().await;
    assert_eq!((&created["type"], &created["sessionId"]), (&json!("session_created"), &json!(other_session)));
    has_no_more(&nginx, &session, &mut socket).await;
    has_no_more(&nginx, &other_session, &mut other).await;
    assert_eq!(complaints(&stack).await, Vec::<String>::new());
}

/// A key that nginx does not know is a failure as any other.
#[tokio::test]
async fn nginx_rejects_a_wrong_key() {
    own_stack!();
    sharing_instances!();
    let Some((_nginx, stack)) = start("another key") else { return };
    let _ = stack.client().upload_pdf(100).await;
    let complaints = complaints(&stack).await;
    let [line] = &complaints[..] else { panic!("one line, not {complaints:?}") };
    assert!(line.contains("403"), "{line}");
    assert!(!stack.log().contains(KEY));
}
