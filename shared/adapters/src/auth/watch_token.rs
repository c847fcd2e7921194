//! Tokens that let a browser watch its session at the broadcaster.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use moc_config::WATCH_AUDIENCE;
use moc_domain::limits::WATCH_TOKEN_MAX_SECONDS;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde::Serialize;

use super::provider;
use crate::settings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    sub: &'a str,
    session_id: String,
    aud: &'static str,
    iat: i64,
    exp: i64,
}

/// Where the session's events can be watched, until it ends and for an hour at most. `None` if
/// no broadcaster is open to clients, and for a session that has ended.
pub async fn url(session: &Session, now: Timestamp) -> Option<String> {
    let settings = settings::watch().await.ok()?;
    let settings = settings.as_ref().as_ref()?;
    if !session.is_open(now) {
        return None;
    }
    let seconds = |time: Timestamp| time.as_millis().div_euclid(1000);
    let iat = seconds(now);
    let claims = Claims {
        sub: session.user.as_str(),
        session_id: session.id.to_string(),
        aud: WATCH_AUDIENCE,
        iat,
        exp: seconds(session.expires_at).min(iat + WATCH_TOKEN_MAX_SECONDS),
    };
    provider::install();
    let key = EncodingKey::from_secret(settings.secret.as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).ok()?;
    Some(format!("{}/session/{}?token={token}", settings.server, session.id))
}
