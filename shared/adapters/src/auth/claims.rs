//! What the claims of a token have to be (RFC 7519, section 4.1).

use moc_config::{TokenRules, WATCH_AUDIENCE};
use moc_domain::id::UserId;
use serde_json::{Map, Value};

type Claims = Map<String, Value>;

/// The user of a token that is valid now if its signature is.
///
/// # Errors
/// A sentence that says what is wrong with the claims.
pub fn user(claims: &Claims, rules: &TokenRules, now_seconds: u64) -> Result<UserId, &'static str> {
    let (now, leeway) = (now_seconds as f64, rules.leeway_seconds as f64);
    if expires(claims)? + leeway < now {
        return Err("The token has expired.");
    }
    if time(claims, "nbf")?.is_some_and(|begins| begins > now + leeway) {
        return Err("The token is not valid yet.");
    }
    if time(claims, "iat")?.is_some_and(|issued| issued > now + leeway) {
        return Err("The token was issued in the future.");
    }
    let issuer = claims.get("iss").and_then(Value::as_str);
    if !rules.issuers.is_empty() && !rules.issuers.iter().any(|accepted| Some(accepted.as_str()) == issuer) {
        return Err("The issuer of the token is not accepted.");
    }
    if texts(claims, "aud").any(|audience| audience == WATCH_AUDIENCE) {
        return Err("The token is for watching an upload.");
    }
    let is_accepted = |audience: &str| rules.audiences.iter().any(|accepted| accepted == audience);
    if !rules.audiences.is_empty() && !texts(claims, "aud").any(is_accepted) {
        return Err("The audience of the token is not accepted.");
    }
    let user = claims.get(&rules.user_claim).and_then(Value::as_str);
    user.and_then(UserId::parse).ok_or("The token has no valid user id.")
}

/// When a token expires, in seconds.
///
/// # Errors
/// A sentence that says so if it does not.
pub fn expires(claims: &Claims) -> Result<f64, &'static str> {
    time(claims, "exp")?.ok_or("The token has no expiration time.")
}

/// Whether a token has every required scope: in `scope` (RFC 8693, section 4.2), or in `scp`, where other issuers have
/// it as a text or a list.
pub fn has_scopes(claims: &Claims, rules: &TokenRules) -> bool {
    let is_given = |required: &String| {
        let mut given =
            ["scope", "scp"].into_iter().flat_map(|name| texts(claims, name)).flat_map(str::split_whitespace);
        given.any(|scope| scope == required)
    };
    rules.required_scopes.iter().all(is_given)
}

/// A time in seconds, maybe with a fraction (RFC 7519, section 2).
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, &'static str> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or("A time in the token is not a number."),
    }
}

