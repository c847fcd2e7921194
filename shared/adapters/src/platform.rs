//! The clock, randomness and waiting, of WASI.

use std::future::pending;
use std::pin::pin;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::future::{Either, join, select};
use moc_application::port::Platform;
use moc_domain::time::Timestamp;
use spin_sdk::wasip3::{clocks::monotonic_clock, random::random};

/// WASI's clocks and random numbers.
pub struct WasiPlatform;

impl Platform for WasiPlatform {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        let drawn = random::get_random_u64().to_le_bytes().into_iter().chain(random::get_random_u64().to_le_bytes());
        bytes.iter_mut().zip(drawn).for_each(|(byte, random)| *byte = random);
        bytes
    }

    async fn sleep(&self, millis: u64) {
        monotonic_clock::wait_for(millis.saturating_mul(1_000_000)).await;
    }
}

/// As [`WasiPlatform`], for the work of a request, which has to be over at a time.
#[derive(Clone, Copy)]
pub struct RequestPlatform {
    pub ends_at: Option<Timestamp>,
}

impl Platform for RequestPlatform {
    fn now(&self) -> Timestamp {
        WasiPlatform.now()
    }

    fn random(&self) -> [u8; 10] {
        WasiPlatform.random()
    }

    async fn sleep(&self, millis: u64) {
        WasiPlatform.sleep(millis).await;
    }

    fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }
}

/// Does two things at once.
pub async fn both(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    join(first, second).await;
}

/// The output of a future, if it is ready before the deadline.
pub(crate) async fn within<T>(deadline: impl Into<Option<Instant>>, future: impl Future<Output = T>) -> Option<T> {
    let deadline = deadline.into();
    let over = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => pending().await,
        }
    };
    match select(pin!(future), pin!(over)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// Waits for a point in time.
pub(crate) async fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    monotonic_clock::wait_for(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)).await;
}
