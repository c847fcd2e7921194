//! Tokens that another implementation has signed, with keys that are generated once per process.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Alg, DecodingKey, EncodingKey, Header, Validation};
use moc_config::{TokenRules, WATCH_AUDIENCE};
use p256::pkcs8::EncodePrivateKey as _;
use rand_core::{OsRng, RngCore as _};
use rsa_of_jsonwebtoken::RsaPrivateKey;
use rsa_of_jsonwebtoken::pkcs1::EncodeRsaPrivateKey as _;
use serde_json::{Value, json};

use super::key_set::KeySet;
use super::token::Token;
use super::{claims, is_signed_with, token};

const RSA: [Alg; 6] = [Alg::RS256, Alg::RS384, Alg::RS512, Alg::PS256, Alg::PS384, Alg::PS512];
const ALL: [Alg; 9] =
    [Alg::RS256, Alg::RS384, Alg::RS512, Alg::PS256, Alg::PS384, Alg::PS512, Alg::ES256, Alg::ES384, Alg::EdDSA];

static RSA_KEY: LazyLock<EncodingKey> = LazyLock::new(|| rsa_key(2_048));

fn rsa_key(bits: usize) -> EncodingKey {
    let key = RsaPrivateKey::new(&mut OsRng, bits).unwrap();
    EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// A new key for an algorithm; that for RSA is always the same.
fn key(algorithm: Alg) -> EncodingKey {
    match algorithm {
        Alg::ES256 => {
            let key = p256::SecretKey::from_slice(&random::<32>()).unwrap();
            EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes())
        }
        Alg::ES384 => {
            let key = p384::SecretKey::from_slice(&random::<48>()).unwrap();
            EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes())
        }
        // PKCS #8 (RFC 8410, section 7).
        Alg::EdDSA => EncodingKey::from_ed_der(
            &[&hex::decode("302e020100300506032b657004220420").unwrap()[..], &random::<32>()].concat(),
        ),
        _ => RSA_KEY.clone(),
    }
}

fn sign(key: &EncodingKey, algorithm: Alg, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &json!({ "sub": "alice" }), key).unwrap()
}

/// The public half of a key for any algorithm of its kind, with these fields in addition. Null removes one.
fn jwk(key: &EncodingKey, algorithm: Alg, more: Value) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    let jwk_fields = jwk.as_object_mut().unwrap();
    jwk_fields.remove("alg");
    jwk_fields.extend(more.as_object().unwrap().clone());
    jwk
}

fn has_signed(keys: &[Value], compact: &str) -> Option<bool> {
    let set = KeySet::parse(&json!({ "keys": keys }).to_string()).unwrap();
    set.has_signed(&Token::parse(compact).unwrap_or_else(|reason| panic!("{reason}: {compact}")))
}

#[test]
fn every_algorithm_verifies_with_a_key_of_its_kind_and_no_other() {
    let signers: Vec<(Alg, EncodingKey)> =
        [Alg::RS256, Alg::ES256, Alg::ES384, Alg::EdDSA].map(|algorithm| (algorithm, key(algorithm))).into();
    let name = |algorithm: Alg| if RSA.contains(&algorithm) { "RS256".into() } else { format!("{algorithm:?}") };
    let keys: Vec<Value> =
        signers.iter().map(|(algorithm, key)| jwk(key, *algorithm, json!({ "kid": name(*algorithm) }))).collect();
    for algorithm in ALL {
        let (_, signer) = signers.iter().find(|(kind, _)| name(*kind) == name(algorithm)).unwrap();
        for (kind, _) in &signers {
            let expected = name(*kind) == name(algorithm);
            let compact = sign(signer, algorithm, Some(&name(*kind)));
            assert_eq!(has_signed(&keys, &compact), Some(expected), "{algorithm:?} with the key for {kind:?}");
        }
        let compact = sign(signer, algorithm, Some(&name(algorithm)));
        let (message, signature) = compact.rsplit_once('.').unwrap();
        let other = sign(signer, algorithm, Some("other"));
        let (_, other) = other.rsplit_once('.').unwrap();
        for tampered in [format!("{message}.{other}"), format!("{message}."), format!("{message}.{signature}AAAA")] {
            assert_eq!(has_signed(&keys, &tampered), Some(false), "{algorithm:?}");
        }
        if !RSA.contains(&algorithm) {
            let forged = sign(&key(algorithm), algorithm, Some(&name(algorithm)));
            assert_eq!(has_signed(&keys, &forged), Some(false), "another key of {algorithm:?}");
        }
    }
}

