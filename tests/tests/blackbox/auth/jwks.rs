//! Tokens that verify with the keys that an issuer publishes.

use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use moc_tests::token::{
    self, JwksServer, claims, es256, forged, hmac, p256_jwk, rs256, rs256_with_header, rsa_jwk, rsa_public,
};
use moc_tests::{Response, Stack, own_stack, path, wait_for};
use serde_json::{Value, json};

use super::{NOBODY, ask, rejected, taken};

/// Pause between two fetches of the keys, in seconds.
const FETCH_PAUSE: u64 = 5;
/// Longest time that a fetch may take, in seconds.
const FETCH_MAX: u64 = 3;

fn start(issuer: &JwksServer) -> Stack {
    Stack::start(&[("jwt_jwks_url", &issuer.url()), ("jwt_jwks_origin", &issuer.origin())])
}

#[tokio::test]
async fn keys_of_both_kinds_verify_and_nothing_else_does() {
    own_stack!();
    let (rsa, ec, other_ec) = (rsa_jwk("rsa"), p256_jwk(0, "ec"), p256_jwk(1, "other"));
    let secret = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": "c2VjcmV0" });
    let unknown = json!({ "kty": "a kind of tomorrow", "kid": "new", "x": 1 });
    let edwards =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let issuer = JwksServer::start(&[unknown, secret, edwards, json!("no key"), rsa.clone(), ec]);
    let stack = start(&issuer);
    let claims = claims("alice");
    taken(&stack, &rs256(Some("rsa"), &claims), "RS256").await;
    taken(&stack, &es256(0, Some("ec"), &claims), "ES256").await;
    let alice = stack.client_as(&es256(0, Some("ec"), &claims));
    let (session, _) = alice.upload_pdf(100).await;
    let moc = alice.finalize(&session, "By a key").await.success(201);
    assert_eq!(moc["userId"], "alice");

    // RS→HS confusion: what everybody knows of the key, as a shared secret.
    let modulus = rsa["n"].as_str().expect("a modulus").to_owned();
    let public = rsa_public();
    for secret in [&public, public.trim_end(), &rsa.to_string(), &modulus, "secret", ""] {
        for kid in [Some("rsa"), Some("ec"), Some("oct"), None] {
            let header = json!({ "typ": "JWT", "kid": kid });
            let token = token::hs256_with_header(secret, header, &claims);
            rejected(&stack, &token, &format!("HS256 with {secret:?} under {kid:?}")).await;
        }
    }
    rejected(&stack, &hmac(Algorithm::HS512, public.as_bytes(), &claims), "HS512").await;

    rejected(&stack, &es256(1, Some("ec"), &claims), "another key's signature").await;
    rejected(&stack, &es256(0, Some("rsa"), &claims), "ES256 under an RSA key").await;
    rejected(&stack, &rs256(Some("ec"), &claims), "RS256 under a P-256 key").await;
    rejected(&stack, &es256(0, Some("oct"), &claims), "ES256 under a secret").await;
    rejected(&stack, &es256(0, Some("ed"), &claims), "ES256 under an Edwards key").await;
    rejected(&stack, &es256(0, Some("new"), &claims), "ES256 under an unknown kind of key").await;
    rejected(&stack, &es256(1, None, &claims), "no key id, and another key's signature").await;
    taken(&stack, &es256(0, None, &claims), "no key id among several keys").await;
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = token::rsa(algorithm, Some("rsa"), &claims);
        rejected(&stack, &token, &format!("{algorithm:?} with a key for RS256")).await;
    }
    for kid in ["rsa", "ec"] {
        let header = json!({ "alg": "none", "kid": kid });
        rejected(&stack, &forged(&header, &claims, &[]), "no signature").await;
    }
    // A key that comes with the token, and an address where one would be.
    let evil = JwksServer::start(std::slice::from_ref(&other_ec));
    for kid in ["ec", "other"] {
        let header = json!({ "kid": kid, "jwk": other_ec, "jku": evil.url(), "x5u": evil.url() });
        rejected(&stack, &token::es256_with_header(1, header, &claims), "a key of the token's own").await;
    }
    assert_eq!(evil.fetches(), 0, "the token's address was asked");

    for (field, value) in [("exp", json!(token::now() - 120)), ("sub", json!(""))] {
        let mut claims = claims.clone();
        claims[field] = value;
        rejected(&stack, &rs256(Some("rsa"), &claims), field).await;
    }
    let token = rs256_with_header(json!({ "kid": "rsa", "crit": ["urgent"], "urgent": 1 }), &claims);
    rejected(&stack, &token, "crit").await;
}

