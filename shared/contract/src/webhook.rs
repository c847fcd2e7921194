//! What the receiver of a webhook gets: a small JSON body, and the headers of
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use moc_domain::delivery::MocFinalized;
use moc_domain::id::MocId;
use moc_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who sends it.
pub const USER_AGENT: &str = concat!("moc-uploads/", env!("CARGO_PKG_VERSION"));

/// The body of a webhook.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MocFinalized))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Payload<'a> {
    /// Always `moc.finalized`.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::MocFinalizedEvent))]
    event: &'static str,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    moc_id: String,
    /// The session that it was made of.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    session_id: String,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::UserId))]
    user_id: &'a str,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
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

/// The response of a sweep of webhooks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
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

#[cfg(test)]
mod tests {
    use moc_domain::id::{SessionId, UserId};

    use super::*;

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
