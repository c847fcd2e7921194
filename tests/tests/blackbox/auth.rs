//! Authentication: tokens with a shared secret, bypass, and no method at all.

mod jwks;
mod rotation;
mod rules;

use jsonwebtoken::Algorithm;
use moc_tests::raw::Connection;
use moc_tests::token::{self, claims, forged, hs256, now};
use moc_tests::{Response, Stack, assert_response, own_stack, path};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
/// An id that no session, file or MOC has.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn stack() -> &'static Stack {
    Stack::shared_with(&[("jwt_secret", SECRET)])
}

/// Asks for a session that is missing: 404 for whoever has a good token.
async fn ask(stack: &Stack, authorization: &str) -> Response {
    let request = stack.client().request(Method::GET, &path::session(NOBODY));
    stack.client().send(request.header("authorization", authorization)).await
}

#[track_caller]
fn is_rejected(reply: &Response) {
    let _ = reply.problem(401, "UNAUTHORIZED");
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    assert!(challenge == "Bearer" || challenge.starts_with("Bearer error=\"invalid_token\", "), "{challenge}");
}

async fn rejected(stack: &Stack, token: &str, why: &str) {
    let reply = ask(stack, &format!("Bearer {token}")).await;
    assert_eq!(reply.status, 401, "{why}: {}", reply.text());
    is_rejected(&reply);
}

async fn taken(stack: &Stack, token: &str, why: &str) {
    let reply = ask(stack, &format!("Bearer {token}")).await;
    assert_eq!(reply.status, 404, "{why}: {}", reply.text());
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims("alice");
    claims[field] = value;
    claims
}

fn without(field: &str) -> Value {
    let mut claims = claims("alice");
    claims.as_object_mut().expect("an object").remove(field);
    claims
}

#[tokio::test]
async fn the_subject_is_the_user_and_others_see_nothing() {
    own_stack!();
    let alice = stack().client_as(&hs256(SECRET, &claims("alice")));
    let bob = stack().client_as(&hs256(SECRET, &claims("bob")));
    let (session, _) = alice.upload_pdf(2_000).await;
    let _ = bob.get(&path::session(&session)).await.problem(404, "NOT_FOUND");
    let _ = bob.finalize(&session, "Mine").await.problem(404, "NOT_FOUND");
    let moc = alice.finalize(&session, "Mine").await.success(201);
    assert_eq!(moc["userId"], "alice");
    assert!(moc["pdfKey"].as_str().is_some_and(|key| key.starts_with("uploads/alice/")), "{moc}");
    let moc = path::moc(moc["id"].as_str().expect("an id"));
    let _ = alice.get(&moc).await.success(200);
    let _ = bob.get(&moc).await.problem(404, "NOT_FOUND");
    // The token says who asks, not the connection: another token of the same user does as well.
    let again = stack().client_as(&hs256(SECRET, &with("exp", json!(now() + 60))));
    let _ = again.get(&moc).await.success(200);
}

/// A user's id is any text: it reaches neither another user's keys nor a directory above.
async fn keeps_its_place(user: &str) {
    let client = stack().client_as(&hs256(SECRET, &claims(user)));
    let (session, _) = client.upload_pdf(100).await;
    let moc = client.finalize(&session, "Hostile").await.success(201);
    assert_eq!(moc["userId"], user);
    let key = moc["pdfKey"].as_str().expect("a key");
    let segments: Vec<&str> = key.split('/').collect();
    assert_eq!((segments.len(), segments[0], segments[2]), (5, "uploads", session.as_str()), "{key}");
    assert!(!["", ".", "..", "alice"].contains(&segments[1]), "{key}");
    assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte)), "{key}");
    assert!(stack().bucket().get(key).await.is_some(), "{key}");
}

#[tokio::test]
async fn a_hostile_subject_stays_in_its_place() {
    own_stack!();
    for user in ["../../alice", "alice/..", "..", ".", "a b%2f\"<&>", "~", "ünïcode"] {
        keeps_its_place(user).await;
    }
}

#[tokio::test]
async fn a_subject_of_the_greatest_length_is_taken() {
    own_stack!();
    keeps_its_place(&"x".repeat(255)).await;
}