/// The texts of a claim that is a text or a list.
pub fn texts<'a>(claims: &'a Claims, name: &str) -> impl Iterator<Item = &'a str> {
    let values = match claims.get(name) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    values.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_000_000;

    fn rules() -> TokenRules {
        TokenRules {
            issuers: vec!["https://id.test/".into(), "https://new.test".into()],
            audiences: vec!["uploads".into(), "api://uploads".into()],
            ..TokenRules::default()
        }
    }

    fn good() -> Value {
        json!({ "sub": "alice", "exp": NOW + 1, "iss": "https://id.test/", "aud": ["uploads", "more"] })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    fn check(claims: &Value, rules: &TokenRules) -> Result<String, &'static str> {
        user(claims.as_object().unwrap(), rules, NOW).map(|user| user.as_str().to_owned())
    }

    #[test]
    fn good_claims_have_a_user() {
        for claims in [
            good(),
            with("iss", json!("https://new.test")),
            with("aud", json!("api://uploads")),
            with("exp", json!(NOW as f64 + 0.5)),
            with("nbf", json!(null)),
            with("nbf", json!(0)),
        ] {
            assert_eq!(check(&claims, &rules()).as_deref(), Ok("alice"), "{claims}");
        }
    }

    #[test]
    fn the_leeway_is_for_every_time() {
        for leeway_seconds in [0, 60, 600] {
            let rules = TokenRules { leeway_seconds, ..rules() };
            for (name, edge, outside) in [
                ("exp", NOW - leeway_seconds, -1.0),
                ("nbf", NOW + leeway_seconds, 1.0),
                ("iat", NOW + leeway_seconds, 1.0),
            ] {
                assert!(check(&with(name, json!(edge)), &rules).is_ok(), "{name} {leeway_seconds}");
                for beyond in [outside, outside / 2.0] {
                    assert!(
                        check(&with(name, json!(edge as f64 + beyond)), &rules).is_err(),
                        "{name} {leeway_seconds}"
                    );
                }
            }
        }
    }

    #[test]
    fn each_wrong_claim_has_its_reason() {
        for (name, value, reason) in [
            ("exp", json!(null), "The token has no expiration time."),
            ("exp", json!("1000001"), "A time in the token is not a number."),
            ("exp", json!(NOW - 61), "The token has expired."),
            ("exp", json!(-1), "The token has expired."),
            ("nbf", json!(NOW + 61), "The token is not valid yet."),
            ("nbf", json!([NOW]), "A time in the token is not a number."),
            ("iat", json!(NOW * 1000), "The token was issued in the future."),
            ("iat", json!("now"), "A time in the token is not a number."),
            ("iss", json!("https://id.test"), "The issuer of the token is not accepted."),
            ("iss", json!(["https://id.test/"]), "The issuer of the token is not accepted."),
            ("iss", json!(null), "The issuer of the token is not accepted."),
            ("aud", json!("other"), "The audience of the token is not accepted."),
            ("aud", json!("uploads "), "The audience of the token is not accepted."),
            ("aud", json!([]), "The audience of the token is not accepted."),
            ("aud", json!(["uploads", "moc-uploads-progress"]), "The token is for watching an upload."),
            ("sub", json!(""), "The token has no valid user id."),
            ("sub", json!(7), "The token has no valid user id."),
            ("sub", json!("x".repeat(256)), "The token has no valid user id."),
        ] {
            assert_eq!(check(&with(name, value.clone()), &rules()), Err(reason), "{name}: {value}");
        }
    }

    #[test]
    fn without_configured_issuers_and_audiences_any_is_accepted_but_that_for_watching() {
        let rules = TokenRules::default();
        for aud in [json!(null), json!([]), json!("anything")] {
            assert!(check(&with("aud", aud), &rules).is_ok());
        }
        for aud in [json!("moc-uploads-progress"), json!(["anything", "moc-uploads-progress"])] {
            assert_eq!(check(&with("aud", aud), &rules), Err("The token is for watching an upload."));
        }
    }

    #[test]
    fn the_user_comes_from_the_configured_claim() {
        let rules = TokenRules { user_claim: "https://example.com/uid".into(), ..rules() };
        assert_eq!(check(&with("https://example.com/uid", json!("bob")), &rules).as_deref(), Ok("bob"));
        for value in [json!(null), json!(""), json!(7), json!(["bob"]), json!("a\nb")] {
            let claims = with("https://example.com/uid", value);
            assert_eq!(check(&claims, &rules), Err("The token has no valid user id."), "{claims}");
        }
        assert_eq!(check(&good(), &rules), Err("The token has no valid user id."));
    }

    #[test]
    fn every_required_scope_is_needed() {
        let rules = TokenRules { required_scopes: vec!["a".into(), "b:c".into()], ..TokenRules::default() };
        let has = |claims: Value| has_scopes(claims.as_object().unwrap(), &rules);
        assert!(has(json!({ "scope": "openid a b:c" })));
        assert!(has(json!({ "scp": "b:c a" })));
        assert!(has(json!({ "scp": ["a", "b:c"] })));
        assert!(has(json!({ "scope": "a", "scp": ["b:c"] })));
        for claims in [
            json!({}),
            json!({ "scope": "a" }),
            json!({ "scope": "A B:C" }),
            json!({ "scope": "ab:c" }),
            json!({ "scope": null, "scp": 7 }),
            json!({ "permissions": ["a", "b:c"] }),
        ] {
            assert!(!has(claims.clone()), "{claims}");
        }
        assert!(has_scopes(&Map::new(), &TokenRules::default()));
    }
}