/// RFC 7517, sections 4.2 to 4.4.
#[tokio::test]
async fn a_key_for_something_else_verifies_nothing() {
    own_stack!();
    let with = |kid: &str, field: &str, value: Value| {
        let mut key = rsa_jwk(kid);
        key[field] = value;
        key
    };
    let others = [
        with("enc", "use", json!("enc")),
        with("ops", "key_ops", json!(["encrypt", "wrapKey"])),
        with("alg", "alg", json!("RS512")),
        with("oaep", "alg", json!("RSA-OAEP")),
    ];
    let issuer = JwksServer::start(&[&others[..], &[with("sig", "use", json!("sig"))]].concat());
    let stack = start(&issuer);
    for kid in ["enc", "ops", "alg", "oaep"] {
        rejected(&stack, &rs256(Some(kid), &claims("alice")), kid).await;
    }
    taken(&stack, &rs256(Some("sig"), &claims("alice")), "a key for signatures").await;
    assert_eq!(issuer.fetches(), 1, "their ids are known");
}

#[tokio::test]
async fn a_token_that_cannot_be_valid_causes_no_fetch() {
    own_stack!();
    let issuer = JwksServer::start(&[rsa_jwk("rsa")]);
    let stack = Stack::start(&[
        ("jwt_jwks_url", &issuer.url()),
        ("jwt_jwks_origin", &issuer.origin()),
        ("jwt_issuer", "https://id.test/"),
        ("jwt_audience", "uploads"),
    ]);
    let good = json!({ "sub": "alice", "exp": token::now() + 60, "iss": "https://id.test/", "aud": "uploads" });
    for (field, value) in [
        ("exp", json!(token::now() - 120)),
        ("iss", json!("https://evil.test/")),
        ("aud", json!("other")),
        ("aud", json!(["uploads", "moc-uploads-progress"])),
        ("sub", json!("")),
    ] {
        let mut claims = good.clone();
        claims[field] = value;
        rejected(&stack, &rs256(Some("rsa"), &claims), field).await;
    }
    rejected(&stack, &hmac(Algorithm::HS256, b"secret", &good), "HS256").await;
    rejected(&stack, &forged(&json!({ "alg": "ES512", "kid": "rsa" }), &good, &[0; 132]), "ES512").await;
    rejected(&stack, "a.b.c", "no token").await;
    assert_eq!(issuer.fetches(), 0);
    taken(&stack, &rs256(Some("rsa"), &good), "a good one").await;
    let head = issuer.last_head().to_ascii_lowercase();
    let agent = concat!("\nuser-agent: moc-uploads/", env!("CARGO_PKG_VERSION"), "\n");
    assert!(head.starts_with("get /.well-known/jwks.json http/1.1\n") && head.contains(agent), "{head}");
}

