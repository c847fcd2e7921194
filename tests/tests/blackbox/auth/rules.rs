//! What the variables demand of tokens, and what a client gets to know of a rejected one.

use moc_tests::token::{claims, hs256, now};
use moc_tests::{Stack, own_stack, path};
use serde_json::{Value, json};

use super::{NOBODY, SECRET, ask, rejected, taken};

fn with(fields: &[(&str, Value)]) -> String {
    let mut claims = claims("alice");
    for (name, value) in fields {
        claims[*name] = value.clone();
    }
    hs256(SECRET, &claims)
}

#[tokio::test]
async fn a_rejected_token_has_its_reason_for_client_and_log() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret", SECRET)]);
    for (token, reason) in [
        (with(&[("exp", json!(now() - 120))]), "The token has expired."),
        (with(&[("nbf", json!(now() + 120))]), "The token is not valid yet."),
        (with(&[("sub", json!(7))]), "The token has no valid user id."),
        (hs256("another secret", &claims("alice")), "The signature of the token is not valid."),
        ("a.b.c".to_owned(), "The token is malformed."),
    ] {
        let reply = ask(&stack, &format!("Bearer {token}")).await;
        let problem = reply.problem(401, "UNAUTHORIZED");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with(reason)), "{problem}");
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{reason}""#);
        assert_eq!(reply.header("www-authenticate"), Some(challenge.as_str()));
        let line = stack.logged(&format!(r#""cause":"{reason}""#)).await;
        assert!(line.contains(r#""level":"info""#), "{line}");
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(signature.len() < 10 || !stack.log().contains(signature), "the token is in the log");
    }
}

#[tokio::test]
async fn several_issuers_and_audiences_are_accepted() {
    own_stack!();
    let stack = Stack::start(&[
        ("jwt_secret", SECRET),
        ("jwt_issuer", "https://old.test/, https://new.test"),
        ("jwt_audience", "uploads,api://uploads"),
    ]);
    for issuer in ["https://old.test/", "https://new.test"] {
        for audience in [json!("uploads"), json!("api://uploads"), json!(["other", "api://uploads"])] {
            let token = with(&[("iss", json!(issuer)), ("aud", audience.clone())]);
            taken(&stack, &token, &format!("{issuer} {audience}")).await;
        }
    }
    for (issuer, audience) in [
        ("https://old.test", "uploads"),
        ("https://old.test/, https://new.test", "uploads"),
        ("", "uploads"),
        ("https://new.test", "uploads,api://uploads"),
        ("https://new.test", ""),
    ] {
        let token = with(&[("iss", json!(issuer)), ("aud", json!(audience))]);
        rejected(&stack, &token, &format!("{issuer:?} {audience:?}")).await;
    }
}

#[tokio::test]
async fn the_leeway_is_configured() {
    own_stack!();
    let strict = Stack::start(&[("jwt_secret", SECRET), ("jwt_leeway_seconds", "0")]);
    let lenient = Stack::start(&[("jwt_secret", SECRET), ("jwt_leeway_seconds", "600")]);
    for (name, value) in [("exp", now() - 30), ("nbf", now() + 30), ("iat", now() + 30)] {
        let token = with(&[(name, json!(value))]);
        rejected(&strict, &token, name).await;
        taken(&lenient, &token, name).await;
    }
    rejected(&lenient, &with(&[("exp", json!(now() - 660))]), "beyond the leeway").await;
}

#[tokio::test]
async fn the_user_comes_from_the_configured_claim() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret", SECRET), ("jwt_user_claim", "https://example.com/uid")]);
    let token = with(&[("https://example.com/uid", json!("user-7"))]);
    let client = stack.client_as(&token);
    let (session, _) = client.upload_pdf(100).await;
    let moc = client.finalize(&session, "By another claim").await.success(201);
    assert_eq!(moc["userId"], "user-7");
    for value in [json!(null), json!(""), json!(7), json!("x".repeat(256))] {
        rejected(&stack, &with(&[("https://example.com/uid", value.clone())]), &value.to_string()).await;
    }
}

#[tokio::test]
async fn required_scopes_are_named_to_whom_they_lack() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret", SECRET), ("jwt_required_scope", "uploads:write mocs:write")]);
    for (name, value) in [
        ("scope", json!("openid uploads:write mocs:write")),
        ("scp", json!("mocs:write uploads:write")),
        ("scp", json!(["uploads:write", "mocs:write"])),
    ] {
        taken(&stack, &with(&[(name, value.clone())]), &value.to_string()).await;
    }
    for fields in [vec![], vec![("scope", json!("uploads:write"))], vec![("scp", json!(["mocs:write"]))]] {
        let reply = stack.client_as(&with(&fields)).get(&path::session(NOBODY)).await;
        let problem = reply.problem(401, "UNAUTHORIZED");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("uploads:write")), "{problem}");
        let challenge = r#"Bearer error="insufficient_scope", scope="uploads:write mocs:write""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
    }
    // Whoever has not signed in gets no such hint.
    rejected(&stack, &hs256("another secret", &claims("alice")), "another secret").await;
}
