//! The issuer's keys (RFC 7517), and which of them verify a token.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use moc_domain::limits::KEY_CANDIDATES_MAX;
use serde_json::Value;

use super::algorithm::{Algorithm, PublicKey};
use super::token::Token;

/// The keys of one issuer.
pub struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// `None` if it is not for signatures, or of a kind that is unknown here.
    public: Option<PublicKey>,
    /// The only algorithm that it is for, if it names one.
    algorithm: Option<Algorithm>,
}

impl KeySet {
    /// Reads a key set. Keys that cannot be read, and those of unknown kinds, verify nothing (RFC 7517, section 5).
    ///
    /// # Errors
    /// Why the document is no key set.
    pub fn parse(document: &str) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("no list of keys")?;
        Ok(Self(keys.iter().map(Key::parse).collect()))
    }

    /// Whether a key of the set has signed a token. `None` if another key may have: the token names one that the set
    /// does not have, or names none.
    ///
    /// The candidates are the keys with the id that the token names, else those without one; for a token that names
    /// none they are all keys. Only those of the right kind are among them, and [`KEY_CANDIDATES_MAX`] at most.
    pub fn has_signed(&self, token: &Token) -> Option<bool> {
        let id = token.key_id.as_deref();
        let is_known = id.is_some() && self.0.iter().any(|key| key.id.as_deref() == id);
        let is_candidate = |key: &&Key| match id {
            Some(_) if is_known => key.id.as_deref() == id,
            Some(_) => key.id.is_none(),
            None => true,
        };
        let candidates = self.0.iter().filter(is_candidate).filter_map(|key| key.for_algorithm(token.algorithm));
        let verifies = |key: &PublicKey| key.verifies(token.algorithm, token.message, &token.signature);
        let has_signed = candidates.take(KEY_CANDIDATES_MAX).any(verifies);
        (has_signed || is_known).then_some(has_signed)
    }
}

impl Key {
    fn parse(key: &Value) -> Self {
        let id = key.get("kid").and_then(Value::as_str).map(str::to_owned);
        let algorithm = given(key, "alg").map(|name| name.as_str().and_then(Algorithm::parse));
        // A key for an unknown algorithm is not for any that is known.
        let is_usable = is_for_signatures(key) && algorithm != Some(None);
        Self { id, public: is_usable.then(|| public_key(key)).flatten(), algorithm: algorithm.flatten() }
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> Option<&PublicKey> {
        let is_for = self.algorithm.is_none_or(|only| only == algorithm);
        self.public.as_ref().filter(|key| is_for && key.fits(algorithm))
    }
}

/// A field, unless it is null.
fn given<'a>(key: &'a Value, name: &str) -> Option<&'a Value> {
    key.get(name).filter(|value| !value.is_null())
}

/// RFC 7517, sections 4.2 and 4.3.
fn is_for_signatures(key: &Value) -> bool {
    let verifies = |operations: &Value| operations.as_array().is_some_and(|list| list.iter().any(|op| op == "verify"));
    given(key, "use").is_none_or(|usage| usage == "sig") && given(key, "key_ops").is_none_or(verifies)
}

/// RFC 7518, section 6, and RFC 8037, section 2.
fn public_key(key: &Value) -> Option<PublicKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    // Some issuers put the zero of a sign in front.
    let integer = |name: &str| Some(bytes(name)?.into_iter().skip_while(|byte| *byte == 0).collect());
    let point = |length: usize| {
        let mut point = vec![4];
        for coordinate in [bytes("x")?, bytes("y")?] {
            // Some issuers leave leading zeros out.
            point.resize(point.len() + length.checked_sub(coordinate.len())?, 0);
            point.extend(coordinate);
        }
        Some(point)
    };
    match (text("kty")?, text("crv")) {
        ("RSA", _) => Some(PublicKey::Rsa { n: integer("n")?, e: integer("e")? }),
        ("EC", Some("P-256")) => point(32).map(PublicKey::P256),
        ("EC", Some("P-384")) => point(48).map(PublicKey::P384),
        ("OKP", Some("Ed25519")) => Some(PublicKey::Ed25519(bytes("x")?.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn coordinates_without_their_leading_zeros_are_completed() {
        let x = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({ "kty": "EC", "crv": "P-256", "x": x(&[1; 31]), "y": x(&[2; 32]) });
        let Some(PublicKey::P256(point)) = public_key(&key) else { unreachable!("a point") };
        assert_eq!(point, [&[4, 0][..], &[1; 31], &[2; 32]].concat());
        let long = json!({ "kty": "EC", "crv": "P-256", "x": x(&[1; 33]), "y": x(&[2; 32]) });
        assert!(public_key(&long).is_none());
    }
}
