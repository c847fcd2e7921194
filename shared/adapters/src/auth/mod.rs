//! Authentication: the bearer token of a request (RFC 6750), verified (RFC 7519); and the tokens that let
//! a browser watch its session.

mod jwk_set;
mod provider;
pub mod watch_token;

use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moc_config::{AuthSettings, TokenKey};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::UserId;
use serde::Deserialize;

use crate::http::Request;
use crate::log::RequestLog;
use crate::settings;

/// Longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// How far the clocks of the issuer and of this server may be apart.
const LEEWAY_SECONDS: u64 = 5;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// The user who sends a request.
///
/// # Errors
/// [`ErrorKind::Unauthorized`], with the reason for the log; [`ErrorKind::Internal`] where the
/// configuration cannot be read.
pub async fn user(request: &Request, log: &RequestLog) -> Result<UserId, Error> {
    let settings = settings::auth().await?;
    let user = match &*settings {
        AuthSettings::Bypass(user) => user.clone(),
        AuthSettings::Closed => return Err(rejected("no way to verify a token is configured")),
        AuthSettings::Token { key, issuer, audience } => {
            provider::install();
            let token = bearer(request)?;
            let (key, algorithm) = key_for(key, token).await?;
            subject(token, &key, algorithm, issuer.as_deref(), audience.as_deref())?
        }
    };
    log.set("user", user.as_str());
    Ok(user)
}

fn rejected(cause: impl Into<String>) -> Error {
    Error::with_source(ErrorKind::Unauthorized, cause)
}

fn bearer(request: &Request) -> Result<&str, Error> {
    let header = request.header("authorization").ok_or_else(|| rejected("no Authorization header"))?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(rejected("not a bearer token")),
    };
    if token.len() > TOKEN_MAX_BYTES { Err(rejected("the token is too long")) } else { Ok(token) }
}

/// The key, and the one algorithm that goes with its kind: the token's header chooses a key by its
/// id at most, never how it is verified.
async fn key_for(key: &TokenKey, token: &str) -> Result<(DecodingKey, Algorithm), Error> {
    let url = match key {
        TokenKey::Secret(secret) => return Ok((DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)),
        TokenKey::JwkSet(url) => url,
    };
    let header = decode_header(token).map_err(|error| rejected(error.to_string()))?;
    let jwk = jwk_set::find(url, header.kid.as_deref()).await?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
        _ => return Err(rejected("the key is neither RSA nor of an elliptic curve")),
    };
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| rejected(error.to_string()))?;
    Ok((key, algorithm))
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
    validation.leeway = LEEWAY_SECONDS;
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
    let token = decode::<Claims>(token, key, &validation).map_err(|error| rejected(error.to_string()))?;
    // RFC 7515, section 4.1.11: a critical parameter that is not understood makes a token invalid.
    if token.header.crit.is_some() {
        return Err(rejected("the token has critical header parameters"));
    }
    UserId::parse(&token.claims.sub)
        .ok_or_else(|| rejected("the subject is empty, too long, or has control characters"))
}