#[tokio::test]
async fn every_route_asks_for_a_token() {
    own_stack!();
    let client = stack().client();
    let routes = [
        (Method::POST, path::SESSIONS.to_owned()),
        (Method::GET, path::session(NOBODY)),
        (Method::DELETE, path::session(NOBODY)),
        (Method::POST, path::files(NOBODY)),
        (Method::DELETE, path::file(NOBODY, NOBODY)),
        (Method::PUT, path::part(NOBODY, NOBODY, 1)),
        (Method::GET, path::parts(NOBODY, NOBODY)),
        (Method::POST, path::complete(NOBODY, NOBODY)),
        (Method::POST, path::FINALIZE.to_owned()),
        (Method::POST, path::SESSIONS_FINALIZE.to_owned()),
        (Method::GET, path::moc(NOBODY)),
        // Which methods a path has is shown to users only.
        (Method::PATCH, path::SESSIONS.to_owned()),
        (Method::GET, path::session("no-id")),
    ];
    for (method, path) in routes {
        let reply = client.send(client.request(method, &path).body("{}")).await;
        is_rejected(&reply);
        assert_response!("no_token", reply_without_path(reply));
    }
    let _ = client.get("/nowhere").await.problem(404, "NOT_FOUND");
}

fn reply_without_path(mut reply: Response) -> Response {
    let body = reply.text().replace(&reply.path, "[path]");
    let request_id = reply.text_of("requestId");
    (reply.method, reply.path) = ("[method]".to_owned(), "[path]".to_owned());
    reply.bytes = body.replace(&request_id, "[request]").into_bytes();
    reply
}

#[tokio::test]
async fn the_scheme_is_read_as_rfc_9110_has_it() {
    own_stack!();
    let good = hs256(SECRET, &claims("alice"));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(ask(stack(), &format!("{scheme} {good}")).await.status, 404, "{scheme}");
    }
    assert_eq!(ask(stack(), &format!("Bearer   {good}")).await.status, 404, "more than one space");
    let short = &good[..good.len() - 4];
    for authorization in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        good.clone(),
        format!("Bearer{good}"),
        format!("Token {good}"),
        format!("Basic {good}"),
        format!("Bearer \"{good}\""),
        format!("Bearer {good},"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good},Bearer {good}"),
        format!("Bearer {good} {good}"),
        format!("Bearer {short}"),
        format!("Bearer {good}AAAA"),
        format!("Bearer .{good}"),
        "Bearer garbage".into(),
        "Bearer ..".into(),
        "Bearer a.b.c".into(),
        "Bearer {}.{}.{}".into(),
    ] {
        let reply = ask(stack(), &authorization).await;
        assert_eq!(reply.status, 401, "{authorization}: {}", reply.text());
        is_rejected(&reply);
    }
}

#[tokio::test]
async fn only_hs256_with_the_secret_is_taken() {
    own_stack!();
    let claims = claims("alice");
    let good = hs256(SECRET, &claims);
    taken(stack(), &good, "a good token").await;
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = token::hmac(algorithm, SECRET.as_bytes(), &claims);
        rejected(stack(), &token, &format!("{algorithm:?} with the secret")).await;
    }
    for secret in ["", "wrong", &SECRET[..SECRET.len() - 1]] {
        rejected(stack(), &hs256(secret, &claims), "another secret").await;
    }
    rejected(stack(), &token::rs256(None, &claims), "RS256").await;
    rejected(stack(), &token::es256(0, None, &claims), "ES256").await;

    let parts: Vec<&str> = good.split('.').collect();
    let signature = "of no meaning".as_bytes();
    for algorithm in ["none", "None", "NONE", "nOnE", "", "HS256 ", "hs256", "HS1", "EdDSA", "PS256"] {
        for signature in [&[][..], signature] {
            let token = forged(&json!({ "alg": algorithm, "typ": "JWT" }), &claims, signature);
            rejected(stack(), &token, algorithm).await;
        }
        // The claims and the signature of a good token, under another header.
        let header = forged(&json!({ "alg": algorithm, "typ": "JWT" }), &claims, &[]);
        let header = header.split('.').next().unwrap_or_default();
        rejected(stack(), &format!("{header}.{}.{}", parts[1], parts[2]), algorithm).await;
    }
    for header in [json!({}), json!({ "typ": "JWT" }), json!({ "alg": null }), json!([]), json!("HS256")] {
        rejected(stack(), &forged(&header, &claims, signature), &header.to_string()).await;
    }
    let other = hs256(SECRET, &token::claims("mallory"));
    let other: Vec<&str> = other.split('.').collect();
    rejected(stack(), &format!("{}.{}.{}", parts[0], other[1], parts[2]), "another's claims").await;
    rejected(stack(), &format!("{}.{}.", parts[0], parts[1]), "no signature").await;
    rejected(stack(), &format!("{}.{}", parts[0], parts[1]), "two parts").await;
}

