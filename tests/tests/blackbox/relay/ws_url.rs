//! `wsUrl`: where a session can be watched, and the token that allows it.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moc_tests::{Client, Stack, declared_pdf, own_database, own_stack, path, token, unique_title};
use serde_json::{Value, json};

use super::{TOKEN_SECRET, complaints, warnings};

const SERVER: &str = "wss://live.example/progress";

/// A stack without a broadcaster, whose sessions are watched at this address.
fn start(server: &str, secret: &str) -> &'static Stack {
    Stack::shared_with(&[
        ("websocket_api_url", ""),
        ("websocket_server_url", server),
        ("websocket_token_secret", secret),
    ])
}

/// Creates a session and gives the response.
async fn create(client: &Client) -> Value {
    client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await.success(201)
}

async fn state(client: &Client, session: &Value) -> Value {
    client.get(&path::session(session.as_str().expect("an id"))).await.success(200)
}

/// Seconds since the epoch of a time in a response.
#[track_caller]
fn seconds(time: &Value) -> i64 {
    time.as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok()).expect("a time").as_second()
}

/// The claims of a response's `wsUrl`, which must be whole.
#[track_caller]
fn claims(response: &Value, server: &str) -> Value {
    let session = response["sessionId"].as_str().expect("an id");
    let url = response["wsUrl"].as_str().unwrap_or_else(|| panic!("no wsUrl in {response}"));
    let token = url.strip_prefix(&format!("{server}/session/{session}?token="));
    let token = token.unwrap_or_else(|| panic!("{url} is not of {server} and {session}"));
    let header = decode_header(token).expect("a token");
    assert_eq!((header.alg, header.kid), (Algorithm::HS256, None));
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["moc-uploads-progress"]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    validation.leeway = 0;
    let key = DecodingKey::from_secret(TOKEN_SECRET.as_bytes());
    let claims = decode::<Value>(token, &key, &validation).expect("a sound token").claims;
    let names: HashSet<&str> = claims.as_object().expect("claims").keys().map(String::as_str).collect();
    assert_eq!(names, HashSet::from(["sub", "sessionId", "aud", "iat", "exp"]), "{claims}");
    assert_eq!(claims["sessionId"], json!(session));
    assert_eq!(claims["aud"], "moc-uploads-progress");
    let (issued, now) = (claims["iat"].as_u64().expect("whole seconds"), token::now());
    assert!((now - 30..=now + 1).contains(&issued), "{claims} at {now}");
    claims
}

