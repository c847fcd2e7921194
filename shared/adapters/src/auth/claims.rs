//! What the claims of a token say (RFC 7519), apart from what jsonwebtoken validates.

use moc_config::WATCH_AUDIENCE;
use moc_domain::id::UserId;
use serde_json::Value;

/// How far the clocks of the issuer and of this server may be apart.
pub const LEEWAY_SECONDS: u64 = 5;

/// The user of a token, unless it is for watching.
pub fn user(claims: &Value) -> Option<UserId> {
    let is_for_watching = has(claims, "aud", WATCH_AUDIENCE);
    claims.get("sub")?.as_str().filter(|_| !is_for_watching).and_then(UserId::parse)
}

/// Whether a token with these claims is valid if its signature is: tells tokens that are not worth a fetch of keys.
pub fn can_be_valid(claims: &Value, issuer: Option<&str>, audience: Option<&str>, now_seconds: u64) -> bool {
    let expires = claims.get("exp").and_then(Value::as_f64);
    expires.is_some_and(|expires| expires + LEEWAY_SECONDS as f64 >= now_seconds as f64)
        && issuer.is_none_or(|issuer| has(claims, "iss", issuer))
        && audience.is_none_or(|audience| has(claims, "aud", audience))
        && user(claims).is_some()
}

/// Whether a claim is this text, or a list that contains it.
fn has(claims: &Value, name: &str, text: &str) -> bool {
    match claims.get(name) {
        Some(Value::Array(list)) => list.iter().any(|value| value == text),
        Some(value) => value == text,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_for_watching_is_nobodys() {
        let user_of = |aud: Value| user(&json!({ "sub": "alice", "aud": aud })).map(|user| user.as_str().to_owned());
        for aud in [json!("moc-uploads-progress"), json!(["moc-uploads", "moc-uploads-progress"])] {
            assert_eq!(user_of(aud), None);
        }
        for aud in [json!(null), json!([]), json!("moc-uploads"), json!(["moc-uploads"])] {
            assert_eq!(user_of(aud).as_deref(), Some("alice"));
        }
        assert_eq!(user(&json!({})), None);
    }

    #[test]
    fn a_token_that_cannot_be_valid_is_known_by_its_claims() {
        let good = json!({ "sub": "alice", "exp": 1_000, "iss": "https://id.test/", "aud": ["uploads", "more"] });
        let check = |claims: &Value, now| can_be_valid(claims, Some("https://id.test/"), Some("uploads"), now);
        assert!(check(&good, 999) && check(&good, 1_000 + LEEWAY_SECONDS) && !check(&good, 1_001 + LEEWAY_SECONDS));
        for (name, value) in [
            ("exp", json!(null)),
            ("exp", json!("1000")),
            ("exp", json!(990.5)),
            ("iss", json!("https://id.test")),
            ("iss", json!(null)),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("sub", json!("")),
        ] {
            let mut claims = good.clone();
            claims[name] = value;
            assert!(!check(&claims, 999), "{claims}");
        }
        assert!(can_be_valid(&json!({ "sub": "alice", "exp": 1_000.5 }), None, None, 999));
    }
}
