//! The signature of a GRIP proxy: a token that is signed with a key that it shares with us.

use moc_domain::time::Timestamp;

use super::signed_claims;

/// Accepts a signature of this key.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn verify(key: &[u8], signature: &str, now: Timestamp) -> Result<(), &'static str> {
    signed_claims(signature, [key], now).map(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::token;

    const KEY: &str = "a-key-of-at-least-thirty-two-bytes";

    #[test]
    fn a_signature_is_of_the_key_and_expires() {
        let now = Timestamp::from_millis(1_000_000_000);
        let check = |key: &str, claims: Value| verify(KEY.as_bytes(), &token::sign(key, &claims).unwrap(), now);
        assert_eq!(check(KEY, json!({ "iss": "pushpin", "exp": 1_000_001 })), Ok(()));
        assert_eq!(check(KEY, json!({ "iss": "pushpin", "exp": 1_000_000 })), Err("The token has expired."));
        assert_eq!(check(KEY, json!({ "iss": "pushpin" })), Err("The token has no expiration time."));
        let other = check("another-key-of-thirty-two-bytes---", json!({ "exp": 1_000_001 }));
        assert_eq!(other, Err("The signature of the token is not valid."));
        assert_eq!(verify(KEY.as_bytes(), "pushpin", now), Err("The token is malformed."));
    }
}
