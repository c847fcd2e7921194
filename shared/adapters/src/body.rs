//! The body of a request or a response.

use std::cell::Cell;
use std::time::{Duration, Instant};

use moc_domain::pace::Pace;
use spin_sdk::wasip3::http::types::{ErrorCode, Trailers};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::platform::sleep_until;

/// Bytes that pass through the guest at once.
pub const PASS_BYTES: usize = 256 * 1024;

/// A body that the guest has not read yet.
pub struct Body {
    pub bytes: StreamReader<u8>,
    /// Resolves once all of them are read, or with why they are not.
    pub end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
}

/// The next bytes, or `None` at the end.
pub async fn read(bytes: &mut StreamReader<u8>) -> Option<Vec<u8>> {
    loop {
        let (result, chunk) = bytes.read(Vec::with_capacity(PASS_BYTES)).await;
        match result {
            _ if !chunk.is_empty() => return Some(chunk),
            StreamResult::Complete(_) => {}
            _ => return None,
        }
    }
}

/// Measures the time that transfers of bytes take, and sees when they have stopped.
#[derive(Default)]
pub struct PaceMeter {
    pace: Cell<Pace>,
    waiting_since: Cell<Option<Instant>>,
    waited: Cell<Duration>,
}

impl PaceMeter {
    /// Awaits a transfer of as many bytes as `count` says of its outcome.
    pub async fn measure<T>(&self, transfer: impl Future<Output = T>, count: impl FnOnce(&T) -> usize) -> T {
        let began = Instant::now();
        self.waiting_since.set(Some(began));
        let outcome = transfer.await;
        self.waiting_since.set(None);
        let waited = began.elapsed();
        self.waited.set(self.waited.get() + waited);
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let mut pace = self.pace.get();
        pace.arrived(waited_ms, count(&outcome) as u64);
        self.pace.set(pace);
        outcome
    }

    /// How long the transfers so far have taken together.
    pub fn waited(&self) -> Duration {
        self.waited.get()
    }

    /// As [`read`].
    pub async fn read(&self, bytes: &mut StreamReader<u8>) -> Option<Vec<u8>> {
        self.measure(read(bytes), |chunk| chunk.as_ref().map_or(0, Vec::len)).await
    }

    /// When the transfer that goes on is too slow, or, from `now` on, the next one can be.
    pub fn due(&self, now: Instant) -> Instant {
        self.waiting_since.get().unwrap_or(now) + Duration::from_millis(self.pace.get().patience_ms())
    }

    /// Resolves when a transfer is too slow, or at the deadline.
    pub async fn overdue(&self, deadline: Instant) {
        loop {
            let now = Instant::now();
            let due = self.due(now).min(deadline);
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }
}
