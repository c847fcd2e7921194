//! The issuer's keys (RFC 7517): where they come from, and which of them verifies a token.

use std::rc::Rc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, Header};
use moc_application::issuer_keys::{self, KnownKeys};
use moc_application::port::Issuer;
use moc_domain::error::Error;
use moc_domain::limits::{KEY_SET_FETCH_MAX_MS, KEY_SET_MAX_BYTES};
use serde_json::Value;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::outbound::{self, Payload};
use crate::platform::{WasiPlatform, within};
use crate::{log, store};

thread_local! {
    static KNOWN: Rc<KnownKeys<JwkSet>> = Rc::default();
}

/// The issuer's keys, among them that with the id of the token's header, if it has one.
///
/// # Errors
/// Those of [`issuer_keys::find`].
pub async fn find(url: &Url, header: &Header) -> Result<Rc<JwkSet>, Error> {
    let is_wanted = |keys: &JwkSet| header.kid.as_deref().is_none_or(|id| keys.find(id).is_some());
    let known = KNOWN.with(Rc::clone);
    let issuer = HttpIssuer(url);
    Box::pin(issuer_keys::find(&store::open().await?, &issuer, &WasiPlatform, &known, is_wanted)).await
}

/// Whether keys of an issuer can verify tokens of this algorithm.
pub fn is_possible(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::RS256 | Algorithm::ES256)
}

/// The key that verifies a token with this header: the one with its key id; without an id, the only key there is. It
/// has to be a key for signatures, and for the token's algorithm (RFC 7517, sections 4.2 to 4.4).
pub fn choose<'a>(keys: &'a JwkSet, header: &Header) -> Option<&'a Jwk> {
    match (&header.kid, keys.keys.as_slice()) {
        (Some(_), keys) => keys.iter().find(|key| key.common.key_id == header.kid && verifies(key, header.alg)),
        (None, [only]) => Some(only).filter(|key| verifies(key, header.alg)),
        (None, _) => None,
    }
}

fn verifies(key: &Jwk, algorithm: Algorithm) -> bool {
    let common = &key.common;
    let named = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => KeyAlgorithm::RS256,
        (AlgorithmParameters::EllipticCurve(_), Algorithm::ES256) => KeyAlgorithm::ES256,
        _ => return false,
    };
    common.key_algorithm.is_none_or(|given| given == named)
        && common.public_key_use.as_ref().is_none_or(|given| *given == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|given| given.contains(&KeyOperations::Verify))
}

/// The issuer whose key set is at this URL.
struct HttpIssuer<'a>(&'a Url);

impl Issuer for HttpIssuer<'_> {
    type Keys = JwkSet;

    fn url(&self) -> &str {
        self.0.as_str()
    }

    async fn fetch(&self) -> Result<String, String> {
        let fetching = async {
            let headers = [("accept", "application/json")];
            let reply = outbound::send(Method::Get, self.0, &headers, Payload::Empty).await?;
            let status = reply.status;
            Ok((status, reply.read(KEY_SET_MAX_BYTES, true).await?))
        };
        let fetched = within(Instant::now() + Duration::from_millis(KEY_SET_FETCH_MAX_MS), fetching).await;
        let (status, bytes) =
            fetched.ok_or("no whole response in time")?.map_err(|error: outbound::SendError| error.to_string())?;
        if status != 200 {
            return Err(format!("status {status}"));
        }
        String::from_utf8(bytes).map_err(|_| "not UTF-8".into())
    }

    fn parse(&self, document: &str) -> Result<JwkSet, String> {
        parse(document)
    }

    fn failed(&self, cause: &str) {
        log::warn(&format!("the keys at jwt_jwks_url cannot be fetched: {cause}"));
    }
}

