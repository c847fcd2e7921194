//! The circuit breaker of a server that has failed. With Spin the pause is kept in the key-value store too: instances
//! are short-lived, and each component has its own.

use std::cell::Cell;
use std::thread::LocalKey;
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_domain::time::Timestamp;

use crate::platform::{WasiPlatform, within};
use crate::{background, host};

/// Longest time that writing the pause may take: a response may wait for that.
const KEEPING_MAX: Duration = Duration::from_secs(1);

/// How long an instance trusts what it has read in the store.
const TRUSTED_MS: i64 = 1_000;

/// What an instance knows of the pause of one server.
pub struct Breaker {
    /// The entry of the key-value store: the end of the pause, in milliseconds since the Unix epoch, a space, and the
    /// address of the server, so that another one is not kept waiting.
    entry: &'static str,
    pause_ms: i64,
    /// When the pause ends, as far as this instance knows.
    ends: Cell<Timestamp>,
    /// When it has last asked what others have kept.
    asked: Cell<Timestamp>,
}

impl Breaker {
    pub const fn new(entry: &'static str, pause_ms: i64) -> Self {
        let never = Timestamp::from_millis(0);
        Self { entry, pause_ms, ends: Cell::new(never), asked: Cell::new(never) }
    }

    /// Never longer than the pause, should a clock have been wrong.
    fn is_pause(&self, now: Timestamp) -> bool {
        (1..=self.pause_ms).contains(&self.ends.get().millis_since(now))
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        self.is_pause(now) || (0..TRUSTED_MS).contains(&now.millis_since(self.asked.get()))
    }

    fn learn(&self, kept: Option<Timestamp>, now: Timestamp) {
        if let Some(kept) = kept {
            self.ends.set(self.ends.get().max(kept));
        }
        // Only now: whoever asks meanwhile must not take a missing response for one.
        self.asked.set(now);
    }
}

/// Whether nothing is sent to the server at this address at present.
pub async fn is_open(breaker: &'static LocalKey<Breaker>, address: &str) -> bool {
    let now = WasiPlatform.now();
    if !breaker.with(|breaker| breaker.is_settled(now)) {
        let kept = kept(breaker.with(|breaker| breaker.entry), address).await;
        breaker.with(|breaker| breaker.learn(kept, now));
    }
    is_known_open(breaker)
}

/// As far as this instance knows.
pub fn is_known_open(breaker: &'static LocalKey<Breaker>) -> bool {
    breaker.with(|breaker| breaker.is_pause(WasiPlatform.now()))
}

/// Begins a pause; `false` if there is one already, because another request was first.
pub async fn open(breaker: &'static LocalKey<Breaker>, address: &str) -> bool {
    let now = WasiPlatform.now();
    let Some((name, ends)) = breaker.with(|breaker| {
        let ends = now.plus_millis(breaker.pause_ms);
        (!breaker.is_pause(now)).then(|| {
            breaker.ends.set(ends);
            (breaker.entry, ends)
        })
    }) else {
        return false;
    };
    let entry = format!("{} {address}", ends.as_millis());
    background::run(async move {
        // Others find out by themselves if it cannot be kept.
        within(Instant::now() + KEEPING_MAX, host::share(name, entry.into_bytes())).await;
    })
    .await;
    true
}

async fn kept(name: &str, address: &str) -> Option<Timestamp> {
    let entry = host::shared(name).await?;
    let (ends, of) = std::str::from_utf8(&entry).ok()?.split_once(' ')?;
    if of == address { Some(Timestamp::from_millis(ends.parse().ok()?)) } else { None }
}
