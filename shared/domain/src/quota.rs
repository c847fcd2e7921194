//! What one user may have and register.

use crate::error::ErrorKind;
use crate::limits::{OPEN_UPLOADS_PAUSE_MS, QUOTA_DAY_MS, RATE_WINDOW_MS};
use crate::time::Timestamp;

/// A quota that time cures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Sessions that are created in an hour.
    SessionsPerHour,
    /// Sessions that are active or being finalized, and have not expired.
    OpenSessions,
    /// Files of open sessions that are not completed.
    OpenUploads,
    /// Bytes of files that are registered in a day (UTC).
    BytesPerDay,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SessionsPerHour, Self::OpenSessions, Self::OpenUploads, Self::BytesPerDay];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionsPerHour => "sessions-per-hour",
            Self::OpenSessions => "open-sessions",
            Self::OpenUploads => "open-uploads",
            Self::BytesPerDay => "bytes-per-day",
        }
    }

    /// The length of the window that it counts in, in milliseconds; `None` for one that counts what is there now.
    #[must_use]
    pub const fn window_ms(self) -> Option<i64> {
        match self {
            Self::SessionsPerHour => Some(RATE_WINDOW_MS),
            Self::BytesPerDay => Some(QUOTA_DAY_MS),
            Self::OpenSessions | Self::OpenUploads => None,
        }
    }

    /// The error of who has used it up until `next_allowed_at`.
    #[must_use]
    pub fn used_up(self, limit: u64, next_allowed_at: Timestamp, now: Timestamp) -> ErrorKind {
        let wait_ms = u64::try_from(next_allowed_at.millis_since(now)).unwrap_or(0);
        let retry_after_seconds = wait_ms.div_ceil(1000).max(1);
        ErrorKind::RateLimitExceeded { quota: self, limit, retry_after_seconds, next_allowed_at }
    }
}

/// When the window of this length began that `now` is in.
#[must_use]
pub const fn window_start(now: Timestamp, window_ms: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(window_ms))
}

/// What a user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub open_sessions: u64,
    /// When the first of these expires.
    pub first_expires_at: Option<Timestamp>,
    pub open_uploads: u64,
    /// Bytes that were registered today.
    pub day_bytes: u64,
}

/// Quotas of a new session; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionQuotas {
    /// Sessions that are created in an hour.
    pub per_hour: Option<u64>,
    /// Sessions that are open.
    pub open: Option<u64>,
    /// Total size of the files of one session, in bytes.
    pub bytes: Option<u64>,
}

impl SessionQuotas {
    /// Checks the total size of the files that are declared.
    ///
    /// # Errors
    /// [`ErrorKind::QuotaExceeded`].
    pub fn check_declared(&self, bytes: u64) -> Result<(), ErrorKind> {
        at_most(bytes, self.bytes)
    }

    /// Checks what the user has open.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimitExceeded`].
    pub fn check_open(&self, usage: &Usage, now: Timestamp) -> Result<(), ErrorKind> {
        match self.open.filter(|limit| usage.open_sessions >= *limit) {
            Some(limit) => Err(Quota::OpenSessions.used_up(limit, usage.first_expires_at.unwrap_or(now), now)),
            None => Ok(()),
        }
    }
}

/// Quotas of a new file; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileQuotas {
    /// Files of the user's open sessions that are not completed.
    pub open_uploads: Option<u64>,
    /// Total size of the files of one session, in bytes.
    pub session_bytes: Option<u64>,
    /// Size of the files that the user registers in a day, in bytes.
    pub day_bytes: Option<u64>,
}

impl FileQuotas {
    /// Whether there is no quota at all.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Whether any depends on what the user has in other sessions.
    #[must_use]
    pub const fn counts_usage(&self) -> bool {
        self.open_uploads.is_some() || self.day_bytes.is_some()
    }

    /// Checks the total size of a session with the file.
    ///
    /// # Errors
    /// [`ErrorKind::QuotaExceeded`].
    pub fn check_session(&self, bytes: u64) -> Result<(), ErrorKind> {
        at_most(bytes, self.session_bytes)
    }

