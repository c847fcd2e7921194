//! Watching clients: several, of other sessions, and reconnecting.

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, pdf, starting};
use moc_tests::socket::Socket;
use moc_tests::{Client, Stack, own_stack, path, unique_title};
use serde_json::Value;

use super::{VARIABLES, create, kinds, shared, watched};

/// What the last event of a session is.
const LAST: &str = "upload.session.finalized";

async fn state(client: &Client, session: &str) -> Value {
    client.get(&path::session(session)).await.success(200)
}

/// Connects with the address that the session's state has now.
async fn reconnect(client: &Client, session: &str) -> (Value, Socket) {
    let state = state(client, session).await;
    let socket = Socket::connect(state["wsUrl"].as_str().expect("a wsUrl")).await;
    (state, socket.expect("a fresh token is good"))
}

#[tokio::test]
async fn everyone_who_watches_a_session_receives_everything() {
    own_stack!();
    let client = shared().client();
    let (session, ws_url) = create(&client).await;
    let connect = async || Socket::connect(&ws_url).await.expect("its own token is good");
    let mut sockets = vec![connect().await, connect().await, reconnect(&client, &session).await.1];
    // One that sends messages is ignored, and is a client like the others.
    sockets[0].say("hello?").await;

    let _ = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(PART_BYTES + 1)).await;
    let picture = starting(b"\x89PNG\r\n\x1a\n", 700);
    let _ = client.upload(&session, "front.png", "image", "image/png", &picture).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);

    let received = join_all(sockets.iter_mut().map(|socket| socket.until(LAST))).await;
    // Registered, parts, completed, of each file; and the end.
    assert_eq!(received[0].len(), (1 + 4 + 1) + (1 + 2 + 1) + 2, "{:?}", kinds(&received[0]));
    assert!(received.iter().all(|events| *events == received[0]), "{received:?}");
    for socket in &mut sockets {
        socket.has_no_more().await;
    }
}

#[tokio::test]
async fn nobody_receives_what_is_of_another_session() {
    own_stack!();
    let client = shared().client();
    let (session, mut socket) = watched(&client).await;
    let (other_session, mut other) = watched(&client).await;
    let _ = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(100)).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
    let events = socket.until(LAST).await;
    assert!(events.iter().all(|event| event["sessionId"] == session.as_str()), "{events:?}");

    // All of that was handed in before, so it would stand before the first event of its own.
    let file = client.register_pdf(&other_session, 100).await;
    let event = other.next().await;
    assert_eq!((&event["type"], &event["fileId"]), (&"file_registered".into(), &file.into()));
    other.has_no_more().await;
    socket.has_no_more().await;
}

#[tokio::test]
async fn who_comes_back_finds_what_was_missed_in_the_state() {
    own_stack!();
    let client = shared().client();
    let (session, mut socket) = watched(&client).await;
    let bytes = pdf(2 * PART_BYTES + 1);
    let parts: Vec<Vec<u8>> = bytes.chunks(PART_BYTES).map(<[u8]>::to_vec).collect();
    let file = client.register_pdf(&session, bytes.len()).await;
    let _ = client.put_part(&session, &file, 1, parts[0].clone()).await.success(200);
    assert_eq!(socket.take(3).await[2]["completedParts"], 1);
    socket.close().await;

    let _ = client.put_part(&session, &file, 2, parts[1].clone()).await.success(200);
    let (state, mut socket) = reconnect(&client, &session).await;
    assert_eq!(state["files"][0]["partsCompleted"], 2, "{state}");
    let seen = state["sequence"].as_u64().expect("a number");
    let _ = client.put_part(&session, &file, 3, parts[2].clone()).await.success(200);
    let events = socket.take(2).await;
    assert_eq!(kinds(&events), ["part_uploaded", "upload.part.completed"]);
    assert_eq!((&events[1]["completedParts"], &events[1]["percentComplete"]), (&3.into(), &100.into()));
    assert!(events[1]["sequence"].as_u64().is_some_and(|sequence| sequence > seen), "{events:?} after {state}");

    let _ = client.complete(&session, &file).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
    assert_eq!(kinds(&socket.until(LAST).await), ["file_completed", "session_finalized", LAST]);
}

#[tokio::test]
async fn a_session_is_watched_again_after_a_restart_of_its_host() {
    own_stack!();
    let mut stack = Stack::start(&VARIABLES);
    let (session, before) = create(&stack.client()).await;
    let mut socket = Socket::connect(&before).await.expect("its own token is good");
    let file = stack.client().register_pdf(&session, 100).await;
    assert_eq!(kinds(&socket.take(1).await), ["file_registered"]);

    stack.restart();
    let client = stack.client();
    let (_, mut socket) = reconnect(&client, &session).await;
    client.put_parts(&session, &file, &pdf(100)).await;
    assert_eq!(kinds(&socket.take(2).await), ["part_uploaded", "upload.part.completed"]);
}
