//! Who may watch a session: whoever has a token that is for it.

use jsonwebtoken::Algorithm;
use moc_tests::socket::Socket;
use moc_tests::token::{forged, hmac, hs256, now};
use moc_tests::{Stack, own_stack};
use serde_json::{Value, json};

use super::{TOKEN_SECRET, create, shared};

/// The claims of a good token.
fn claims(session: &str) -> Value {
    json!({
        "sub": "dev-user", "sessionId": session, "aud": "moc-uploads-progress", "iat": now(), "exp": now() + 300,
    })
}

/// Those claims with other values; `null` leaves one out.
fn with(session: &str, others: &Value) -> Value {
    let mut claims = claims(session);
    for (name, value) in others.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("claims").retain(|_, value| !value.is_null());
    claims
}

#[tokio::test]
async fn a_good_token_is_let_in_and_no_other() {
    own_stack!();
    let client = shared().client();
    let (session, ws_url) = create(&client).await;
    let (other_session, other_url) = create(&client).await;
    let (address, own) = ws_url.split_once("?token=").expect("a token");
    let (_, others) = other_url.split_once("?token=").expect("a token");
    let connect = async |token: &str| Socket::connect(&format!("{address}?token={token}")).await.err();
    let sign = |others: Value| hs256(TOKEN_SECRET, &with(&session, &others));

    let mut socket = Socket::connect(&ws_url).await.expect("its own token is good");
    assert_eq!(connect(&sign(json!({}))).await, None, "what is signed with the secret is good");
    assert_eq!(connect(&sign(json!({ "aud": ["other", "moc-uploads-progress"] }))).await, None);

    assert_eq!(Socket::connect(address).await.err(), Some(401), "no token");
    let alike = json!({ "alg": "HS256", "typ": "JWT" });
    let unsigned = json!({ "alg": "none", "typ": "JWT" });
    let cut = own.rsplit_once('.').expect("a signature").0;
    for (what, token) in [
        ("an empty one", String::new()),
        ("no token at all", "malformed".to_owned()),
        ("of another secret", hs256("another-secret-of-the-same-kind", &claims(&session))),
        ("of an empty secret", hs256("", &claims(&session))),
        ("of another algorithm", hmac(Algorithm::HS512, TOKEN_SECRET.as_bytes(), &claims(&session))),
        ("unsigned", forged(&unsigned, &claims(&session), &[])),
        ("without its signature", cut.to_owned()),
        ("with an empty signature", format!("{cut}.")),
        ("with a made up signature", forged(&alike, &claims(&session), &[7; 32])),
        ("over", sign(json!({ "exp": now() - 1 }))),
        ("long over", sign(json!({ "exp": 1 }))),
        ("without end", sign(json!({ "exp": null }))),
        ("for nobody", sign(json!({ "aud": null }))),
        ("for somebody else", sign(json!({ "aud": "moc-uploads" }))),
        ("for no session", sign(json!({ "sessionId": null }))),
    ] {
        assert_eq!(connect(&token).await, Some(401), "{what}: {token}");
    }
    for (what, token) in [
        ("of another session", others.to_owned()),
        ("for another session", sign(json!({ "sessionId": other_session }))),
        ("for more than the session", sign(json!({ "sessionId": format!("{session}/") }))),
        ("for the session by another name", sign(json!({ "sessionId": session.to_uppercase() }))),
    ] {
        assert_eq!(connect(&token).await, Some(403), "{what}: {token}");
    }

    // All of that disturbs nobody.
    let _ = client.register_pdf(&session, 100).await;
    assert_eq!(socket.next().await["type"], "file_registered");
    socket.has_no_more().await;
}

/// Each step is another host with its broadcaster. Tokens are signed with the current secret alone.
#[tokio::test]
async fn the_secret_is_rotated_step_by_step() {
    own_stack!();
    const OLD: &str = "an-old-secret-of-tokens-for-watching";
    const NEW: &str = "a-new-secret-of-tokens-for-watching!";
    let name = "websocket_token_secret";
    let before = Stack::start(&[(name, OLD)]);
    let during = Stack::start(&[(name, NEW), ("websocket_token_secret_previous", OLD)]);
    let after = Stack::start(&[(name, NEW)]);
    let (session, old_url) = create(&before.client()).await;
    let old_token = old_url.split_once("?token=").expect("a token").1.to_owned();
    assert_eq!(Socket::connect(&old_url).await.err(), None);

    for (stack, old_is_good) in [(&during, true), (&after, false)] {
        let (own_session, url) = create(&stack.client()).await;
        let (address, token) = url.split_once("?token=").expect("a token");
        assert_eq!(Socket::connect(&url).await.err(), None, "a token of the new secret");
        let address = address.replace(&own_session, &session);
        let with_old = Socket::connect(&format!("{address}?token={old_token}")).await.err();
        assert_eq!(with_old, if old_is_good { None } else { Some(401) });
        // What signs tokens is the new secret: the old broadcaster does not know it.
        let old_address = old_url.split_once("/session/").expect("an address").0;
        let at_old = Socket::connect(&format!("{old_address}/session/{own_session}?token={token}")).await.err();
        assert_eq!(at_old, Some(401));
    }
}
