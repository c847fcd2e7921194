//! A broadcaster that is not ours: nginx with nchan and `deploy/nginx.conf`, between the relay and a WebSocket client.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::nginx::{Addresses, Nginx};
use moc_tests::socket::Socket;
use moc_tests::{Client, Stack, declared_pdf, own_stack, path, token, unique_title};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATIENT_MS, TOKEN_SECRET, complaints};

/// Another secret that tokens are accepted of, while the first one is rotated.
const PREVIOUS_SECRET: &str = "the-secret-before-of-tokens-to-watch";

/// A stack whose broadcaster is this nginx; `None`, with a word of it, if there is no nginx.
fn start() -> Option<(Nginx, Stack)> {
    if !Nginx::is_installed() {
        use std::io::Write as _;
        // Not `eprintln!`, which a test that passes does not show.
        let _ = writeln!(std::io::stderr(), "skipped: needs nginx with nchan: {}", file!());
        return None;
    }
    let addresses = Addresses::reserve();
    let stack = Stack::start(&[
        ("websocket_api_url", &format!("{}/publish", addresses.publisher())),
        ("websocket_api_origin", &addresses.publisher()),
        ("websocket_broadcast_format", "nchan"),
        ("websocket_emit_timeout_ms", PATIENT_MS),
        ("websocket_server_url", &addresses.server_url()),
        ("websocket_token_secret", TOKEN_SECRET),
        ("websocket_token_secret_previous", PREVIOUS_SECRET),
    ]);
    let nginx = Nginx::start(addresses, stack.base_url());
    Some((nginx, stack))
}

/// Creates a session and watches it.
async fn watched(stack: &Stack) -> (String, Socket) {
    let reply = stack.client().post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    let socket = Socket::connect(&reply.text_of("wsUrl")).await.expect("nginx takes the client");
    (reply.text_of("sessionId"), socket)
}

/// Nothing has come for this session but what was received: this event of it, published once more, comes next.
async fn has_no_more(nginx: &Nginx, event: &Value, socket: &mut Socket) {
    let url = format!("{}/publish?id={}", nginx.publisher(), event["sessionId"].as_str().expect("an id"));
    let published = reqwest::Client::new().post(url).body(event.to_string()).send().await;
    assert!(published.expect("a response").status().is_success());
    assert_eq!(socket.next().await, *event);
}

#[tokio::test]
async fn nginx_with_nchan_gives_events_to_those_who_watch() {
    own_stack!();
    let Some((nginx, stack)) = start() else { return };
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
    has_no_more(&nginx, &events[7], &mut socket).await;
    has_no_more(&nginx, &created, &mut other).await;
    assert_eq!(complaints(&stack).await, Vec::<String>::new());
}

/// The tokens that nginx is shown for one session: the name of each, and whether it lets its bearer in.
fn tokens(session: &str, own: &str, foreign: &str) -> Vec<(&'static str, String, bool)> {
    let claims = json!({
        "sub": "dev-user", "sessionId": session, "aud": "moc-uploads-progress", "exp": token::now() + 60,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        token::hs256(TOKEN_SECRET, &claims)
    };
    let (signed, _) = own.rsplit_once('.').expect("a token");
    let users = json!({ "sub": "dev-user", "exp": token::now() + 60, "sessionId": session });
    vec![
        ("right", own.to_owned(), true),
        ("of the previous secret", token::hs256(PREVIOUS_SECRET, &claims), true),
        ("wrong", "a.b.c".into(), false),
        ("unsigned", format!("{signed}."), false),
        ("of an unknown secret", token::hs256("a-secret-that-nobody-has-configured", &claims), false),
        ("expired", with("exp", json!(token::now() - 1)), false),
        ("without an end", with("exp", Value::Null), false),
        ("foreign", foreign.to_owned(), false),
        ("for the API", token::hs256(TOKEN_SECRET, &users), false),
        ("for something else", with("aud", json!("something else")), false),
        ("empty", String::new(), false),
        ("twice", format!("{own}&token={own}"), false),
    ]
}

#[tokio::test]
async fn nginx_lets_in_who_has_the_token_of_the_session() {
    own_stack!();
    let Some((nginx, stack)) = start() else { return };
    let client = stack.client();
    let created = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let other = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let [own, foreign] = [&created, &other].map(|reply| {
        let url = reply.text_of("wsUrl");
        url.split_once("?token=").expect("a token").1.to_owned()
    });
    let session = created.text_of("sessionId");
    let url = format!("{}/session/{session}", nginx.server_url());
    let (mut let_in, mut kept_out) = (0, 0);
    for (name, token, expected) in tokens(&session, &own, &foreign) {
        let connected = Socket::connect(&format!("{url}?token={token}")).await;
        match (connected, expected) {
            (Ok(mut socket), true) => {
                assert_eq!(socket.next().await["type"], "session_created", "{name}");
                let_in += 1;
            }
            (Err(403), false) => kept_out += 1,
            (connected, _) => panic!("{name}: {:?}", connected.err()),
        }
    }
    assert_eq!(Socket::connect(&url).await.err(), Some(403), "without a token");
    assert_eq!((let_in, kept_out), (2, 10));

    // nchan's server-sent events.
    let events = |token: &str| {
        let url = format!("{}/session/{session}?token={token}", nginx.origin());
        reqwest::Client::new().get(url).header("accept", "text/event-stream").send()
    };
    assert_eq!(events(&own).await.expect("a response").status(), 200);
    assert_eq!(events(&foreign).await.expect("a response").status(), 403);

    // A session that does not exist has no tokens, and nobody publishes from outside.
    let nowhere = format!("{}/session/{}?token={own}", nginx.server_url(), Uuid::new_v4());
    assert_eq!(Socket::connect(&nowhere).await.err(), Some(403));
    let outside = Client::new(&nginx.origin(), None);
    for path in [format!("/publish?id={session}"), format!("/watch?token={own}")] {
        assert_eq!(outside.post(&path, &json!({})).await.status, 404, "{path}");
    }
    for shown in [stack.log(), nginx.logs()] {
        for secret in ["token=", &own, &foreign] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