/// RFC 7515, section 4.1.11: what `crit` names must be understood.
#[tokio::test]
async fn a_header_that_demands_more_is_rejected() {
    own_stack!();
    let token = token::hs256_with_header(SECRET, json!({ "crit": ["urgent"], "urgent": true }), &claims("alice"));
    rejected(stack(), &token, "crit").await;
    // What it does not demand is skipped: a key that comes along is no key of ours.
    let token = token::hs256_with_header(SECRET, json!({ "kid": "x", "jku": "http://example.com" }), &claims("alice"));
    taken(stack(), &token, "kid and jku").await;
}

#[tokio::test]
async fn claims_are_checked() {
    own_stack!();
    let now = now();
    for (claims, why) in [
        (with("exp", json!(now - 120)), "expired"),
        (with("exp", json!(0)), "expired in 1970"),
        (with("exp", json!(-1)), "expired before 1970"),
        (with("exp", json!("tomorrow")), "an exp that is no number"),
        (with("exp", json!(null)), "an exp of null"),
        (without("exp"), "no exp"),
        (with("nbf", json!(now + 120)), "not yet valid"),
        (with("iat", json!(now + 120)), "issued in the future"),
        (with("iat", json!("now")), "an iat that is no number"),
        (with("sub", json!("")), "an empty sub"),
        (with("sub", json!("x".repeat(256))), "a sub that is too long"),
        (with("sub", json!("a\nb")), "a sub with a line feed"),
        (with("sub", json!("a\u{0}b")), "a sub with a zero"),
        (with("sub", json!(7)), "a sub that is a number"),
        (with("sub", json!(["alice"])), "a sub that is a list"),
        (without("sub"), "no sub"),
        (json!([]), "claims that are a list"),
        (json!({}), "no claims"),
    ] {
        rejected(stack(), &hs256(SECRET, &claims), why).await;
    }
    for (claims, why) in [
        (with("exp", json!(now + 86_400 * 365 * 50)), "a long life"),
        (with("exp", json!(now as f64 + 60.5)), "half a second (RFC 7519, section 2)"),
        (with("nbf", json!(now - 60)), "valid since a minute"),
        (with("exp", json!(now - 30)), "expired, by the clock of an issuer that is behind"),
        (with("nbf", json!(now + 45)), "not yet valid, by the clock of an issuer that is ahead"),
        (with("iat", json!(now + 45)), "issued in the future, by the clock of an issuer that is ahead"),
        (with("aud", json!("anybody")), "an audience where none is configured"),
        (with("iss", json!("anybody")), "an issuer where none is configured"),
        (with("name", json!("Alice")), "more than is needed"),
    ] {
        taken(stack(), &hs256(SECRET, &claims), why).await;
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_configured() {
    own_stack!();
    let stack =
        Stack::start(&[("jwt_secret", SECRET), ("jwt_issuer", "https://id.test/"), ("jwt_audience", "uploads")]);
    let good = json!({ "sub": "alice", "exp": now() + 60, "iss": "https://id.test/", "aud": "uploads" });
    let changed = |field: &str, value: Option<Value>| {
        let mut claims = good.clone();
        match value {
            Some(value) => claims[field] = value,
            None => claims.as_object_mut().map_or((), |claims| drop(claims.remove(field))),
        }
        hs256(SECRET, &claims)
    };
    taken(&stack, &hs256(SECRET, &good), "as configured").await;
    taken(&stack, &changed("aud", Some(json!(["other", "uploads"]))), "one of several audiences").await;
    for (field, value) in [
        ("aud", Some(json!("other"))),
        ("aud", Some(json!(["other"]))),
        ("aud", Some(json!([]))),
        ("aud", Some(json!("uploads "))),
        ("aud", Some(json!(null))),
        ("aud", None),
        ("iss", Some(json!("https://id.test"))),
        ("iss", Some(json!("https://evil.test/"))),
        ("iss", Some(json!(null))),
        ("iss", None),
    ] {
        rejected(&stack, &changed(field, value.clone()), &format!("{field}: {value:?}")).await;
    }
}

#[tokio::test]
async fn a_huge_token_is_rejected_and_harms_nobody() {
    own_stack!();
    let long = hs256(SECRET, &with("padding", json!("x".repeat(9 * 1024))));
    rejected(stack(), &long, "9 KiB").await;
    let padded = hs256(SECRET, &with("padding", json!("x".repeat(5 * 1024))));
    assert!(padded.len() < 8 * 1024);
    taken(stack(), &padded, "below 8 KiB").await;
    // More than the listener reads of a head: it says so, or just closes.
    let huge = format!("Bearer {}", "x".repeat(2 << 20));
    let client = stack().client();
    let request = client.request(Method::GET, &path::session(NOBODY)).header("authorization", &huge);
    if let Ok(reply) = client.try_send(request).await {
        assert!(matches!(reply.status, 401 | 431), "{}", reply.status);
    }
    taken(stack(), &hs256(SECRET, &claims("alice")), "after the huge one").await;
}

#[tokio::test]
async fn only_one_authorization_header_is_accepted() {
    own_stack!();
    let good = format!("Bearer {}", hs256(SECRET, &claims("alice")));
    let bad = format!("Bearer {}", hs256("wrong", &claims("alice")));
    for pair in [[&good, &good], [&good, &bad], [&bad, &good], [&bad, &bad]] {
        let headers = pair.map(|value| ("Authorization", value.as_str()));
        let reply = Connection::start(stack().base_url(), "GET", &path::session(NOBODY), &headers).await.reply().await;
        is_rejected(&reply);
    }
    let not_ascii = [("Authorization", "Bearer \u{e9}"), ("Authorization", good.as_str())];
    for headers in [&not_ascii[..1], &not_ascii] {
        let reply = Connection::start(stack().base_url(), "GET", &path::session(NOBODY), headers).await.reply().await;
        is_rejected(&reply);
    }
}

#[tokio::test]
async fn where_nothing_is_configured_nobody_gets_in() {
    own_stack!();
    let stack = Stack::start(&[("auth_bypass", "false")]);
    is_rejected(&stack.client().get(&path::session(NOBODY)).await);
    for token in [hs256("", &claims("alice")), forged(&json!({ "alg": "none" }), &claims("dev-user"), &[])] {
        rejected(&stack, &token, "nothing is configured").await;
    }
    let warning = stack.logged("\"warn\"").await;
    assert!(warning.contains("jwt_secret") && warning.contains("jwt_jwks_url"), "{warning}");
}

#[tokio::test]
async fn a_weak_secret_lets_nobody_in_and_is_an_error_line() {
    own_stack!();
    for weak in ["CHANGE-ME", "0123456789abcdef0123456789abcde", "change-me-to-something-of-32-bytes-or-more"] {
        let stack = Stack::start(&[("jwt_secret", weak)]);
        rejected(&stack, &hs256(weak, &claims("alice")), weak).await;
        let line = stack.logged("\"error\"").await;
        assert!(line.contains("jwt_secret") && !stack.log().contains(weak), "{line}");
    }
    let least = "0123456789abcdef0123456789abcdef";
    taken(&Stack::start(&[("jwt_secret", least)]), &hs256(least, &claims("alice")), "32 bytes").await;
}

#[tokio::test]
async fn bypass_takes_everyone_for_one_user_and_warns() {
    own_stack!();
    let stack = Stack::start(&[("auth_bypass", "true"), ("dev_user_sub", "somebody")]);
    let (session, _) = stack.client().upload_pdf(100).await;
    let moc = stack.client_as("garbage").finalize(&session, "Bypassed").await.success(201);
    assert_eq!(moc["userId"], "somebody");
    let warning = stack.logged("auth_bypass").await;
    assert!(warning.contains("somebody"), "{warning}");
}
