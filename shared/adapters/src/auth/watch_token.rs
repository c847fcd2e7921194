//! Tokens that let a browser watch its session.

use std::rc::Rc;

use moc_application::watch_secret::{self, KnownSecret};
use moc_config::WATCH_AUDIENCE;
use moc_contract::path;
use moc_contract::response::WatchUrls;
use moc_domain::error::Error;
use moc_domain::id::SessionId;
use moc_domain::limits::WATCH_TOKEN_MAX_SECONDS;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde_json::{Value, json};

use super::{claims, signed_claims, token};
use crate::platform::WasiPlatform;
use crate::store::Store;
use crate::{log, settings};

thread_local! {
    static KNOWN: Rc<KnownSecret> = Rc::default();
}

/// The secret of tokens that the database has, which signs them where none is configured.
///
/// # Errors
/// Those of [`watch_secret::find`].
pub async fn stored_secret(store: &Store) -> Result<Rc<str>, Error> {
    let known = KNOWN.with(Rc::clone);
    watch_secret::find(store, &WasiPlatform, &known).await
}

/// Where a session can be watched, until it ends and for an hour at most: nowhere once it has ended. Without a
/// broadcaster that is open to clients there is no URL for WebSocket.
pub async fn urls(store: &Store, session: &Session, now: Timestamp) -> WatchUrls {
    if !session.is_open(now) {
        return WatchUrls::default();
    }
    signed_urls(store, session, now).await.unwrap_or_else(|error| {
        // The session is worth more than a way to watch it.
        let cause = error.source.unwrap_or_default();
        log::warn(&format!("no token for watching can be signed: {cause}"));
        WatchUrls::default()
    })
}

async fn signed_urls(store: &Store, session: &Session, now: Timestamp) -> Result<WatchUrls, Error> {
    let settings = settings::watch().await?;
    let claims = claims_of(session, settings.names_channels, now);
    let token = match &settings.secret {
        Some(secret) => token::sign(secret, &claims),
        None => token::sign(&stored_secret(store).await?, &claims),
    };
    let Some(token) = token else { return Ok(WatchUrls::default()) };
    Ok(WatchUrls {
        websocket: settings.server.as_ref().map(|server| format!("{server}/session/{}?token={token}", session.id)),
        events: Some(format!("{}?token={token}", path::watch(session.id))),
    })
}

/// What a token says. Centrifugo subscribes its bearer to the `channels` that it names.
fn claims_of(session: &Session, names_channels: bool, now: Timestamp) -> Value {
    let seconds = |time: Timestamp| time.as_millis().div_euclid(1000);
    let (id, iat) = (session.id.to_string(), seconds(now));
    let mut claims = json!({
        "sub": session.user.as_str(),
        "sessionId": id,
        "aud": WATCH_AUDIENCE,
        "iat": iat,
        "exp": seconds(session.expires_at).min(iat + WATCH_TOKEN_MAX_SECONDS),
    });
    if let (true, Some(claims)) = (names_channels, claims.as_object_mut()) {
        claims.insert("channels".into(), json!([id]));
    }
    claims
}

