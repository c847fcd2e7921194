//! The issuer of users' tokens, over HTTP.

use std::rc::Rc;
use std::time::{Duration, Instant};

use moc_application::issuer_keys::{self, KnownKeys};
use moc_application::port::Issuer;
use moc_contract::webhook::USER_AGENT;
use moc_domain::error::Error;
use moc_domain::limits::{KEY_SET_FETCH_MAX_MS, KEY_SET_MAX_BYTES};
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use super::key_set::KeySet;
use super::token::Token;
use crate::outbound::{self, Payload};
use crate::platform::{WasiPlatform, within};
use crate::{log, store};

thread_local! {
    static KNOWN: Rc<KnownKeys<KeySet>> = Rc::default();
}

/// Whether a key of the set at this URL has signed a token.
///
/// # Errors
/// Those of [`issuer_keys::find`].
pub async fn has_signed(url: &Url, token: &Token<'_>) -> Result<bool, Error> {
    let (known, issuer) = (KNOWN.with(Rc::clone), HttpIssuer(url));
    let choose = |keys: &KeySet| keys.has_signed(token);
    Box::pin(issuer_keys::find(&store::open().await?, &issuer, &WasiPlatform, &known, choose)).await
}

/// The issuer whose key set is at this URL.
struct HttpIssuer<'a>(&'a Url);

impl Issuer for HttpIssuer<'_> {
    type Keys = KeySet;

    fn url(&self) -> &str {
        self.0.as_str()
    }

    async fn fetch(&self) -> Result<String, String> {
        let fetching = async {
            let headers = [("accept", "application/jwk-set+json, application/json"), ("user-agent", USER_AGENT)];
            let reply = outbound::send(Method::Get, self.0, &headers, Payload::Empty).await?;
            let status = reply.status;
            Ok((status, reply.read(KEY_SET_MAX_BYTES, true).await?))
        };
        let fetched = within(Instant::now() + Duration::from_millis(KEY_SET_FETCH_MAX_MS), fetching).await;
        let (status, bytes) =
            fetched.ok_or("no whole response in time")?.map_err(|error: outbound::SendError| error.to_string())?;
        match status {
            200 => String::from_utf8(bytes).map_err(|_| "not UTF-8".into()),
            // It may lead to a host that is not granted.
            300..400 => Err(format!("status {status}, and redirects are not followed")),
            _ => Err(format!("status {status}")),
        }
    }

    fn parse(&self, document: &str) -> Result<KeySet, String> {
        KeySet::parse(document)
    }

    fn failed(&self, cause: &str) {
        log::warn(&format!("the keys at jwt_jwks_url cannot be fetched: {cause}"));
    }
}
