//! Who may watch a session: the route that proxies ask, and that a GRIP proxy sends WebSocket events to.

use moc_tests::{Client, Response, Stack, declared_pdf, own_stack, path, token};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Signs tokens for watching, and users' tokens too: no one is accepted in the place of the other.
const SECRET: &str = "a-secret-for-tokens-of-either-kind";
const GRIP_KEY: &str = "a-key-of-pushpin-that-no-log-may-hold";

fn start() -> Stack {
    Stack::start(&[
        ("auth_bypass", "false"),
        ("jwt_secret", SECRET),
        ("websocket_server_url", "wss://live.example.com"),
        ("websocket_token_secret", SECRET),
        ("pushpin_grip_key", GRIP_KEY),
    ])
}

/// A new session of a user, and the token of its `wsUrl`.
async fn created(stack: &Stack) -> (String, String) {
    let user = token::hs256(SECRET, &token::claims("alice"));
    let client = Client::new(stack.base_url(), Some(&user));
    let reply = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
    let _ = reply.success(201);
    let url = reply.text_of("wsUrl");
    let (_, token) = url.split_once("?token=").expect("a token");
    (reply.text_of("sessionId"), token.to_owned())
}

async fn watch(stack: &Stack, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = Client::new(stack.base_url(), None);
    let request = client.request(Method::GET, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.send(request).await
}

#[tokio::test]
async fn the_token_of_a_session_lets_its_bearer_watch_it_and_nothing_else() {
    own_stack!();
    let stack = start();
    let (session, own) = created(&stack).await;
    let (other, foreign) = created(&stack).await;
    let claims = json!({
        "sub": "alice", "sessionId": session, "aud": "moc-uploads-progress", "exp": token::now() + 60,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        token::hs256(SECRET, &claims)
    };
    let user = token::hs256(SECRET, &token::claims("alice"));
    let rejected = [
        "a.b.c".to_owned(),
        token::hs256("a-secret-that-nobody-has-configured", &claims),
        with("exp", json!(token::now() - 1)),
        with("aud", json!("uploads")),
        foreign,
        user.clone(),
    ];
    for path in [path::watch(&session), path::watch_by_other_path(&session)] {
        let good = format!("{path}?token={own}");
        assert_eq!(watch(&stack, &good, &[]).await.status, 204);
        let original = format!("/live/session/{session}?zone=a&token={own}");
        let asked = [("x-original-uri", original.as_str()), ("accept", "text/event-stream")];
        assert_eq!(watch(&stack, &path, &asked).await.status, 204);
        let elsewhere = format!("/session/{other}?token={own}");
        let _ = watch(&stack, &path, &[("x-original-uri", &elsewhere)]).await.problem(403, "FORBIDDEN");
        for token in &rejected {
            let _ = watch(&stack, &format!("{path}?token={token}"), &[]).await.problem(403, "FORBIDDEN");
        }
        let _ = watch(&stack, &path, &[]).await.problem(403, "FORBIDDEN");
        let bearer = format!("Bearer {own}");
        let _ = watch(&stack, &path, &[("authorization", &bearer)]).await.problem(403, "FORBIDDEN");
        let _ =
            watch(&stack, &path.replace(&session, &Uuid::new_v4().to_string()), &[]).await.problem(403, "FORBIDDEN");
        let _ = watch(&stack, &path.replace(&session, "x"), &[]).await.problem(404, "NOT_FOUND");
    }
    let _ = Client::new(stack.base_url(), Some(&own)).get(&path::session(&session)).await.problem(401, "UNAUTHORIZED");
    let _ = Client::new(stack.base_url(), Some(&user)).get(&path::session(&session)).await.success(200);
    for secret in ["token=", &own, &user, SECRET] {
        assert!(!stack.log().contains(secret), "{}", stack.log());
    }
}

/// Sends the events of a connection, signed by a proxy.
async fn events(stack: &Stack, path: &str, signature: Option<&str>, body: &str) -> Response {
    let client = Client::new(stack.base_url(), None);
    let mut request = client.request(Method::POST, path).header("content-type", "application/websocket-events");
    if let Some(signature) = signature {
        request = request.header("grip-sig", signature);
    }
    client.send(request.body(body.to_owned())).await
}

#[tokio::test]
async fn a_grip_proxy_opens_and_closes_connections() {
    own_stack!();
    let stack = start();
    let (session, own) = created(&stack).await;
    let (_, foreign) = created(&stack).await;
    let signed = |key: &str, seconds: i64| {
        token::hs256(key, &json!({ "iss": "pushpin", "exp": token::now().saturating_add_signed(seconds) }))
    };
    let signature = signed(GRIP_KEY, 3_600);
    for path in [path::watch(&session), path::watch_by_other_path(&session)] {
        let good = format!("{path}?token={own}");
        let opened = events(&stack, &good, Some(&signature), "OPEN\r\n").await;
        assert_eq!((opened.status, opened.header("sec-websocket-extensions")), (200, Some("grip")));
        assert_eq!(opened.header("content-type"), Some("application/websocket-events"));
        let body = opened.text();
        assert!(body.starts_with("OPEN\r\nTEXT "), "{body}");
        assert!(body.contains(&format!(r#"c:{{"type":"subscribe","channel":"{session}"}}"#)), "{body}");

        for (path, signature) in [
            (&good, None),
            (&good, Some(signed("another-key-of-more-than-32-bytes---", 3_600))),
            (&good, Some(signed(GRIP_KEY, -1))),
            (&good, Some(own.clone())),
            (&path, Some(signature.clone())),
            (&format!("{path}?token={foreign}"), Some(signature.clone())),
        ] {
            let _ = events(&stack, path, signature.as_deref(), "OPEN\r\n").await.problem(403, "FORBIDDEN");
        }
        // The token is for connecting.
        let closed = events(&stack, &path, Some(&signature), "TEXT 5\r\nhello\r\nCLOSE\r\n").await;
        assert_eq!((closed.status, closed.text().as_ref()), (200, "CLOSE\r\n"));
        let _ = events(&stack, &good, Some(&signature), "OPEN\n").await.problem(400, "MALFORMED_BODY");
        let _ = events(&stack, &good, Some(&signature), &"x".repeat(300_000)).await.problem(413, "PAYLOAD_TOO_LARGE");
    }
    for secret in [GRIP_KEY, "token=", &own, &signature] {
        assert!(!stack.log().contains(secret), "{}", stack.log());
    }
}

#[tokio::test]
async fn without_a_key_no_proxy_is_believed() {
    own_stack!();
    let path = path::watch(&Uuid::new_v4().to_string());
    let signature = token::hs256("", &json!({ "exp": token::now() + 60 }));
    let _ = events(Stack::shared(), &path, Some(&signature), "OPEN\r\n").await.problem(403, "FORBIDDEN");
}