#[test]
fn a_key_with_an_algorithm_verifies_that_alone() {
    for algorithm in ALL {
        let signer = key(algorithm);
        for named in ALL {
            let key = jwk(&signer, algorithm, json!({ "kid": "k", "alg": named }));
            let compact = sign(&signer, algorithm, Some("k"));
            assert_eq!(has_signed(&[key], &compact), Some(named == algorithm), "{algorithm:?} with {named:?}");
        }
    }
    // RFC 9864 names EdDSA by its curve.
    let signer = key(Alg::EdDSA);
    let key = jwk(&signer, Alg::EdDSA, json!({ "kid": "k", "alg": "Ed25519" }));
    assert_eq!(has_signed(&[key], &sign(&signer, Alg::EdDSA, Some("k"))), Some(true));
}

#[test]
fn a_key_for_something_else_verifies_nothing() {
    for (algorithm, kid) in [(Alg::RS256, Some("k")), (Alg::ES256, Some("k")), (Alg::ES256, None)] {
        let signer = key(algorithm);
        let check = |more: &Value| {
            let key = jwk(&signer, algorithm, more.clone());
            has_signed(
                &[jwk(&signer, algorithm, json!({ "kid": "k", "use": "enc" })), key],
                &sign(&signer, algorithm, kid),
            )
        };
        for more in [
            json!({}),
            json!({ "use": "sig" }),
            json!({ "use": null, "key_ops": null, "alg": null }),
            json!({ "key_ops": ["verify"] }),
            json!({ "key_ops": ["sign", "verify"], "use": "sig", "alg": algorithm }),
        ] {
            let mut more = more;
            more["kid"] = json!("k");
            assert_eq!(check(&more), Some(true), "{more}");
        }
        for more in [
            json!({ "use": "enc" }),
            json!({ "use": "" }),
            json!({ "use": ["sig"] }),
            json!({ "use": "a use of tomorrow" }),
            json!({ "key_ops": [] }),
            json!({ "key_ops": "verify" }),
            json!({ "key_ops": ["encrypt", "wrapKey"] }),
            json!({ "use": "sig", "key_ops": ["sign"] }),
            json!({ "use": "enc", "key_ops": ["verify"] }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "alg": "an algorithm of tomorrow" }),
            json!({ "alg": 256 }),
        ] {
            let mut more = more;
            more["kid"] = json!("k");
            assert_eq!(check(&more), kid.map(|_| false), "{more}");
        }
    }
}

/// What Entra ID, Google, Okta and Keycloak publish next to the fields that count, and what nobody should.
#[test]
fn other_fields_and_unreadable_keys_do_not_spoil_a_set() {
    let signer = key(Alg::RS256);
    let certificate = json!({
        "kid": "k", "use": "sig", "x5t": "1LTMzakihiRla_8z2BEJVXeWMqo", "x5c": ["MIIDYDCCAkigAwIBAgIJ", 7],
        "x5t#S256": null, "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0", "nbf": 1, "ext": true,
    });
    let others = [
        json!("no key"),
        json!(null),
        json!({}),
        json!({ "kty": 1, "kid": 7 }),
        json!({ "kty": "RSA", "kid": "a" }),
        json!({ "kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "k", "n": "not base64!", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "k", "n": "", "e": "" }),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256" }),
        json!({ "kty": "EC", "crv": "P-521", "kid": "k", "x": "AQAB", "y": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": "AQAB", "y": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AQAB" }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "k", "x": "AQAB" }),
        json!({ "kty": "a kind of tomorrow", "kid": "k" }),
    ];
    let keys = [&others[..], &[jwk(&signer, Alg::RS256, certificate)]].concat();
    for kid in [Some("k"), None] {
        assert_eq!(has_signed(&keys, &sign(&signer, Alg::RS256, kid)), Some(true), "{kid:?}");
    }
    for algorithm in [Alg::ES256, Alg::ES384, Alg::EdDSA] {
        assert_eq!(has_signed(&keys, &sign(&key(algorithm), algorithm, Some("k"))), Some(false));
    }
}

