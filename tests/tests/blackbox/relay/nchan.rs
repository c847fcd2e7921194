//! A broadcaster that is not ours: nginx with nchan between the relay and a WebSocket client.

use std::time::Duration;

use futures::StreamExt as _;
use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::nginx::Nginx;
use moc_tests::{Stack, declared_pdf, own_stack, path, unique_title};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{KEY, PATIENT_MS, TOKEN_SECRET, complaints};

/// How long a message may take that must come, and how long one is waited for that must not.
const COMES: Duration = Duration::from_secs(10);
const STAYS_AWAY: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Creates a session and watches it.
async fn watched(stack: &Stack) -> (String, Socket) {
    let reply = stack.client().post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    let (socket, _) = connect_async(reply.text_of("wsUrl")).await.expect("nginx takes the client");
    (reply.text_of("sessionId"), socket)
}

/// So many events as they come: a message is one, or a list of them.
async fn receive(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        let message = tokio::time::timeout(COMES, socket.next()).await;
        let message = message.unwrap_or_else(|_| panic!("{count} events did not come: {events:?}"));
        let Some(Ok(Message::Text(text))) = message else { panic!("{message:?} after {events:?}") };
        match serde_json::from_str(&text).expect("JSON") {
            Value::Array(list) => events.extend(list),
            event => events.push(event),
        }
    }
    events
}

#[tokio::test]
async fn nginx_with_nchan_gives_events_to_those_who_watch() {
    own_stack!();
    if !Nginx::is_installed() {
        use std::io::Write as _;
        // Not `eprintln!`, which a test that passes does not show.
        let _ = writeln!(std::io::stderr(), "skipped: needs nginx with nchan: {}:{}", file!(), line!());
        return;
    }
    let nginx = Nginx::start(KEY);
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
    let client = stack.client();
    let (session, mut socket) = watched(&stack).await;
    let (other_session, mut other) = watched(&stack).await;
    let bytes = pdf(PART_BYTES + 1_000);
    let file = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &bytes).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);

    let events = receive(&mut socket, 9).await;
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

    let created = receive(&mut other, 1).await;
    assert_eq!((&created[0]["type"], &created[0]["sessionId"]), (&json!("session_created"), &json!(other_session)));
    for socket in [&mut socket, &mut other] {
        let more = tokio::time::timeout(STAYS_AWAY, socket.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
    assert_eq!(complaints(&stack).await, Vec::<String>::new());
}

/// A key that nginx does not know is a failure as any other.
#[tokio::test]
async fn nginx_refuses_a_wrong_key() {
    own_stack!();
    if !Nginx::is_installed() {
        return;
    }
    let nginx = Nginx::start("another key");
    let origin = nginx.origin();
    let stack = Stack::start(&[
        ("websocket_api_url", &format!("{origin}/pub")),
        ("websocket_api_origin", &origin),
        ("websocket_api_key", KEY),
        ("websocket_broadcast_format", "nchan"),
        ("websocket_emit_timeout_ms", PATIENT_MS),
    ]);
    let _ = stack.client().upload_pdf(100).await;
    let complaints = complaints(&stack).await;
    let [line] = &complaints[..] else { panic!("one line, not {complaints:?}") };
    assert!(line.contains("403"), "{line}");
    assert!(!stack.log().contains(KEY));
}
