//! What the receiver of a webhook gets: a small JSON body, and the headers of
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use moc_domain::delivery::MocFinalized;
use moc_domain::id::MocId;
use moc_domain::time::Timestamp;
use serde::Serialize;
use sha2::Sha256;

/// What stands before a secret in base64.
const SECRET_PREFIX: &str = "whsec_";

/// Who sends it.
pub const USER_AGENT: &str = concat!("moc-uploads/", env!("CARGO_PKG_VERSION"));

/// The body of a webhook.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MocFinalized))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload<'a> {
    /// Always `moc.finalized`.
    event: &'static str,
    moc_id: String,
    /// The session that it was made of.
    session_id: String,
    user_id: &'a str,
    /// When it was made.
    timestamp: String,
}

/// The body: the same on every attempt. What it holds always serialises.
#[must_use]
pub fn payload(event: &MocFinalized) -> Vec<u8> {
    let payload = Payload {
        event: "moc.finalized",
        moc_id: event.moc.to_string(),
        session_id: event.session.to_string(),
        user_id: event.user.as_str(),
        timestamp: event.at.to_string(),
    };
    serde_json::to_vec(&payload).unwrap_or_default()
}

/// The response of a sweep.
#[derive(Debug, Serialize)]
pub struct SweepResponse {
    /// Deliveries that the receiver has taken in this sweep.
    pub delivered: u64,
    /// Deliveries that were given up in it.
    pub failed: u64,
    /// All that are not settled yet: left for want of time, waiting for their next attempt, or somebody else's.
    pub pending: u64,
}

/// `webhook-id`: the same on every attempt, since a MOC has one event.
#[must_use]
pub fn message_id(moc: MocId) -> String {
    format!("msg_{moc}")
}

/// `webhook-timestamp`: when an attempt is made, in seconds.
#[must_use]
pub const fn timestamp(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(1000)
}

/// What webhooks are signed with.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a secret: base64 after `whsec_`, or any other text as its bytes. `None` for one that is
    /// empty, or no base64 after `whsec_`.
    #[must_use]
    pub fn parse(secret: &str) -> Option<Self> {
        let bytes = match secret.strip_prefix(SECRET_PREFIX) {
            Some(encoded) => BASE64_STANDARD.decode(encoded).ok()?,
            None => secret.as_bytes().to_vec(),
        };
        if bytes.is_empty() { None } else { Some(Self(bytes)) }
    }

    /// `webhook-signature`: HMAC-SHA256 (RFC 2104) of id, time and body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
        format!("v1,{}", BASE64_STANDARD.encode(mac.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use moc_domain::id::{SessionId, UserId};

    use super::*;

    /// The example of the reference libraries.
    #[test]
    fn is_signed_as_the_reference_signs() {
        let key = SigningKey::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            key.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn a_secret_is_base64_or_text() {
        let key = |secret| SigningKey::parse(secret).map(|key| key.0);
        assert_eq!(key("whsec_YWJj"), Some(b"abc".to_vec()));
        assert_eq!(key("YWJj"), Some(b"YWJj".to_vec()));
        for broken in ["", "whsec_", "whsec_YWJ", "whsec_a secret"] {
            assert_eq!(key(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_body_says_what_was_made() {
        let at = Timestamp::from_millis(1_769_342_400_007);
        let (moc, session) = (MocId::new(at, [1; 10]), SessionId::new(at, [2; 10]));
        let event = MocFinalized { moc, session, user: UserId::parse("a\"b").unwrap(), at };
        let expected = format!(
            "{{\"event\":\"moc.finalized\",\"mocId\":\"{moc}\",\"sessionId\":\"{session}\",\"userId\":\"a\\\"b\",\
             \"timestamp\":\"2026-01-25T12:00:00.007Z\"}}"
        );
        assert_eq!(String::from_utf8(payload(&event)).unwrap(), expected);
        assert_eq!(message_id(moc), format!("msg_{moc}"));
        assert_eq!(timestamp(at), 1_769_342_400);
    }
}