#[test]
fn candidates_are_narrowed_and_tried_in_turn() {
    let (right, other) = (key(Alg::ES256), key(Alg::ES256));
    let public = |key: &EncodingKey, more: Value| jwk(key, Alg::ES256, more);
    let signed = |kid| sign(&right, Alg::ES256, kid);
    let rsa = |more: Value| jwk(&RSA_KEY, Alg::RS256, more);

    // The same id twice, of one kind and of two.
    let twice =
        [rsa(json!({ "kid": "k" })), public(&other, json!({ "kid": "k" })), public(&right, json!({ "kid": "k" }))];
    assert_eq!(has_signed(&twice, &signed(Some("k"))), Some(true));
    assert_eq!(has_signed(&twice[..2], &signed(Some("k"))), Some(false));
    // No id in the token.
    assert_eq!(has_signed(&twice, &signed(None)), Some(true));
    assert_eq!(has_signed(&twice[..2], &signed(None)), None, "its key may be a new one");
    // Keys without an id, for a token with one.
    let without = [public(&other, json!({ "kid": "other" })), public(&right, json!({}))];
    assert_eq!(has_signed(&without, &signed(Some("k"))), Some(true));
    assert_eq!(has_signed(&without, &signed(Some("other"))), Some(false), "the set has a key with this id");
    assert_eq!(has_signed(&without[..1], &signed(Some("k"))), None, "its key may be a new one");

    // Four at most, of which those for something else are none.
    let many = |wrong: usize| {
        let others = (0..wrong).map(|_| public(&other, json!({ "kid": "k" })));
        let unfit =
            (0..5).flat_map(|_| [rsa(json!({ "kid": "k" })), public(&right, json!({ "kid": "k", "use": "enc" }))]);
        unfit.chain(others).chain([public(&right, json!({ "kid": "k" }))]).collect::<Vec<_>>()
    };
    assert_eq!(has_signed(&many(3), &signed(Some("k"))), Some(true));
    assert_eq!(has_signed(&many(4), &signed(Some("k"))), Some(false));
}

#[test]
fn a_public_key_is_no_secret() {
    let key = jwk(&RSA_KEY, Alg::RS256, json!({ "kid": "k" }));
    for secret in [key.to_string(), key["n"].as_str().unwrap().to_owned(), String::new()] {
        for kid in [Some("k"), None] {
            let compact = sign(&EncodingKey::from_secret(secret.as_bytes()), Alg::HS256, kid);
            assert_ne!(has_signed(std::slice::from_ref(&key), &compact), Some(true));
        }
    }
}

/// Java's BigInteger has one where the highest bit of a number is set.
#[test]
fn a_modulus_may_begin_with_a_zero() {
    let mut key = jwk(&RSA_KEY, Alg::RS256, json!({ "kid": "k" }));
    let n = BASE64_URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    assert_eq!(n.len(), 256);
    key["n"] = json!(BASE64_URL_SAFE_NO_PAD.encode([&[0][..], &n].concat()));
    for algorithm in RSA {
        assert_eq!(has_signed(std::slice::from_ref(&key), &sign(&RSA_KEY, algorithm, Some("k"))), Some(true));
    }
}

#[test]
fn a_short_rsa_key_verifies_nothing() {
    let short = rsa_key(1_024);
    let key = jwk(&short, Alg::RS256, json!({ "kid": "k" }));
    for algorithm in [Alg::RS256, Alg::PS256] {
        assert_eq!(has_signed(std::slice::from_ref(&key), &sign(&short, algorithm, Some("k"))), Some(false));
    }
}

#[test]
fn a_document_is_a_set_of_keys_or_an_error() {
    for document in ["", "<html>", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert!(KeySet::parse(document).is_err(), "{document}");
    }
    assert!(KeySet::parse(r#"{"keys":[]}"#).is_ok());
}

/// Old secret, both, new secret: nobody has to sign in again, and no token of the old one is valid in the end.
#[test]
fn a_secret_is_rotated_step_by_step() {
    const OLD: &str = "an-old-secret-of-thirty-two-bytes";
    const NEW: &str = "a-new-secret-of-thirty-two-bytes!";
    let accepts = |current: &str, previous: Option<&str>, secret: &str| {
        let compact = sign(&EncodingKey::from_secret(secret.as_bytes()), Alg::HS256, None);
        is_signed_with(&Token::parse(&compact).unwrap(), current, previous)
    };
    for (current, previous, old, new) in
        [(OLD, None, true, false), (OLD, Some(NEW), true, true), (NEW, Some(OLD), true, true), (NEW, None, false, true)]
    {
        assert_eq!((accepts(current, previous, OLD), accepts(current, previous, NEW)), (old, new));
        assert!(!accepts(current, previous, "another"));
    }
}

#[test]
fn a_token_for_watching_verifies_elsewhere_and_is_never_one_for_the_api() {
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let now = jsonwebtoken::get_current_timestamp();
    let watching = json!({ "sub": "alice", "sessionId": "s", "aud": WATCH_AUDIENCE, "iat": now, "exp": now + 60 });
    let compact = token::sign(secret, &watching).unwrap();
    let mut validation = Validation::new(Alg::HS256);
    validation.set_audience(&[WATCH_AUDIENCE]);
    let decoded = jsonwebtoken::decode::<Value>(&compact, &DecodingKey::from_secret(secret.as_bytes()), &validation);
    assert_eq!(decoded.unwrap().claims, watching);

    let parsed = Token::parse(&compact).unwrap();
    assert!(is_signed_with(&parsed, secret, None) && is_signed_with(&parsed, "another", Some(secret)));
    let user = claims::user(&parsed.claims, &TokenRules::default(), now);
    assert_eq!(user, Err("The token is for watching an upload."));
}