/// Accepts a token that one of these secrets has signed for watching this session.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn verify(
    secrets: &[impl AsRef<[u8]>],
    token: &str,
    session: SessionId,
    now: Timestamp,
) -> Result<(), &'static str> {
    let claims = signed_claims(token, secrets.iter().map(AsRef::as_ref), now)?;
    if !claims::texts(&claims, "aud").any(|audience| audience == WATCH_AUDIENCE) {
        return Err("The token is not for watching.");
    }
    if claims.get("sessionId").and_then(Value::as_str) != Some(session.to_string().as_str()) {
        return Err("The token is for another session.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use moc_config::TokenRules;
    use moc_domain::id::UserId;
    use moc_domain::session::Status;

    use super::*;
    use crate::auth::token::Token;

    const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
    const PREVIOUS: &str = "another-secret-of-thirty-two-bytes-";
    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn id(last: u8) -> SessionId {
        SessionId::parse(&format!("01890a5d-ac96-774b-bcce-b302099a805{last}")).unwrap()
    }

    fn good() -> Value {
        json!({ "sub": "alice", "sessionId": id(1).to_string(), "aud": WATCH_AUDIENCE, "iat": 1_000_000, "exp": 1_000_001 })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    fn check(secret: &str, claims: &Value) -> Result<(), &'static str> {
        verify(&[SECRET, PREVIOUS], &token::sign(secret, claims).unwrap(), id(1), NOW)
    }

    #[test]
    fn a_token_of_any_of_the_secrets_lets_watch_its_session() {
        for secret in [SECRET, PREVIOUS] {
            assert_eq!(check(secret, &good()), Ok(()));
            assert_eq!(check(secret, &with("aud", json!(["more", WATCH_AUDIENCE]))), Ok(()));
            assert_eq!(check(secret, &with("channels", json!([id(1).to_string()]))), Ok(()));
        }
    }

    #[test]
    fn every_other_token_is_rejected_with_its_reason() {
        for (name, value, reason) in [
            ("exp", json!(1_000_000), "The token has expired."),
            ("exp", json!(null), "The token has no expiration time."),
            ("exp", json!("1000001"), "A time in the token is not a number."),
            ("aud", json!(null), "The token is not for watching."),
            ("aud", json!("uploads"), "The token is not for watching."),
            ("sessionId", json!(id(2).to_string()), "The token is for another session."),
            ("sessionId", json!(null), "The token is for another session."),
            ("sessionId", json!([id(1).to_string()]), "The token is for another session."),
        ] {
            assert_eq!(check(SECRET, &with(name, value.clone())), Err(reason), "{name}: {value}");
        }
        let unsigned = Err("The signature of the token is not valid.");
        assert_eq!(check("a-secret-that-nobody-has-configured", &good()), unsigned);
        let compact = token::sign(SECRET, &good()).unwrap();
        assert_eq!(verify(&[] as &[&str], &compact, id(1), NOW), unsigned, "no secret");
        let (signed, _) = compact.rsplit_once('.').unwrap();
        assert_eq!(verify(&[SECRET], &format!("{signed}."), id(1), NOW), unsigned);
        assert_eq!(verify(&[SECRET], "token", id(1), NOW), Err("The token is malformed."));
        assert_eq!(verify(&[SECRET], &"x".repeat(8_193), id(1), NOW), Err("The token is too long."));
    }

    /// Whatever secrets are configured: those of users' tokens and of tokens for watching may be the same.
    #[test]
    fn a_users_token_watches_nothing_and_a_token_for_watching_is_no_users() {
        let user = json!({ "sub": "alice", "exp": 1_000_001, "aud": "uploads", "sessionId": id(1).to_string() });
        assert_eq!(check(SECRET, &user), Err("The token is not for watching."));
        let compact = token::sign(SECRET, &good()).unwrap();
        let claims = Token::parse(&compact).unwrap().claims;
        assert!(claims::user(&claims, &TokenRules::default(), 1_000_000).is_err());
    }

    #[test]
    fn what_is_signed_is_verified_and_names_a_channel_for_centrifugo_alone() {
        let user = UserId::parse("alice").unwrap();
        let session = Session {
            id: id(1),
            user,
            status: Status::Active,
            part_size_bytes: 5,
            created_at: NOW,
            expires_at: NOW.plus_millis(60_000),
            finalizing_at: None,
            moc_id: None,
            sequence: 1,
        };
        for names_channels in [false, true] {
            let claims = claims_of(&session, names_channels, NOW);
            assert_eq!(check(SECRET, &claims), Ok(()));
            let channels = names_channels.then(|| json!([id(1).to_string()]));
            assert_eq!(claims.get("channels"), channels.as_ref());
            assert_eq!((&claims["sub"], &claims["iat"]), (&json!("alice"), &json!(1_000_000)));
        }
    }
}
