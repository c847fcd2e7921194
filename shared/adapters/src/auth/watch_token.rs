//! Tokens that let a browser watch its session, here or at the broadcaster.

use std::rc::Rc;

use moc_application::watch_secret::{self, KnownSecret};
use moc_config::WATCH_AUDIENCE;
use moc_contract::path;
use moc_contract::response::WatchUrls;
use moc_domain::error::Error;
use moc_domain::limits::WATCH_TOKEN_MAX_SECONDS;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde_json::json;

use super::token;
use crate::log;
use crate::platform::WasiPlatform;
use crate::settings;
use crate::store::Store;

thread_local! {
    static KNOWN: Rc<KnownSecret> = Rc::default();
}

/// The secret of tokens that the database has, which sign them where none is configured.
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
    match signed_urls(store, session, now).await {
        Ok(urls) => urls,
        Err(error) => {
            // The session is worth more than a way to watch it.
            let cause = error.source.unwrap_or_default();
            log::warn(&format!("no token to watch a session with can be signed: {cause}"));
            WatchUrls::default()
        }
    }
}

async fn signed_urls(store: &Store, session: &Session, now: Timestamp) -> Result<WatchUrls, Error> {
    let settings = settings::watch().await?;
    let secret: Rc<str> = match &settings.secret {
        Some(secret) => secret.as_str().into(),
        None => stored_secret(store).await?,
    };
    let seconds = |time: Timestamp| time.as_millis().div_euclid(1000);
    let iat = seconds(now);
    let claims = json!({
        "sub": session.user.as_str(),
        "sessionId": session.id.to_string(),
        "aud": WATCH_AUDIENCE,
        "iat": iat,
        "exp": seconds(session.expires_at).min(iat + WATCH_TOKEN_MAX_SECONDS),
    });
    let Some(token) = token::sign(&secret, &claims) else { return Ok(WatchUrls::default()) };
    Ok(WatchUrls {
        websocket: settings.server.as_ref().map(|server| format!("{server}/session/{}?token={token}", session.id)),
        events: Some(format!("{}?token={token}", path::watch(session.id))),
    })
}
