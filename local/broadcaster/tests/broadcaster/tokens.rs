//! Who becomes a client.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    KEY, SECRET, SESSION, Settings, ask, claims, connect, seconds_from_now, settings, sign, start, token, try_connect,
};

fn changed(name: &str, value: Value) -> String {
    let mut claims = claims(SESSION);
    claims[name] = value;
    sign(Algorithm::HS256, SECRET, &claims)
}

fn without(name: &str) -> String {
    let mut claims = claims(SESSION);
    claims.as_object_mut().unwrap().remove(name);
    sign(Algorithm::HS256, SECRET, &claims)
}

#[tokio::test]
async fn no_good_token_is_401() {
    let address = start(settings()).await;
    let good = token(SESSION);
    let (signed, _) = good.rsplit_once('.').unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    let cases = [
        ("empty", String::new()),
        ("no token", "token".into()),
        ("signature truncated", format!("{signed}.")),
        ("alg none", unsigned),
        ("other secret", sign(Algorithm::HS256, "other", &claims(SESSION))),
        ("HS384", sign(Algorithm::HS384, SECRET, &claims(SESSION))),
        ("HS512", sign(Algorithm::HS512, SECRET, &claims(SESSION))),
        ("expired a second ago", changed("exp", json!(seconds_from_now(-1)))),
        ("expires this second", changed("exp", json!(seconds_from_now(0)))),
        ("exp is text", changed("exp", json!("tomorrow"))),
        ("no exp", without("exp")),
        ("other audience", changed("aud", json!("moc-uploads"))),
        ("no audience", without("aud")),
        ("no session", without("sessionId")),
    ];
    for (case, token) in cases {
        assert_eq!(try_connect(address, SESSION, &format!("?token={token}")).await.err(), Some(401), "{case}");
    }
    for query in ["", "?", "?Token=x", "?token=a&token=b", "?token=%ff"] {
        assert_eq!(try_connect(address, SESSION, query).await.err(), Some(401), "{query:?}");
    }
    assert!(try_connect(address, SESSION, &format!("?token={good}")).await.is_ok());
}

#[tokio::test]
async fn another_sessions_token_is_403() {
    let address = start(settings()).await;
    let query = format!("?token={}", token("other"));
    assert_eq!(try_connect(address, SESSION, &query).await.err(), Some(403));
    assert!(try_connect(address, "other", &query).await.is_ok());
}

#[tokio::test]
async fn the_token_comes_before_everything_else() {
    let address = start(settings()).await;
    let path = format!("/session/{SESSION}");
    let rejected = ask(address, "GET", &path, "", b"").await;
    assert_eq!(rejected.status, 401);
    rejected.problem();
    assert!(rejected.head.contains("www-authenticate: bearer\r\n"), "{}", rejected.head);
    let foreign = ask(address, "GET", &format!("{path}?token={}", token("other")), "", b"").await;
    assert_eq!(foreign.problem()["status"], 403);
    let plain = ask(address, "GET", &format!("{path}?token={}", token(SESSION)), "", b"").await;
    assert!(matches!(plain.status, 400 | 426), "{}", plain.status);
}

#[tokio::test]
async fn the_previous_secret_verifies_while_it_is_configured() {
    let signed_with = |secret| format!("?token={}", sign(Algorithm::HS256, secret, &claims(SESSION)));
    for (current, previous, accepted) in
        [("old", "", &["old"][..]), ("new", "old", &["new", "old"]), ("new", "", &["new"]), ("", "old", &["old"])]
    {
        let mut settings = Settings::new(KEY.into(), current.into());
        settings.previous_token_secret = previous.into();
        let address = start(settings).await;
        for secret in ["old", "new", ""] {
            let status = try_connect(address, SESSION, &signed_with(secret)).await.err();
            let expected = if accepted.contains(&secret) { None } else { Some(401) };
            assert_eq!(status, expected, "{secret:?} with {current:?} and {previous:?}");
        }
    }
}

#[tokio::test]
async fn without_a_secret_no_token_is_good() {
    let mut settings = settings();
    settings.token_secret = String::new();
    let address = start(settings).await;
    let token = sign(Algorithm::HS256, "", &claims(SESSION));
    assert_eq!(try_connect(address, SESSION, &format!("?token={token}")).await.err(), Some(401));
}

#[tokio::test]
async fn other_paths_and_methods_are_problems() {
    let address = start(settings()).await;
    assert_eq!(ask(address, "GET", "/", "", b"").await.problem()["status"], 404);
    let response = ask(address, "GET", "/ws/broadcast", "", b"").await;
    assert_eq!(response.problem()["status"], 405);
    assert!(response.head.contains("allow: post\r\n"), "{}", response.head);
}

#[tokio::test]
async fn a_tokens_end_does_not_end_the_connection() {
    let address = start(settings()).await;
    let token = changed("exp", json!(seconds_from_now(2)));
    let mut client = try_connect(address, SESSION, &format!("?token={token}")).await.unwrap();
    let mut other = connect(address, SESSION).await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(try_connect(address, SESSION, &format!("?token={token}")).await.err(), Some(401));
    crate::publish(address, SESSION, &[json!({"n": 1})]).await;
    assert_eq!(crate::text(&mut client).await, r#"{"n":1}"#);
    assert_eq!(crate::text(&mut other).await, r#"{"n":1}"#);
}
