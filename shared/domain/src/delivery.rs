//! The delivery of a webhook: its attempts, and the pauses between them.

use crate::id::{MocId, SessionId, UserId};
use crate::limits::{WEBHOOK_ATTEMPT_TIMEOUT_MS, WEBHOOK_ATTEMPTS_MAX, WEBHOOK_BACKOFF_MS, WEBHOOK_CLAIMS_MAX};
use crate::time::Timestamp;

/// The event of a webhook: a MOC was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MocFinalized {
    pub moc: MocId,
    /// The session that it was made of.
    pub session: SessionId,
    pub user: UserId,
    /// When it was made.
    pub at: Timestamp,
}

/// The right to attempt a delivery, held until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub event: MocFinalized,
    /// The number of this attempt, from 1. One that a crash has interrupted counts.
    pub attempt: u32,
    /// The end of the lease: from then on another instance may claim the delivery.
    pub leased_until: Timestamp,
}

impl Claim {
    /// Whether an attempt that begins now ends before the lease does.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now.plus_millis(WEBHOOK_ATTEMPT_TIMEOUT_MS) <= self.leased_until
    }

    /// Whether so many attempts were interrupted that another would be too.
    #[must_use]
    pub const fn is_worn_out(&self) -> bool {
        self.attempt > WEBHOOK_CLAIMS_MAX
    }

    /// How long to wait after this attempt has failed, in milliseconds; `None` if it was the last. The
    /// last is made again only if a crash has hidden what became of it.
    #[must_use]
    pub fn pause_ms(&self) -> Option<i64> {
        if self.attempt >= WEBHOOK_ATTEMPTS_MAX {
            return None;
        }
        let index = usize::try_from(self.attempt).ok()?.checked_sub(1)?;
        WEBHOOK_BACKOFF_MS.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(attempt: u32) -> Claim {
        let at = Timestamp::from_millis(1_000);
        let user = UserId::parse("dev-user").unwrap();
        let event = MocFinalized { moc: MocId::new(at, [1; 10]), session: SessionId::new(at, [2; 10]), user, at };
        Claim { event, attempt, leased_until: at.plus_millis(WEBHOOK_ATTEMPT_TIMEOUT_MS) }
    }

    #[test]
    fn the_fourth_try_is_the_last_and_the_pauses_double() {
        let pauses: Vec<Option<i64>> = (0..=6).map(|attempt| claim(attempt).pause_ms()).collect();
        assert_eq!(pauses, [None, Some(1_000), Some(2_000), Some(4_000), None, None, None]);
    }

    #[test]
    fn a_try_fits_into_its_lease_or_is_not_begun() {
        assert!(claim(1).holds(Timestamp::from_millis(1_000)));
        assert!(!claim(1).holds(Timestamp::from_millis(1_001)));
    }

    #[test]
    fn tries_that_are_always_cut_short_end() {
        assert!(!claim(WEBHOOK_CLAIMS_MAX).is_worn_out());
        assert!(claim(WEBHOOK_CLAIMS_MAX + 1).is_worn_out());
    }
}
