//! Authentication: the bearer token of a request (RFC 6750), verified (RFC 7519); and the tokens that let
//! a browser watch its session.

mod claims;
mod jwk_set;
mod page;
mod provider;
pub mod watch_token;

use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, get_current_timestamp};
use moc_config::{AuthSettings, TokenKey};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::UserId;
use serde_json::Value;
use url::Url;

use crate::http::Request;
use crate::log::RequestLog;
use crate::settings;

/// Longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// The user who sends a request.
///
/// # Errors
/// [`ErrorKind::Unauthorized`], with the reason for the log; [`ErrorKind::ForeignOrigin`];
/// [`ErrorKind::IssuerUnavailable`] or
/// [`ErrorKind::StoreUnavailable`] if the keys to verify a token with are unknown; [`ErrorKind::Internal`] if the
/// configuration cannot be read.
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
        AuthSettings::Closed => return Err(rejected("no way to verify a token is configured")),
        AuthSettings::Token { key, issuer, audience } => {
            provider::install();
            let token = bearer(request)?;
            let (issuer, audience) = (issuer.as_deref(), audience.as_deref());
            let (key, algorithm) = match key {
                TokenKey::Secret(secret) => (DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256),
                TokenKey::JwkSet(url) => key_for(token, url, issuer, audience).await?,
            };
            subject(token, &key, algorithm, issuer, audience)?
        }
    };
    log.set("user", user.as_str());
    Ok(user)
}

fn rejected(cause: impl Into<String>) -> Error {
    Error::with_source(ErrorKind::Unauthorized, cause)
}

fn bearer(request: &Request) -> Result<&str, Error> {
    let header = request.only_header("authorization").ok_or_else(|| rejected("not one Authorization header"))?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(rejected("not a bearer token")),
    };
    if token.len() > TOKEN_MAX_BYTES { Err(rejected("the token is too long")) } else { Ok(token) }
}

/// The issuer's key for a token, and the one algorithm that goes with its kind: the token's header chooses a key at
/// most, never how it is verified. A token that would be rejected anyway causes no fetch of keys.
async fn key_for(
    token: &str,
    url: &Url,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<(DecodingKey, Algorithm), Error> {
    let unverified = insecure_decode::<Value>(token).map_err(|error| rejected(error.to_string()))?;
    let header = unverified.header;
    let can_be_valid = claims::can_be_valid(&unverified.claims, issuer, audience, get_current_timestamp());
    if !can_be_valid || !jwk_set::is_possible(header.alg) {
        return Err(rejected("the algorithm or a claim is not valid"));
    }
    let keys = jwk_set::find(url, &header).await?;
    let jwk = jwk_set::choose(&keys, &header).ok_or_else(|| rejected("no key is for this token"))?;
    let key = DecodingKey::from_jwk(jwk).map_err(|error| rejected(error.to_string()))?;
    Ok((key, header.alg))
}

fn subject(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<UserId, Error> {
    let mut validation = Validation::new(algorithm);
    let mut required = vec!["exp"];
    validation.leeway = claims::LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.validate_aud = audience.is_some();
    if let Some(audience) = audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    if let Some(issuer) = issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    let token = decode::<Value>(token, key, &validation).map_err(|error| rejected(error.to_string()))?;
    // RFC 7515, section 4.1.11: a critical parameter that is not understood makes a token invalid.
    if token.header.crit.is_some() {
        return Err(rejected("the token has critical header parameters"));
    }
    claims::user(&token.claims).ok_or_else(|| rejected("the subject is invalid, or the token is for watching"))
}
