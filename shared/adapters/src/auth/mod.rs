//! Authentication: the bearer token of a request (RFC 6750), verified (RFC 7519); and the tokens that let
//! a browser watch its session.

mod algorithm;
mod claims;
pub(crate) mod grip;
mod issuer;
mod key_set;
mod page;
mod token;
pub mod watch_token;

use moc_application::port::Platform as _;
use moc_config::{AuthSettings, TokenKey};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::UserId;
use moc_domain::time::Timestamp;
use serde_json::{Map, Value};

use self::algorithm::{Algorithm, verifies_hs256};
use self::token::Token;
use crate::http::Request;
use crate::log::RequestLog;
use crate::platform::WasiPlatform;
use crate::settings;

/// Longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// What is wrong with a token that no key has signed.
pub(crate) const WRONG_SIGNATURE: &str = "The signature of the token is not valid.";

/// The user who sends a request.
///
/// # Errors
/// [`ErrorKind::Unauthorized`], [`ErrorKind::InvalidToken`] or [`ErrorKind::InsufficientScope`], with the reason for
/// the log; [`ErrorKind::ForeignOrigin`]; [`ErrorKind::IssuerUnavailable`] or [`ErrorKind::StoreUnavailable`] if the
/// keys to verify a token with are unknown; [`ErrorKind::Internal`] if the configuration cannot be read.
pub async fn user(request: &Request, log: &RequestLog) -> Result<UserId, Error> {
    let settings = settings::auth().await?;
    let user = match &*settings {
        AuthSettings::Bypass(user) => {
            let allowed = settings::cors().await?;
            // A preflight does nothing, and its response says the same to all.
            let asks_only = request.method() == "OPTIONS";
            if !asks_only && page::is_foreign(request.authority(), request.header_lines("origin"), &allowed) {
                return Err(ErrorKind::ForeignOrigin.into());
            }
            user.clone()
        }
        AuthSettings::Closed => return Err(missing("no way to verify a token is configured")),
        AuthSettings::Token { key, rules } => {
            let token = Token::parse(bearer(request)?).map_err(invalid)?;
            // Before the signature: a token that would be rejected anyway causes no fetch of keys.
            let now_seconds = WasiPlatform.now().as_millis().max(0).unsigned_abs() / 1000;
            let user = claims::user(&token.claims, rules, now_seconds).map_err(invalid)?;
            if !is_signed(&token, key).await? {
                return Err(invalid(WRONG_SIGNATURE));
            }
            if !claims::has_scopes(&token.claims, rules) {
                let scope = rules.required_scopes.join(" ");
                let cause = format!("the token lacks a scope of jwt_required_scope: {scope}");
                return Err(Error::with_source(ErrorKind::InsufficientScope { scope }, cause));
            }
            user
        }
    };
    log.set("user", user.as_str());
    Ok(user)
}

fn missing(cause: &str) -> Error {
    Error::with_source(ErrorKind::Unauthorized, cause)
}

fn invalid(reason: &'static str) -> Error {
    Error::with_source(ErrorKind::InvalidToken { reason }, reason)
}

fn bearer(request: &Request) -> Result<&str, Error> {
    let header = request.only_header("authorization").ok_or_else(|| missing("not one Authorization header"))?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(missing("not a bearer token")),
    };
    if token.len() > TOKEN_MAX_BYTES { Err(invalid("The token is too long.")) } else { Ok(token) }
}

/// Whether the signature of a token is valid. The kind of the key decides how it is verified: a token with another
/// algorithm has no key.
async fn is_signed(token: &Token<'_>, key: &TokenKey) -> Result<bool, Error> {
    let is_hs256 = token.algorithm == Algorithm::Hs256;
    match key {
        TokenKey::Secrets { current, previous } if is_hs256 => Ok(is_signed_with(token, current, previous.as_deref())),
        TokenKey::JwkSet(url) if !is_hs256 => issuer::has_signed(url, token).await,
        _ => Err(invalid("The algorithm of the token is not accepted.")),
    }
}

fn is_signed_with(token: &Token<'_>, current: &str, previous: Option<&str>) -> bool {
    let secrets = [Some(current), previous].into_iter().flatten();
    is_signed_with_any(token, secrets.map(str::as_bytes))
}

/// Whether a token is signed with HS256 and one of these secrets.
fn is_signed_with_any<'a>(token: &Token<'_>, secrets: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let verifies = |secret| verifies_hs256(secret, token.message, &token.signature);
    token.algorithm == Algorithm::Hs256 && secrets.into_iter().any(verifies)
}

/// The claims of a token that one of these secrets has signed and that has not expired.
///
/// # Errors
/// A sentence that says what is wrong.
fn signed_claims<'a>(
    token: &str,
    secrets: impl IntoIterator<Item = &'a [u8]>,
    now: Timestamp,
) -> Result<Map<String, Value>, &'static str> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err("The token is too long.");
    }
    let token = Token::parse(token)?;
    let now_seconds = now.as_millis().max(0).unsigned_abs() / 1000;
    if claims::expires(&token.claims)? <= now_seconds as f64 {
        return Err("The token has expired.");
    }
    if !is_signed_with_any(&token, secrets) {
        return Err(WRONG_SIGNATURE);
    }
    Ok(token.claims)
}

#[cfg(test)]
mod tests;