/// Keys of kinds that are unknown here are skipped, as RFC 7517, section 5, asks.
fn parse(document: &str) -> Result<JwkSet, String> {
    let set: Value = serde_json::from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("no list of keys")?;
    // As text once more: jsonwebtoken reads a key in a token's header in this way too, and the code is there once.
    let key = |key: &Value| serde_json::from_slice(key.to_string().as_bytes()).ok();
    Ok(JwkSet { keys: keys.iter().filter_map(key).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa(more: &Value) -> Value {
        merged(json!({ "kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB" }), more)
    }

    fn p256(more: &Value) -> Value {
        merged(json!({ "kty": "EC", "kid": "ec", "crv": "P-256", "x": "AQAB", "y": "AQAB" }), more)
    }

    fn merged(mut key: Value, more: &Value) -> Value {
        for (name, value) in more.as_object().into_iter().flatten() {
            key[name] = value.clone();
        }
        key
    }

    fn header(algorithm: Algorithm, id: Option<&str>) -> Header {
        Header { kid: id.map(str::to_owned), ..Header::new(algorithm) }
    }

    fn finds(keys: &[Value], header: &Header) -> bool {
        let keys = parse(&json!({ "keys": keys }).to_string()).unwrap_or_else(|_| JwkSet { keys: Vec::new() });
        choose(&keys, header).is_some()
    }

    #[test]
    fn a_key_verifies_only_what_it_is_for() {
        for more in [
            json!({}),
            json!({ "use": "sig" }),
            json!({ "key_ops": ["verify"] }),
            json!({ "key_ops": ["sign", "verify"], "use": "sig" }),
        ] {
            assert!(finds(&[rsa(&more)], &header(Algorithm::RS256, Some("rsa"))), "{more}");
            assert!(finds(&[p256(&more)], &header(Algorithm::ES256, Some("ec"))), "{more}");
        }
        assert!(finds(&[rsa(&json!({ "alg": "RS256" }))], &header(Algorithm::RS256, Some("rsa"))));
        assert!(finds(&[p256(&json!({ "alg": "ES256" }))], &header(Algorithm::ES256, Some("ec"))));
        for more in [
            json!({ "use": "enc" }),
            json!({ "use": "" }),
            json!({ "use": "a use of tomorrow" }),
            json!({ "key_ops": [] }),
            json!({ "key_ops": ["encrypt", "wrapKey"] }),
            json!({ "use": "sig", "key_ops": ["sign"] }),
            json!({ "use": "enc", "key_ops": ["verify"] }),
            json!({ "alg": "RS512" }),
            json!({ "alg": "PS256" }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "alg": "ES384" }),
            json!({ "alg": "an algorithm of tomorrow" }),
            json!({ "alg": 256 }),
        ] {
            for id in [Some("rsa"), None] {
                assert!(!finds(&[rsa(&more)], &header(Algorithm::RS256, id)), "{more}");
            }
            for id in [Some("ec"), None] {
                assert!(!finds(&[p256(&more)], &header(Algorithm::ES256, id)), "{more}");
            }
        }
        assert!(!finds(&[rsa(&json!({ "alg": "ES256" }))], &header(Algorithm::RS256, Some("rsa"))));
        assert!(!finds(&[rsa(&json!({}))], &header(Algorithm::ES256, Some("rsa"))));
        assert!(!finds(&[rsa(&json!({}))], &header(Algorithm::RS512, Some("rsa"))));
        assert!(!finds(&[p256(&json!({}))], &header(Algorithm::RS256, Some("ec"))));
    }

    #[test]
    fn a_key_is_found_by_its_id_and_the_only_one_without() {
        let keys = [rsa(&json!({ "use": "enc" })), rsa(&json!({ "use": "sig" })), p256(&json!({}))];
        assert!(finds(&keys, &header(Algorithm::RS256, Some("rsa"))), "one of two keys with that id is for it");
        assert!(!finds(&keys, &header(Algorithm::RS256, Some("other"))));
        assert!(!finds(&keys, &header(Algorithm::ES256, None)));
        assert!(finds(&[p256(&json!({}))], &header(Algorithm::ES256, None)));
        assert!(!finds(&[], &header(Algorithm::ES256, None)));
    }

    #[test]
    fn a_document_is_a_set_of_keys_or_an_error() {
        for document in ["", "<html>", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
            assert!(parse(document).is_err(), "{document}");
        }
        let keys = json!([json!("no key"), { "kty": "RSA" }, { "kty": "oct", "k": "AQAB" }, p256(&json!({}))]);
        assert!(finds(keys.as_array().unwrap_or(&Vec::new()), &header(Algorithm::ES256, Some("ec"))));
    }

    #[test]
    fn only_algorithms_of_public_keys_are_possible() {
        assert!(is_possible(Algorithm::RS256) && is_possible(Algorithm::ES256));
        for algorithm in [Algorithm::HS256, Algorithm::RS384, Algorithm::PS256, Algorithm::ES384, Algorithm::EdDSA] {
            assert!(!is_possible(algorithm), "{algorithm:?}");
        }
    }
}