#[tokio::test]
async fn every_algorithm_of_issuers_is_accepted() {
    own_stack!();
    let kinds = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let issuer = JwksServer::start(&kinds.map(|algorithm| token::any_jwk(algorithm, &format!("{algorithm:?}"))));
    let stack = start(&issuer);
    for algorithm in kinds {
        let kid = format!("{algorithm:?}");
        taken(&stack, &token::any(algorithm, Some(&kid), &claims("alice")), &kid).await;
        taken(&stack, &token::any(algorithm, None, &claims("alice")), "no key id").await;
        for (other, kind) in kinds.iter().map(|kind| (format!("{kind:?}"), kind)).filter(|(other, _)| *other != kid) {
            let token = token::any(algorithm, Some(&other), &claims("alice"));
            rejected(&stack, &token, &format!("{algorithm:?} with a key for {kind:?}")).await;
        }
    }
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
        let token = token::any(algorithm, Some("RS256"), &claims("alice"));
        taken(&stack, &token, &format!("{algorithm:?} with an RSA key for any algorithm")).await;
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_token_without_a_key_id_takes_the_only_key() {
    own_stack!();
    let issuer = JwksServer::start(&[p256_jwk(0, "ec")]);
    let stack = start(&issuer);
    taken(&stack, &es256(0, None, &claims("alice")), "the only key").await;
    rejected(&stack, &es256(1, None, &claims("alice")), "another key").await;
    rejected(&stack, &rs256(None, &claims("alice")), "another kind of key").await;
}

#[tokio::test]
async fn the_keys_are_fetched_once_for_all_components() {
    own_stack!();
    let issuer = JwksServer::start(&[rsa_jwk("rsa")]);
    let mut stack = start(&issuer);
    let token = rs256(Some("rsa"), &claims("alice"));
    taken(&stack, &token, "the first").await;
    assert_eq!(issuer.fetches(), 1);

    let client = stack.client_as(&token);
    let (session, _) = client.upload_pdf(100).await;
    let _ = client.get(&path::session(&session)).await.success(200);
    let moc = client.finalize(&session, "Once").await.success(201);
    let _ = client.get(&path::moc(moc["id"].as_str().expect("an id"))).await.success(200);
    let many = (0..64).map(|_| async { client.get(&path::moc(NOBODY)).await });
    for reply in futures::future::join_all(many).await {
        let _ = reply.problem(404, "NOT_FOUND");
    }
    assert_eq!(issuer.fetches(), 1, "by every component, and by many instances of one");

    // The database keeps them over a restart, and while the issuer is unavailable.
    issuer.response(500, "");
    stack.restart();
    taken(&stack, &token, "after a restart").await;
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_unknown_key_id_fetches_once_more_and_a_flood_of_them_hardly_more() {
    own_stack!();
    let issuer = JwksServer::start(&[p256_jwk(0, "ec")]);
    let stack = start(&issuer);
    let (known, claims) = (es256(0, Some("ec"), &claims("alice")), claims("alice"));
    taken(&stack, &known, "the first").await;
    let started = Instant::now();
    rejected(&stack, &es256(0, Some("unknown"), &claims), "an unknown key id").await;
    assert_eq!(issuer.fetches(), 2, "exactly one more");

    for number in 0..40 {
        rejected(&stack, &es256(1, Some(&format!("random-{number}")), &claims), "a random key id").await;
    }
    let allowed = 2 + started.elapsed().as_secs() / FETCH_PAUSE;
    assert!(issuer.fetches() as u64 <= allowed, "{} fetches, {allowed} allowed", issuer.fetches());

    // At once, and on another component, whose instances know of the last fetch from the database.
    let client = stack.client_as(&es256(1, Some("one-more"), &claims));
    let flood = (0..64).map(|_| async { client.get(&path::moc(NOBODY)).await });
    for reply in futures::future::join_all(flood).await {
        super::is_rejected(&reply);
    }
    let allowed = 2 + started.elapsed().as_secs() / FETCH_PAUSE;
    assert!(issuer.fetches() as u64 <= allowed, "{} fetches, {allowed} allowed", issuer.fetches());
    taken(&stack, &known, "the known one still").await;
}

#[tokio::test]
async fn rotated_keys_are_taken_up() {
    own_stack!();
    let issuer = JwksServer::start(&[p256_jwk(0, "old")]);
    let stack = start(&issuer);
    let (old, new) = (es256(0, Some("old"), &claims("alice")), es256(1, Some("new"), &claims("alice")));
    taken(&stack, &old, "before").await;
    issuer.publish(&[p256_jwk(0, "old"), p256_jwk(1, "new")]);
    taken(&stack, &new, "the new key").await;
    taken(&stack, &old, "the old key, still published").await;
    assert_eq!(issuer.fetches(), 2);

    // A second rotation right after the first is seen as soon as a fetch is due.
    issuer.publish(&[rsa_jwk("newest")]);
    let newest = stack.client_as(&rs256(Some("newest"), &claims("alice")));
    let limit = Duration::from_secs(FETCH_PAUSE + 5);
    let accepted = async || (newest.get(&path::session(NOBODY)).await.status == 404).then_some(());
    wait_for("the newest key to be taken", limit, accepted).await;
    rejected(&stack, &old, "a key that is published no more").await;
}

/// The token cannot be verified for now: 503, so that the client retries.
#[track_caller]
fn is_unavailable(reply: &Response) {
    let problem = reply.problem(503, "ISSUER_UNAVAILABLE");
    assert_eq!(problem["retryable"], json!(true));
    assert_eq!(reply.header("retry-after"), Some("2"));
}

async fn unavailable(stack: &Stack, token: &str) {
    is_unavailable(&ask(stack, &format!("Bearer {token}")).await);
}

#[tokio::test]
async fn without_an_issuer_nobody_gets_in_until_it_is_back() {
    own_stack!();
    let keys = json!({ "keys": [rsa_jwk("rsa")] }).to_string();
    let issuer = JwksServer::start(&[]);
    let token = rs256(Some("rsa"), &claims("alice"));
    let padded = format!("{keys}{}", " ".repeat(300 * 1024));
    for (status, body) in [(404, "no"), (200, "<html>"), (200, padded.as_str()), (302, "")] {
        issuer.response(status, body);
        unavailable(&start(&issuer), &token).await;
    }
    issuer.response(500, "");
    let stack = start(&issuer);
    let (before, began) = (issuer.fetches(), Instant::now());
    for _ in 0..40 {
        unavailable(&stack, &token).await;
    }
    let allowed = 1 + began.elapsed().as_secs() / FETCH_PAUSE;
    let fetches = (issuer.fetches() - before) as u64;
    assert!(fetches <= allowed, "{fetches} fetches, {allowed} allowed");
    let warning = stack.logged("jwt_jwks_url cannot be fetched").await;
    assert!(warning.contains("\"level\":\"warn\""), "{warning}");
    issuer.response(200, &keys);
    let client = stack.client_as(&token);
    let accepted = async || (client.get(&path::session(NOBODY)).await.status == 404).then_some(());
    wait_for("the issuer to be asked again", Duration::from_secs(FETCH_PAUSE + 5), accepted).await;

    // Its keys count for a while without it.
    issuer.response(503, "");
    taken(&stack, &token, "a key that is known").await;
    unavailable(&stack, &rs256(Some("unknown"), &claims("alice"))).await;
    taken(&stack, &token, "a key that is known, after a fetch that failed").await;
}

/// Anybody can make up key ids: they must cost neither the issuer nor this application anything.
#[tokio::test]
async fn a_flood_of_unknown_key_ids_while_the_issuer_stalls_is_one_fetch() {
    own_stack!();
    let issuer = JwksServer::start(&[p256_jwk(0, "ec")]);
    let stack = start(&issuer);
    let known = es256(0, Some("ec"), &claims("alice"));
    taken(&stack, &known, "the first").await;
    issuer.stall();
    let began = Instant::now();
    let flood = futures::future::join_all((0..64).map(|number| {
        let client = stack.client_as(&es256(1, Some(&format!("random-{number}")), &claims("alice")));
        async move { client.get(&path::session(NOBODY)).await }
    }));
    let known_ones = async {
        for _ in 0..10 {
            let asked = Instant::now();
            taken(&stack, &known, "a key that is known").await;
            assert!(asked.elapsed() < Duration::from_secs(2), "a known key waited {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (replies, ()) = futures::join!(flood, known_ones);
    replies.iter().for_each(is_unavailable);
    let longest = Duration::from_secs(FETCH_MAX + 3);
    assert!(began.elapsed() < longest, "a request was held for {:?}", began.elapsed());
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn nobody_listens_at_the_issuers_address() {
    own_stack!();
    let gone = JwksServer::start(&[]);
    let (url, origin) = (gone.url(), gone.origin());
    drop(gone);
    let stack = Stack::start(&[("jwt_jwks_url", &url), ("jwt_jwks_origin", &origin)]);
    unavailable(&stack, &rs256(Some("rsa"), &claims("alice"))).await;
}

#[tokio::test]
async fn a_key_set_without_issuer_and_audience_is_warned_of() {
    own_stack!();
    let issuer = JwksServer::start(&[rsa_jwk("rsa")]);
    let stack = start(&issuer);
    taken(&stack, &rs256(Some("rsa"), &claims("alice")), "any audience").await;
    let warning = stack.logged("is set without jwt_issuer and jwt_audience").await;
    assert!(warning.contains("jwt_jwks_url"), "{warning}");
}

#[tokio::test]
async fn an_address_outside_its_origin_counts_as_unset() {
    own_stack!();
    let issuer = JwksServer::start(&[rsa_jwk("rsa")]);
    let outside = JwksServer::start(&[]);
    let url = issuer.url();
    for origin in ["", &outside.origin(), "https://127.0.0.1", &issuer.origin().replace("http:", "https:")] {
        let mut variables = vec![("jwt_jwks_url", url.as_str())];
        if !origin.is_empty() {
            variables.push(("jwt_jwks_origin", origin));
        }
        let stack = Stack::start(&variables);
        rejected(&stack, &rs256(Some("rsa"), &claims("alice")), origin).await;
        let warning = stack.logged("jwt_jwks_origin").await;
        assert!(warning.contains("jwt_jwks_url") && warning.contains("warn"), "{warning}");
    }
    assert_eq!((issuer.fetches(), outside.fetches()), (0, 0));
}

#[tokio::test]
async fn issuer_and_audience_count_with_keys_too() {
    own_stack!();
    let issuer = JwksServer::start(&[rsa_jwk("rsa")]);
    let stack = Stack::start(&[
        ("jwt_jwks_url", &issuer.url()),
        ("jwt_jwks_origin", &issuer.origin()),
        ("jwt_issuer", "https://id.test/"),
        ("jwt_audience", "uploads"),
    ]);
    let token = |iss: Value, aud: Value| {
        rs256(Some("rsa"), &json!({ "sub": "alice", "exp": token::now() + 60, "iss": iss, "aud": aud }))
    };
    taken(&stack, &token(json!("https://id.test/"), json!("uploads")), "as configured").await;
    rejected(&stack, &token(json!("https://id.test/"), json!("other")), "another audience").await;
    rejected(&stack, &token(json!("https://evil.test/"), json!("uploads")), "another issuer").await;
}