#[tokio::test]
async fn it_is_there_for_a_session_that_goes_on() {
    own_stack!();
    let stack = start(SERVER, TOKEN_SECRET);
    let client = stack.client();
    let created = create(&client).await;
    for response in [&created, &state(&client, &created["sessionId"]).await] {
        let claims = claims(response, SERVER);
        assert_eq!(claims["sub"], "dev-user");
        // A session of half an hour: the token lives as long.
        let end = seconds(&response["expiresAt"]);
        assert!((end - 1..=end).contains(&claims["exp"].as_i64().expect("whole seconds")), "{claims} {response}");
    }
    assert_eq!(complaints(stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn its_token_lives_an_hour_at_most() {
    own_database!();
    let stack = start(SERVER, TOKEN_SECRET);
    let client = stack.client();
    let created = create(&client).await;
    let session = created["sessionId"].as_str().expect("an id");
    stack.set_session(session, "expires_at = created_at + 5 * 60 * 60 * 1000");
    let state = state(&client, &created["sessionId"]).await;
    let longer = seconds(&state["expiresAt"]) - seconds(&created["expiresAt"]);
    assert_eq!(longer, (5 * 60 - 30) * 60, "{state}");
    let claims = claims(&state, SERVER);
    let (issued, ends) = (claims["iat"].as_i64().expect("a number"), claims["exp"].as_i64().expect("a number"));
    assert_eq!(ends - issued, 3_600, "{claims}");
}

#[tokio::test]
async fn its_token_is_the_users() {
    own_stack!();
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let stack = Stack::start(&[
        ("jwt_secret", secret),
        ("websocket_api_url", ""),
        ("websocket_server_url", SERVER),
        ("websocket_token_secret", TOKEN_SECRET),
    ]);
    let client = stack.client_as(&token::hs256(secret, &token::claims("älice/+&?#")));
    let created = create(&client).await;
    assert_eq!(claims(&created, SERVER)["sub"], "älice/+&?#");
    // It is for watching: the app takes it for nothing.
    let token = created["wsUrl"].as_str().and_then(|url| url.split_once("token=")).expect("a token").1;
    let path = path::session(created["sessionId"].as_str().expect("an id"));
    let _ = stack.client_as(token).get(&path).await.problem(401, "UNAUTHORIZED");
}

/// The app does not take a token that only allows to watch, even where one secret signs both.
#[tokio::test]
async fn its_token_opens_nothing_else_whose_secret_is_the_same() {
    own_stack!();
    for audience in [None, Some("moc-uploads")] {
        let mut variables = vec![
            ("jwt_secret", TOKEN_SECRET),
            ("websocket_api_url", ""),
            ("websocket_server_url", SERVER),
            ("websocket_token_secret", TOKEN_SECRET),
        ];
        variables.extend(audience.map(|audience| ("jwt_audience", audience)));
        let stack = Stack::start(&variables);
        let mut user = token::claims("alice");
        user["aud"] = json!(audience);
        let created = create(&stack.client_as(&token::hs256(TOKEN_SECRET, &user))).await;
        let token = created["wsUrl"].as_str().and_then(|url| url.split_once("token=")).expect("a token").1;
        let path = path::session(created["sessionId"].as_str().expect("an id"));
        let _ = stack.client_as(token).get(&path).await.problem(401, "UNAUTHORIZED");
        // Nor one that is for both.
        user["aud"] = json!(["moc-uploads", "moc-uploads-progress"]);
        let _ = stack.client_as(&token::hs256(TOKEN_SECRET, &user)).get(&path).await.problem(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn ignores_a_slash_at_the_end_of_the_url() {
    own_stack!();
    for (server, shown) in [
        ("ws://127.0.0.1:9001", "ws://127.0.0.1:9001"),
        ("ws://127.0.0.1:9001/", "ws://127.0.0.1:9001"),
        ("wss://live.example/progress/", SERVER),
    ] {
        let stack = start(server, TOKEN_SECRET);
        let created = create(&stack.client()).await;
        let _ = claims(&created, shown);
    }
}

#[tokio::test]
async fn returns_no_ws_url_without_a_server_url() {
    own_stack!();
    let stack = start("", TOKEN_SECRET);
    let created = create(&stack.client()).await;
    assert_eq!(created.get("wsUrl"), None);
    assert_eq!(state(&stack.client(), &created["sessionId"]).await.get("wsUrl"), None);
    assert!(!stack.log().contains("websocket"), "{}", stack.log());
}

#[tokio::test]
async fn an_address_without_a_secret_is_warned_of_and_not_shown() {
    own_stack!();
    let stack = start(SERVER, "");
    let created = create(&stack.client()).await;
    assert_eq!(created.get("wsUrl"), None);
    assert_eq!(state(&stack.client(), &created["sessionId"]).await.get("wsUrl"), None);
    let warnings = Vec::from_iter(warnings(stack, "websocket"));
    let [warning] = &warnings[..] else { panic!("one warning, not {warnings:?}") };
    assert!(warning.contains("websocket_server_url") && warning.contains("websocket_token_secret"), "{warning}");
    assert_eq!(complaints(stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_is_over_cannot_be_watched() {
    own_database!();
    let stack = start(SERVER, TOKEN_SECRET);
    let client = stack.client();
    let (finalized, _) = client.upload_pdf(100).await;
    let moc = client.finalize(&finalized, &unique_title()).await.success(201);
    assert_eq!(moc.get("wsUrl"), None);
    let cancelled = client.create_session().await;
    assert_eq!(client.delete(&path::session(&cancelled)).await.status, 204);
    let expired = client.create_session().await;
    stack.set_session(&expired, "expires_at = created_at - 1");
    for (session, status) in [(finalized, "finalized"), (cancelled, "cancelled"), (expired, "expired")] {
        let state = state(&client, &json!(session)).await;
        assert_eq!((&state["status"], state.get("wsUrl")), (&json!(status), None), "{state}");
    }
    // One that is being finalized can: its last event is still to come.
    let (finalizing, _) = client.upload_pdf(100).await;
    stack.set_session(&finalizing, "status = 'finalizing', lock_token = 'x', finalizing_at = created_at");
    let state = state(&client, &json!(finalizing)).await;
    assert_eq!(state["status"], "finalizing");
    let _ = claims(&state, SERVER);
}
