//! A broadcaster that is not ours: Pushpin between the application and a WebSocket client. It asks the application
//! whom it may let in, and what they watch.

use std::time::Duration;

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::pushpin::Pushpin;
use moc_tests::socket::Socket;
use moc_tests::{Client, Response, Stack, declared_pdf, own_stack, path, token, unique_title, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{GRIP_KEY, PATIENT_MS, TOKEN_SECRET, complaints};

/// The signature's header.
const SIGNATURE: &str = "grip-sig";
const EVENTS: &str = "application/websocket-events";

/// A stack whose broadcaster is this Pushpin, which signs with this key; `None`, with a word of it, if there is none.
fn start(key: &str) -> Option<(Pushpin, Stack)> {
    if !Pushpin::is_installed() {
        moc_tests::skipped("Pushpin", file!(), line!());
        return None;
    }
    let mut pushpin = Pushpin::reserve(key);
    let origin = pushpin.publishing_origin();
    let stack = Stack::start(&[
        ("websocket_api_url", &format!("{origin}/publish/")),
        ("websocket_api_origin", &origin),
        ("websocket_broadcast_format", "pushpin"),
        ("websocket_emit_timeout_ms", PATIENT_MS),
        ("websocket_server_url", &pushpin.server_url()),
        ("websocket_token_secret", TOKEN_SECRET),
        ("pushpin_grip_key", GRIP_KEY),
    ]);
    pushpin.start(stack.base_url());
    Some((pushpin, stack))
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

/// Nothing has come for this session but what was received: this event of it, published once more, comes next.
async fn has_no_more(pushpin: &Pushpin, event: &Value, socket: &mut Socket) {
    let item = json!({ "channel": event["sessionId"], "formats": { "ws-message": { "content": event.to_string() } } });
    let url = format!("{}/publish/", pushpin.publishing_origin());
    let published = reqwest::Client::new().post(url).body(json!({ "items": [item] }).to_string()).send().await;
    assert!(published.expect("a response").status().is_success());
    assert_eq!(socket.next().await, *event);
}

/// The types of events.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[tokio::test]
async fn pushpin_gives_every_event_to_those_who_watch() {
    own_stack!();
    let Some((pushpin, stack)) = start(GRIP_KEY) else { return };
    // The rest of the application is behind Pushpin as well.
    let client = Client::new(&pushpin.origin(), None);
    let (session, mut socket) = watched(&client).await;
    let (other_session, mut other) = watched(&client).await;
    // What a client says is ignored.
    socket.say("hello?").await;
    socket.say(&json!({ "type": "subscribe", "channel": other_session }).to_string()).await;
    socket.say(&format!("c:{}", json!({ "type": "subscribe", "channel": other_session }))).await;
    let bytes = pdf(2 * PART_BYTES + 1_000);
    let file = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &bytes).await;
    let other_file = client.register_pdf(&other_session, 100).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);

    let events = socket.take(10).await;
    let part = ["part_uploaded", "upload.part.completed"];
    let last = ["file_completed", "session_finalized", "upload.session.finalized"];
    assert_eq!(kinds(&events), [&["file_registered"][..], &part, &part, &part, &last].concat());
    assert!(events.iter().all(|event| event["sessionId"] == session.as_str()), "{events:?}");
    assert!(events[..8].iter().all(|event| event["fileId"] == file.as_str()), "{events:?}");
    let percent: Vec<&Value> = events.iter().filter_map(|event| event.get("percentComplete")).collect();
    assert_eq!(percent, [33, 66, 100]);
    assert_eq!((&events[8]["metadata"]["mocId"], &events[9]["mocId"]), (&moc["id"], &moc["id"]));
    has_no_more(&pushpin, &events[7], &mut socket).await;

    let registered = other.next().await;
    assert_eq!((&registered["type"], &registered["fileId"]), (&json!("file_registered"), &json!(other_file)));
    has_no_more(&pushpin, &registered, &mut other).await;
    socket.close().await;
    assert_eq!(complaints(&stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn who_comes_back_through_pushpin_finds_what_was_missed_in_the_state() {
    own_stack!();
    let Some((mut pushpin, stack)) = start(GRIP_KEY) else { return };
    let client = stack.client();
    let (session, socket) = watched(&client).await;
    let bytes = pdf(PART_BYTES + 1_000);
    let file = client.register_pdf(&session, bytes.len()).await;
    let parts: Vec<Vec<u8>> = bytes.chunks(PART_BYTES).map(<[u8]>::to_vec).collect();
    let state = async || client.get(&path::session(&session)).await.success(200);
    let watch = async || {
        let ws_url = state().await["wsUrl"].as_str().expect("a wsUrl").to_owned();
        Socket::connect(&ws_url).await.expect("a fresh token is good")
    };

    // One who leaves, and one whose connection Pushpin loses.
    socket.close().await;
    let socket = watch().await;
    pushpin.restart();
    socket.ended().await;

    let _ = client.put_part(&session, &file, 1, parts[0].clone()).await.success(200);
    let mut socket = watch().await;
    assert_eq!(state().await["files"][0]["partsCompleted"], 1);
    // Events are lost while Pushpin subscribes the connection, and in the pause after one that it did not take.
    let event = wait_for("the event of a part", Duration::from_secs(20), async || {
        let _ = client.put_part(&session, &file, 2, parts[1].clone()).await.success(200);
        timeout(Duration::from_secs(1), socket.next()).await.ok()
    })
    .await;
    assert_eq!((&event["type"], &event["progress"]["partsCompleted"]), (&json!("part_uploaded"), &json!(2)));
}

#[tokio::test]
async fn pushpin_lets_in_who_has_the_token_of_the_session() {
    own_stack!();
    let Some((pushpin, stack)) = start(GRIP_KEY) else { return };
    let client = stack.client();
    let (session, ws_url) = create(&client).await;
    let (_, other_url) = create(&client).await;
    let (address, own) = ws_url.split_once("?token=").expect("a token");
    let (_, foreign) = other_url.split_once("?token=").expect("a token");
    let claims = |changes: Value| {
        let (issued, ends) = (token::now(), token::now() + 60);
        let mut claims = json!({
            "sub": "dev-user", "sessionId": session, "aud": "moc-uploads-progress", "iat": issued, "exp": ends,
        });
        for (name, value) in changes.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims
    };
    let sign = |changes: Value| token::hs256(TOKEN_SECRET, &claims(changes));
    let (signed, _) = own.rsplit_once('.').expect("a signature");
    let tokens = [
        ("right", own.to_owned(), true),
        ("signed with the secret", sign(json!({})), true),
        ("wrong", "a.b.c".into(), false),
        ("unsigned", format!("{signed}."), false),
        ("of another secret", token::hs256("a-secret-that-nobody-has-configured", &claims(json!({}))), false),
        ("of Pushpin's key", token::hs256(GRIP_KEY, &claims(json!({}))), false),
        ("expired", sign(json!({ "exp": token::now() - 1 })), false),
        ("foreign", foreign.to_owned(), false),
        ("for the API", sign(json!({ "aud": "moc-uploads" })), false),
        ("empty", String::new(), false),
    ];
    let (mut let_in, mut kept_out) = (0, 0);
    for (name, token, expected) in tokens {
        match (Socket::connect(&format!("{address}?token={token}")).await.err(), expected) {
            (None, true) => let_in += 1,
            (Some(403), false) => kept_out += 1,
            (rejected, _) => panic!("{name}: {rejected:?}"),
        }
    }
    assert_eq!(Socket::connect(address).await.err(), Some(403), "without a token");
    assert_eq!((let_in, kept_out), (2, 8));

    // By its other path as well.
    let sessions_path = format!("ws{}{}/watch", &pushpin.origin()["http".len()..], path::session(&session));
    let mut socket = Socket::connect(&format!("{sessions_path}?token={own}")).await.expect("the same token is good");
    assert_eq!(Socket::connect(&format!("{sessions_path}?token={foreign}")).await.err(), Some(403));
    let _ = client.register_pdf(&session, 100).await;
    assert_eq!(socket.next().await["type"], "file_registered");
    for secret in [own, foreign, GRIP_KEY, "token="] {
        assert!(!stack.log().contains(secret), "{}", stack.log());
    }
}

/// Whoever reaches the application past Pushpin cannot pretend to be it.
#[tokio::test]
async fn requests_that_pushpin_has_not_signed_are_rejected() {
    own_stack!();
    let Some((_pushpin, stack)) = start("another-key-than-the-application-has") else { return };
    let client = stack.client();
    let (session, ws_url) = create(&client).await;
    assert_eq!(Socket::connect(&ws_url).await.err(), Some(403), "another key");

    let (_, watch) = ws_url.split_once("/api/").expect("a path");
    let open = async |signature: Option<&str>| -> Response {
        let request = client.request(Method::POST, &format!("/api/{watch}")).header("content-type", EVENTS);
        let request = match signature {
            Some(signature) => request.header(SIGNATURE, signature),
            None => request,
        };
        client.send(request.body("OPEN\r\n")).await
    };
    let claims = |ends: u64| json!({ "iss": "pushpin", "exp": ends });
    let soon = token::now() + 60;
    let forged = [
        None,
        Some(String::new()),
        Some("a.b.c".into()),
        Some(token::hs256("another-key-than-the-application-has", &claims(soon))),
        Some(token::hs256(TOKEN_SECRET, &claims(soon))),
        Some(token::hs256(GRIP_KEY, &claims(token::now() - 60))),
        Some(token::forged(&json!({ "alg": "none", "typ": "JWT" }), &claims(soon), &[])),
    ];
    for signature in forged {
        let _ = open(signature.as_deref()).await.problem(403, "FORBIDDEN");
    }
    let reply = open(Some(&token::hs256(GRIP_KEY, &claims(soon)))).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(EVENTS)), "{}", reply.text());
    assert!(reply.text().starts_with("OPEN\r\n") && reply.text().contains(&session), "{}", reply.text());
}
