//! Sessions: their states, their lives, and what they still allow.

use crate::error::ErrorKind;
use crate::id::{MocId, SessionId, UserId};
use crate::limits::{LEASE_MS, SESSION_EXTEND_BELOW_MS, SESSION_LIFETIME_MS};
use crate::time::Timestamp;

/// The state that the store keeps; an expired session is still `Active` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Takes files and parts.
    Active,
    /// One finalize works on it.
    Finalizing,
    /// Published as a MOC.
    Finalized,
    /// Cancelled by its user.
    Cancelled,
}

impl Status {
    /// The name in the store and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Finalizing => "finalizing",
            Self::Finalized => "finalized",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Finalizing, Self::Finalized, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One user's upload of one MOC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    /// The owner; for other users the session does not exist.
    pub user: UserId,
    pub status: Status,
    /// Bytes of every part but a file's last.
    pub part_size_bytes: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends unless activity extends it.
    pub expires_at: Timestamp,
    /// When the finalize that works on it has taken or renewed its lock.
    pub finalizing_at: Option<Timestamp>,
    /// What it became.
    pub moc_id: Option<MocId>,
    /// The number of its last change: see [`SessionProgress::sequence`].
    pub sequence: u64,
}

/// What shows whether anything of a session has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionProgress {
    /// The number of the session's last change that watchers see. It begins with [`FIRST_SEQUENCE`] and grows with
    /// every change of the session's status, of its files, and of what is stored of them; an extension of its life
    /// leaves it as it is.
    pub sequence: u64,
    pub status: Status,
    pub expires_at: Timestamp,
    /// The owner.
    pub user: UserId,
    /// What it became.
    pub moc_id: Option<MocId>,
}

/// The sequence of a session that was created and has not changed since.
pub const FIRST_SEQUENCE: u64 = 1;

impl Session {
    /// Whether it can still change: it is active and not expired, or being finalized.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Active | Status::Finalizing) && now < self.expires_at
    }

    /// Whether nothing of it changes any more: it is finalized, cancelled or expired. A finalize may go on after the
    /// session's time.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Finalized | Status::Cancelled) || self.is_expired(now)
    }

    /// Whether it has expired. Only an active session expires.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.status == Status::Active && now >= self.expires_at
    }

    /// The state on the wire: as stored, or `expired`.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> &'static str {
        if self.is_expired(now) { "expired" } else { self.status.as_str() }
    }

    /// Checks that files and parts are still accepted.
    ///
    /// # Errors
    /// [`ErrorKind::SessionExpired`], [`ErrorKind::FinalizeInProgress`] or [`ErrorKind::SessionNotActive`].
    pub fn accepts_uploads(&self, now: Timestamp) -> Result<(), ErrorKind> {
        match self.status {
            Status::Active if self.is_expired(now) => {
                Err(ErrorKind::SessionExpired { expires_at: self.expires_at, now })
            }
            Status::Active => Ok(()),
            Status::Finalizing => Err(ErrorKind::FinalizeInProgress),
            Status::Finalized | Status::Cancelled => Err(ErrorKind::SessionNotActive { status: self.status }),
        }
    }

    /// When its lock was taken or renewed last.
    #[must_use]
    pub fn locked_at(&self) -> Timestamp {
        self.finalizing_at.unwrap_or(self.created_at)
    }

    /// Whether the lease of the finalize that has locked it is over.
    #[must_use]
    pub fn lock_is_stale(&self, now: Timestamp) -> bool {
        self.status == Status::Finalizing && now.millis_since(self.locked_at()) >= LEASE_MS
    }

    /// The end that activity at `now` gives the session: 30 minutes more where fewer than 10 are
    /// left, never beyond `lifetime_max_ms` after its creation. `None` if nothing changes.
    #[must_use]
    pub fn extended(&self, now: Timestamp, lifetime_max_ms: i64) -> Option<Timestamp> {
        if self.expires_at.millis_since(now) >= SESSION_EXTEND_BELOW_MS {
            return None;
        }
        let longest = self.created_at.plus_millis(lifetime_max_ms);
        let end = self.expires_at.plus_millis(SESSION_LIFETIME_MS).min(longest);
        (end > self.expires_at).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + minutes * MINUTE)
    }

    fn session(status: Status) -> Option<Session> {
        Some(Session {
            id: SessionId::new(at(0), [0; 10]),
            user: UserId::parse("user")?,
            status,
            part_size_bytes: 5 << 20,
            created_at: at(0),
            expires_at: at(30),
            finalizing_at: (status == Status::Finalizing).then(|| at(5)),
            moc_id: None,
            sequence: FIRST_SEQUENCE,
        })
    }

    #[test]
    fn activity_extends_only_below_ten_minutes_and_never_beyond_the_longest_life() {
        let Some(mut session) = session(Status::Active) else { panic!("a session") };
        assert_eq!(session.extended(at(20), 24 * 60 * MINUTE), None);
        assert_eq!(session.extended(at(21), 24 * 60 * MINUTE), Some(at(60)));
        assert_eq!(session.extended(at(21), 40 * MINUTE), Some(at(40)));
        session.expires_at = at(40);
        assert_eq!(session.extended(at(39), 40 * MINUTE), None);
    }

    #[test]
    fn only_an_active_session_in_time_takes_uploads() {
        let check = |status, minutes| session(status).map(|session| session.accepts_uploads(at(minutes)));
        assert_eq!(check(Status::Active, 29), Some(Ok(())));
        assert!(matches!(check(Status::Active, 30), Some(Err(ErrorKind::SessionExpired { .. }))));
        assert_eq!(check(Status::Finalizing, 1), Some(Err(ErrorKind::FinalizeInProgress)));
        for status in [Status::Finalized, Status::Cancelled] {
            assert_eq!(check(status, 99), Some(Err(ErrorKind::SessionNotActive { status })));
        }
    }

    #[test]
    fn a_lock_is_stale_after_its_lease() {
        let stale = |status, ms| session(status).map(|session| session.lock_is_stale(at(5).plus_millis(ms)));
        assert_eq!(stale(Status::Finalizing, LEASE_MS - 1), Some(false));
        assert_eq!(stale(Status::Finalizing, LEASE_MS), Some(true));
        assert_eq!(stale(Status::Active, 99 * LEASE_MS), Some(false));
    }

    #[test]
    fn states_have_names() {
        for status in [Status::Active, Status::Finalizing, Status::Finalized, Status::Cancelled] {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(session(Status::Active).map(|s| s.status_at(at(30))), Some("expired"));
        assert_eq!(session(Status::Finalized).map(|s| s.status_at(at(30))), Some("finalized"));
    }

    #[test]
    fn a_session_has_ended_when_nothing_can_change_it() {
        let ended = |status, minutes| session(status).map(|session| session.has_ended(at(minutes)));
        assert_eq!((ended(Status::Active, 29), ended(Status::Active, 30)), (Some(false), Some(true)));
        // A finalize goes on after the session's time.
        assert_eq!(ended(Status::Finalizing, 99), Some(false));
        assert_eq!((ended(Status::Finalized, 0), ended(Status::Cancelled, 0)), (Some(true), Some(true)));
    }
}