    /// Checks what the user has before a file with `added_bytes` more than the one that it replaces.
    ///
    /// # Errors
    /// [`ErrorKind::QuotaExceeded`] for a file larger than a whole day's quota, or [`ErrorKind::RateLimitExceeded`].
    pub fn check_usage(&self, added_bytes: u64, usage: &Usage, now: Timestamp) -> Result<(), ErrorKind> {
        at_most(added_bytes, self.day_bytes)?;
        if let Some(limit) = self.day_bytes.filter(|limit| usage.day_bytes.saturating_add(added_bytes) > *limit) {
            let next_day = window_start(now, QUOTA_DAY_MS).plus_millis(QUOTA_DAY_MS);
            return Err(Quota::BytesPerDay.used_up(limit, next_day, now));
        }
        match self.open_uploads.filter(|limit| usage.open_uploads >= *limit) {
            Some(limit) => {
                let soon = now.plus_millis(OPEN_UPLOADS_PAUSE_MS);
                let next = usage.first_expires_at.map_or(soon, |expires_at| expires_at.min(soon));
                Err(Quota::OpenUploads.used_up(limit, next, now))
            }
            None => Ok(()),
        }
    }
}

fn at_most(bytes: u64, limit: Option<u64>) -> Result<(), ErrorKind> {
    match limit.filter(|limit| bytes > *limit) {
        Some(limit_bytes) => Err(ErrorKind::QuotaExceeded { limit_bytes }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(20_000 * QUOTA_DAY_MS + QUOTA_DAY_MS / 2);

    #[test]
    fn a_day_begins_at_midnight_utc() {
        assert_eq!(window_start(NOON, QUOTA_DAY_MS).to_string(), "2024-10-04T00:00:00.000Z");
        assert_eq!(window_start(Timestamp::from_millis(-1), 1_000), Timestamp::from_millis(-1_000));
    }

    #[test]
    fn bytes_of_a_day_are_a_matter_of_time_unless_no_day_has_room() {
        let quotas = FileQuotas { day_bytes: Some(100), ..FileQuotas::default() };
        let used = |day_bytes| Usage { day_bytes, ..Usage::default() };
        assert_eq!(quotas.check_usage(40, &used(60), NOON), Ok(()));
        let next_allowed_at = NOON.plus_millis(QUOTA_DAY_MS / 2);
        let error = ErrorKind::RateLimitExceeded {
            quota: Quota::BytesPerDay,
            limit: 100,
            retry_after_seconds: 12 * 3_600,
            next_allowed_at,
        };
        assert_eq!(quotas.check_usage(41, &used(60), NOON), Err(error));
        assert_eq!(quotas.check_usage(101, &used(0), NOON), Err(ErrorKind::QuotaExceeded { limit_bytes: 100 }));
    }

    #[test]
    fn the_next_open_session_is_allowed_when_the_first_one_expires() {
        let quotas = SessionQuotas { open: Some(2), ..SessionQuotas::default() };
        let first_expires_at = Some(NOON.plus_millis(1_500));
        let usage = |open_sessions| Usage { open_sessions, first_expires_at, ..Usage::default() };
        assert_eq!(quotas.check_open(&usage(1), NOON), Ok(()));
        let Err(ErrorKind::RateLimitExceeded { retry_after_seconds, next_allowed_at, .. }) =
            quotas.check_open(&usage(2), NOON)
        else {
            panic!("two are enough")
        };
        assert_eq!((retry_after_seconds, Some(next_allowed_at)), (2, first_expires_at));
    }

    #[test]
    fn whoever_has_too_many_open_uploads_looks_again_soon() {
        let quotas = FileQuotas { open_uploads: Some(3), ..FileQuotas::default() };
        let usage = |expires_in_ms| Usage {
            open_uploads: 3,
            first_expires_at: Some(NOON.plus_millis(expires_in_ms)),
            ..Usage::default()
        };
        let next = |expires_in_ms| match quotas.check_usage(1, &usage(expires_in_ms), NOON) {
            Err(ErrorKind::RateLimitExceeded { next_allowed_at, .. }) => next_allowed_at.millis_since(NOON),
            other => panic!("{other:?}"),
        };
        assert_eq!((next(1_000), next(3_600_000)), (1_000, OPEN_UPLOADS_PAUSE_MS));
    }
}
