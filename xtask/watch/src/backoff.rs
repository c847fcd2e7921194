//! Pauses between attempts.

use std::time::Duration;

/// Most attempts in a row that bring nothing.
const TRIES_MAX: u32 = 10;
/// The longest pause, in first ones.
const LONGEST: u32 = 40;

/// Pauses that grow, up to a limit, and come to an end.
pub struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// After an attempt that has brought something.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after an attempt; none where it was the last.
    pub fn next(&mut self) -> Option<Duration> {
        self.failures += 1;
        let factor = 1_u32.checked_shl(self.failures - 1).map_or(LONGEST, |factor| factor.min(LONGEST));
        (self.failures <= TRIES_MAX).then(|| self.first * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::new(Duration::from_millis(250));
        let pauses: Vec<_> = std::iter::from_fn(|| backoff.next()).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]);
        assert_eq!(backoff.next(), None);
        backoff.reset();
        assert_eq!(backoff.next(), Some(Duration::from_millis(250)));
    }
}
