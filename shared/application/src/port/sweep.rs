//! What ended sessions, counters and deliveries leave in the store, and its removal.

use moc_domain::id::{MocId, SessionId};
use moc_domain::limits::{SESSION_COUNTS_KEPT_MS, SWEEP_AFTER_MS, SWEEP_LEASE_MS, WEBHOOK_DELIVERED_KEPT_MS};
use moc_domain::time::Timestamp;

use super::StoreError;

/// What is due at some time: whatever ended, or began, at one of these times or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Sessions to sweep, by their end.
    pub ended: Timestamp,
    /// Finalized sessions whose rows are to be removed, by their end; `None` if they are kept.
    pub retired: Option<Timestamp>,
    /// Counts of users' sessions and of their bytes, by the beginning of their window.
    pub counts: Timestamp,
    /// Delivered webhooks, by the end of their last attempt's lease.
    pub deliveries: Timestamp,
}

impl Due {
    /// What is due at `now`, where finalized sessions are kept for `retention_ms`.
    #[must_use]
    pub fn at(now: Timestamp, retention_ms: Option<i64>) -> Self {
        Self {
            ended: now.plus_millis(-SWEEP_AFTER_MS),
            retired: retention_ms.map(|retention_ms| now.plus_millis(-retention_ms)),
            counts: now.plus_millis(-SESSION_COUNTS_KEPT_MS),
            deliveries: now.plus_millis(-WEBHOOK_DELIVERED_KEPT_MS),
        }
    }
}

/// How much is due, each counted up to [`moc_domain::limits::SWEEP_COUNT_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Sessions to sweep.
    pub sessions: u64,
    /// Finalized sessions whose rows are to be removed.
    pub retired: u64,
    /// Counts of users' sessions and of their bytes.
    pub counts: u64,
    /// Delivered webhooks.
    pub deliveries: u64,
    /// Webhooks that were given up. They stay until an operator has them sent again.
    pub failed_deliveries: u64,
}

/// The right to sweep a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepClaim {
    pub session: SessionId,
    /// As if the session had ended then: it is due again when the lease is over.
    pub leased: Timestamp,
}

impl SweepClaim {
    /// A claim that holds for [`SWEEP_LEASE_MS`] from the time at which this is due.
    #[must_use]
    pub fn new(session: SessionId, due: &Due) -> Self {
        Self { session, leased: Self::leased(due) }
    }

    /// See [`SweepClaim::leased`].
    #[must_use]
    pub fn leased(due: &Due) -> Timestamp {
        due.ended.plus_millis(SWEEP_LEASE_MS)
    }
}

/// Failed deliveries that an operator asks to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Those of these MOCs.
    Of(Vec<MocId>),
    /// So many, those first whose last attempt was first.
    Oldest(u64),
}

/// What is left behind in the store. Each method is one statement, or several that may be interrupted between any two,
/// and has the same effect when it runs again, so any number of sweeps may work at once.
pub trait Sweeps {
    /// Whether a session is to be swept.
    async fn has_ended_sessions(&self, due: &Due) -> Result<bool, StoreError>;
    /// How much is due.
    async fn backlog(&self, due: &Due) -> Result<Backlog, StoreError>;
    /// Claims the session that has been due longest, for [`SWEEP_LEASE_MS`]. One that has expired is cancelled with
    /// that: nothing can change it or its files any more.
    async fn claim_ended(&self, due: &Due) -> Result<Option<SweepClaim>, StoreError>;
    /// Ends a claim: the session is due again as if it had ended at `ended`. Does nothing if the claim is no longer the
    /// last one.
    async fn put_back(&self, claim: &SweepClaim, ended: Timestamp) -> Result<(), StoreError>;
    /// Records that the bucket has nothing of a finalized session but its MOC's objects.
    async fn mark_swept(&self, session: SessionId) -> Result<(), StoreError>;
    /// Finalized sessions that were swept and whose rows are to be removed, `count` at most.
    async fn retired_sessions(&self, due: &Due, count: u64) -> Result<Vec<SessionId>, StoreError>;
    /// Deletes the rows of a session with its files and parts, [`moc_domain::limits::SWEEP_ROWS_MAX`] parts at most, if
    /// it is cancelled and its files are cleared, or finalized and swept. `true` once there is no such session.
    async fn remove_session(&self, session: SessionId) -> Result<bool, StoreError>;
    /// Deletes counts of users' sessions and of their bytes, [`moc_domain::limits::SWEEP_ROWS_MAX`] of each at most;
    /// returns their number.
    async fn remove_counts(&self, due: &Due) -> Result<u64, StoreError>;
    /// Deletes the records of delivered webhooks, as many at most; returns their number.
    async fn remove_deliveries(&self, due: &Due) -> Result<u64, StoreError>;
    /// Makes failed deliveries due as if they had never been attempted, if the lease of the last attempt is over at
    /// `now`; returns their number.
    async fn resend(&self, which: &Resend, now: Timestamp) -> Result<u64, StoreError>;
}
