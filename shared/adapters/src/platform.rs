//! The clock, randomness and waiting, of WASI.

use std::time::{SystemTime, UNIX_EPOCH};

use moc_application::port::Platform;
use moc_domain::time::Timestamp;
use spin_sdk::wasip3::{clocks::monotonic_clock, random::random};

/// WASI's clocks and random numbers.
pub struct Wasi;

impl Platform for Wasi {
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
