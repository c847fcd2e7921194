//! Requests for a sweep, and what it responds. Operators send them; clients do not.

use moc_domain::error::{ErrorKind, FieldError};
use moc_domain::id::MocId;
use moc_domain::limits::{SWEEP_SESSIONS_DEFAULT, SWEEP_SESSIONS_MAX, VALIDATION_ERRORS_MAX, WEBHOOK_RESEND_MAX};
use serde::{Deserialize, Serialize};

use crate::webhook;

/// Body of `POST /sweep`. It may be absent: each field has a default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SweepBody {
    /// Most sessions to sweep, [`SWEEP_SESSIONS_DEFAULT`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Whether webhooks that are due are sent: `true` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<bool>,
    /// MOCs whose failed webhooks are sent again, [`WEBHOOK_RESEND_MAX`] at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resend: Vec<String>,
    /// How many other failed webhooks are sent again, the oldest first: none if absent, [`WEBHOOK_RESEND_MAX`] at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_failed: Option<u64>,
}

/// What a request asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSweep {
    pub sessions: u64,
    pub webhooks: bool,
    pub resend: Vec<MocId>,
    pub resend_failed: u64,
}

impl SweepBody {
    /// A sweep of so many sessions and nothing else.
    #[must_use]
    pub fn of_sessions(sessions: u64) -> Self {
        Self { sessions: Some(sessions), webhooks: Some(false), ..Self::default() }
    }

    /// Checks the bounds of all fields.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    pub fn check(&self) -> Result<WantedSweep, ErrorKind> {
        let mut errors = Vec::new();
        let mut bounded = |pointer: &str, number: u64, max: u64| {
            if number > max {
                errors.push(FieldError::new(pointer, format!("must be at most {max}")));
            }
            number
        };
        let sessions = bounded("/sessions", self.sessions.unwrap_or(SWEEP_SESSIONS_DEFAULT), SWEEP_SESSIONS_MAX);
        let most = WEBHOOK_RESEND_MAX as u64;
        let resend_failed = bounded("/resendFailed", self.resend_failed.unwrap_or(0), most);
        bounded("/resend", self.resend.len() as u64, most);
        let mut resend = Vec::with_capacity(self.resend.len().min(WEBHOOK_RESEND_MAX));
        for (index, id) in self.resend.iter().enumerate().take(WEBHOOK_RESEND_MAX) {
            match MocId::parse(id) {
                Some(id) => resend.push(id),
                None => errors.push(FieldError::new(format!("/resend/{index}"), "must be the id of a MOC")),
            }
        }
        errors.truncate(VALIDATION_ERRORS_MAX);
        if errors.is_empty() {
            Ok(WantedSweep { sessions, webhooks: self.webhooks.unwrap_or(true), resend, resend_failed })
        } else {
            Err(ErrorKind::Invalid { errors })
        }
    }
}

/// What was done with sessions.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweptSessions {
    /// Expired and cancelled ones that were removed, and finalized ones whose rows were, after their retention.
    pub removed: u64,
    /// Finalized ones of which the bucket has nothing any more but their MOCs' objects.
    pub cleared: u64,
    /// Those that could not be cleared, or not to the end. A later sweep goes on.
    pub postponed: u64,
}

/// What is due still, each counted up to 1,000.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepLeft {
    /// Sessions, finalized ones whose retention is over included.
    pub sessions: u64,
    /// Counts of users' sessions.
    pub counts: u64,
    /// Records of delivered webhooks.
    pub deliveries: u64,
    /// Webhooks that were given up, which stay until they are sent again.
    pub failed_webhooks: u64,
}

/// The response of a sweep.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepResponse {
    pub sessions: SweptSessions,
    /// Uploads and objects without a record that were removed from the bucket.
    pub leftovers: u64,
    /// Counts of users' sessions that were deleted.
    pub counts: u64,
    /// Records of delivered webhooks that were deleted.
    pub deliveries: u64,
    /// Failed webhooks that are due again, or were sent in this sweep.
    pub resent: u64,
    /// `null` if no receiver is configured, if it was not asked for, or if the webhook sender did not respond.
    pub webhooks: Option<webhook::SweepResponse>,
    pub left: SweepLeft,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn check(body: &str) -> Result<WantedSweep, ErrorKind> {
        crate::body::read::<SweepBody>(&mut body.as_bytes().to_vec())?.check()
    }

    #[test]
    fn each_field_has_a_default() {
        let default =
            WantedSweep { sessions: SWEEP_SESSIONS_DEFAULT, webhooks: true, resend: Vec::new(), resend_failed: 0 };
        assert_eq!((check("{}"), SweepBody::default().check()), (Ok(default.clone()), Ok(default.clone())));
        let all = format!("{{\"sessions\":0,\"webhooks\":false,\"resend\":[\"{ID}\"],\"resendFailed\":100}}");
        let resend = vec![MocId::parse(ID).unwrap()];
        assert_eq!(check(&all), Ok(WantedSweep { sessions: 0, webhooks: false, resend, resend_failed: 100 }));
        let sent = serde_json::to_string(&SweepBody::of_sessions(2)).unwrap();
        assert_eq!(sent, "{\"sessions\":2,\"webhooks\":false}");
        assert_eq!(check(&sent), Ok(WantedSweep { sessions: 2, webhooks: false, ..default }));
    }

    #[test]
    fn every_bound_is_named() {
        let wrong = |body: &str| match check(body) {
            Err(ErrorKind::Invalid { errors }) => {
                errors.into_iter().map(|error| (error.pointer, error.message)).collect::<Vec<_>>()
            }
            other => panic!("{body}: {other:?}"),
        };
        let field = |pointer: &str, message: &str| (pointer.to_owned(), message.to_owned());
        let body = "{\"sessions\":1001,\"resend\":[\"x\"],\"resendFailed\":101}";
        let expected = [
            field("/sessions", "must be at most 1000"),
            field("/resendFailed", "must be at most 100"),
            field("/resend/0", "must be the id of a MOC"),
        ];
        assert_eq!(wrong(body), expected);
        let many = vec![ID; WEBHOOK_RESEND_MAX + 1];
        let body = serde_json::json!({ "resend": many }).to_string();
        assert_eq!(wrong(&body), [field("/resend", "must be at most 100")]);
        for body in ["{\"sessions\":-1}", "{\"webhooks\":1}", "{\"all\":true}", "[]"] {
            assert_eq!(wrong(body).len(), 1, "{body}");
        }
    }
}
