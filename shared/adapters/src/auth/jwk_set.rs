//! The issuer's keys (RFC 7517): where they come from, and which of them verifies a token.

use std::rc::Rc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, Header};
use moc_application::issuer_keys::{self, KnownKeys};
use moc_application::port::Issuer;
use moc_domain::error::Error;
use moc_domain::limits::{KEY_SET_FETCH_MAX_MS, KEY_SET_MAX_BYTES};
use serde::Deserialize;
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
    #[derive(Deserialize)]
    struct RawSet {
        keys: Vec<serde_json::Value>,
    }
    let set: RawSet = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    Ok(JwkSet { keys })
}
