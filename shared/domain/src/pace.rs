//! How fast a body has to arrive.

use crate::limits::{BODY_PACE_MIN_BYTES, BODY_PACE_WINDOW_MS, BODY_SILENCE_MAX_MS};

/// Watches the arrival of a body. Only time spent waiting for the sender counts, so one that is held up by the
/// receiver is never too slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Of the current window.
    waited_ms: u64,
    bytes: u64,
}

impl Pace {
    /// Counts bytes that came after a wait.
    pub const fn arrived(&mut self, waited_ms: u64, bytes: u64) {
        self.waited_ms = self.waited_ms.saturating_add(waited_ms);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= BODY_PACE_MIN_BYTES {
            *self = Self { waited_ms: 0, bytes: 0 };
        }
    }

    /// How much longer the sender may keep the receiver waiting for its next byte, in milliseconds.
    #[must_use]
    pub const fn patience_ms(&self) -> u64 {
        let left_ms = BODY_PACE_WINDOW_MS.saturating_sub(self.waited_ms);
        if left_ms < BODY_SILENCE_MAX_MS { left_ms } else { BODY_SILENCE_MAX_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::KIB;

    /// How long a sender lasts that sends so many bytes after each pause; `None` if it is never too slow.
    fn given_up_after_ms(pause_ms: u64, bytes: u64) -> Option<u64> {
        let mut pace = Pace::default();
        let mut elapsed_ms = 0;
        while elapsed_ms < 3_600_000 {
            if pause_ms > pace.patience_ms() {
                return Some(elapsed_ms + pace.patience_ms());
            }
            pace.arrived(pause_ms, bytes);
            elapsed_ms += pause_ms;
        }
        None
    }

    #[test]
    fn ordinary_senders_are_never_too_slow() {
        // 256 kbit/s by four parts at once.
        assert_eq!(given_up_after_ms(125, KIB), None);
        // A phone that sleeps for 15 seconds, again and again.
        assert_eq!(given_up_after_ms(15_000, 16 * KIB), None);
        // Not much more than the least.
        assert_eq!(given_up_after_ms(950, KIB), None);
        // A fast sender that pauses for a moment.
        assert_eq!(given_up_after_ms(19_999, 100 * 1024 * KIB), None);
    }

    #[test]
    fn a_silent_one_is_given_up_after_twenty_seconds() {
        assert_eq!(given_up_after_ms(1_000_000, 1), Some(20_000));
        let mut pace = Pace::default();
        pace.arrived(0, 5 * 1024 * KIB - 1);
        assert_eq!(pace.patience_ms(), 20_000);
    }

    #[test]
    fn one_that_trickles_is_given_up_after_a_minute() {
        assert_eq!(given_up_after_ms(10_000, 1), Some(60_000));
        assert_eq!(given_up_after_ms(1_100, KIB), Some(60_000));
    }
}
