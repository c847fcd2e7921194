//! Who may watch a session, and which proxy may ask for its watchers.

use moc_application::port::Platform as _;
use moc_contract::watch::{WRONG_TOKEN, WatchRequest};
use moc_contract::websocket_events::SIGNATURE;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::SessionId;

use crate::auth::{WRONG_SIGNATURE, grip, watch_token};
use crate::http::Request;
use crate::platform::WasiPlatform;
use crate::{settings, store};

/// What a client gets that is no GRIP proxy of ours.
const UNSIGNED: &str =
    "WebSocket events are only taken from a GRIP proxy that signs its requests with pushpin_grip_key.";

/// Lets a request through that has a token for watching this session: see [`WatchRequest`].
///
/// # Errors
/// [`ErrorKind::Forbidden`], with the reason for the log; [`ErrorKind::Internal`] if the configuration cannot be read;
/// the store's.
pub async fn authorize(request: &Request, session: SessionId) -> Result<(), Error> {
    let keys = settings::watch_keys().await?;
    let watch = WatchRequest { query: request.query(), original_uri: original_uri(request) };
    let forbidden = |reason| Error::with_source(ErrorKind::Forbidden { reason: WRONG_TOKEN }, reason);
    let token = watch.token(session).ok_or("The request has not one token, or is for another session.");
    let (token, now) = (token.map_err(forbidden)?, WasiPlatform.now());
    match watch_token::verify(&keys.secrets, token, session, now) {
        // Of all that can be wrong, it is what the secret in the database may change.
        Err(WRONG_SIGNATURE) => {
            let stored = watch_token::stored_secret(&store::open().await?).await?;
            watch_token::verify(&[stored.as_ref()], token, session, now).map_err(forbidden)
        }
        verified => verified.map_err(forbidden),
    }
}

/// What a client has asked of the proxy that sends this request: the proxy only wants to know whether to let it in.
#[must_use]
pub fn original_uri(request: &Request) -> Option<&str> {
    request.header("x-original-uri")
}

/// Lets a request of a GRIP proxy through.
///
/// # Errors
/// As [`authorize`].
pub async fn authorize_proxy(request: &Request) -> Result<(), Error> {
    let keys = settings::watch_keys().await?;
    let verified = match (&keys.grip_key, request.only_header(SIGNATURE)) {
        (None, _) => Err("pushpin_grip_key is not set"),
        (_, None) => Err("The request has not one Grip-Sig header."),
        (Some(key), Some(signature)) => grip::verify(key, signature, WasiPlatform.now()),
    };
    verified.map_err(|reason| Error::with_source(ErrorKind::Forbidden { reason: UNSIGNED }, reason))
}
