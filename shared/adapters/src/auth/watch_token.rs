//! Tokens that let a browser watch its session at the broadcaster.

use moc_config::WATCH_AUDIENCE;
use moc_domain::limits::WATCH_TOKEN_MAX_SECONDS;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde_json::json;

use super::token;
use crate::settings;

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
    let claims = json!({
        "sub": session.user.as_str(),
        "sessionId": session.id.to_string(),
        "aud": WATCH_AUDIENCE,
        "iat": iat,
        "exp": seconds(session.expires_at).min(iat + WATCH_TOKEN_MAX_SECONDS),
    });
    let token = token::sign(&settings.secret, &claims)?;
    Some(format!("{}/session/{}?token={token}", settings.server, session.id))
}
