//! Thumbnails that are to be made: the attempts of one, and the pauses between them.

use crate::id::MocId;
use crate::limits::{THUMBNAIL_ATTEMPTS_MAX, THUMBNAIL_PAUSES_MS};

/// The right to make the thumbnail of a MOC, held until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThumbnailClaim {
    pub moc: MocId,
    /// The number of this attempt, from 1. One that a crash has interrupted counts.
    pub attempt: u32,
}

/// What the last attempt at a thumbnail came to that can be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastAttempt {
    /// Nothing is known of one: there was none, or it was interrupted.
    Unknown,
    /// It has failed, and why was recorded.
    Failed,
}

impl ThumbnailClaim {
    /// Whether so many attempts were interrupted that another would be too.
    #[must_use]
    pub const fn is_worn_out(&self) -> bool {
        self.attempt > THUMBNAIL_ATTEMPTS_MAX
    }

    /// How long to wait after this attempt has failed, in milliseconds; `None` if it was the last.
    #[must_use]
    pub fn pause_ms(&self) -> Option<i64> {
        let index = usize::try_from(self.attempt).ok()?.checked_sub(1)?;
        THUMBNAIL_PAUSES_MS.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_third_attempt_is_the_last() {
        let claim = |attempt| ThumbnailClaim { moc: MocId::new(Timestamp::from_millis(1), [0; 10]), attempt };
        let pauses: Vec<Option<i64>> = (0..=4).map(|attempt| claim(attempt).pause_ms()).collect();
        assert_eq!(pauses, [None, Some(5_000), Some(300_000), None, None]);
        assert!(!claim(THUMBNAIL_ATTEMPTS_MAX).is_worn_out() && claim(THUMBNAIL_ATTEMPTS_MAX + 1).is_worn_out());
    }
}
