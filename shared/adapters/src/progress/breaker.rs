//! The circuit breaker of a broadcaster that has failed. With Spin the pause is kept in the key-value store too:
//! instances are short-lived, and each route has its own.

use std::cell::Cell;
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_domain::limits::BROADCASTER_PAUSE_MS;
use moc_domain::time::Timestamp;

use crate::platform::{WasiPlatform, within};
use crate::{background, host, log};

/// The entry of the key-value store: the end of the pause, in milliseconds since the Unix epoch, a
/// space, and the address of the broadcaster, so that another one is not kept waiting.
const ENTRY: &str = "broadcaster-pause-ends";

/// Longest time that writing it may take: a response may wait for that.
const KEEPING_MAX: Duration = Duration::from_secs(1);

/// How long an instance trusts what it has read there.
const TRUSTED_MS: i64 = 1_000;

thread_local! {
    /// When the pause ends, as far as this instance knows.
    static ENDS: Cell<Timestamp> = const { Cell::new(Timestamp::from_millis(0)) };
    /// When it has last asked what others have kept.
    static ASKED: Cell<Timestamp> = const { Cell::new(Timestamp::from_millis(0)) };
}

/// Whether nothing is sent to the broadcaster at this address at present.
pub async fn is_open(api_url: &str) -> bool {
    let now = WasiPlatform.now();
    if !is_pause(now) && !(0..TRUSTED_MS).contains(&now.millis_since(ASKED.get())) {
        if let Some(kept) = kept(api_url).await {
            ENDS.set(ENDS.get().max(kept));
        }
        // Only now: whoever asks meanwhile must not take a missing response for one.
        ASKED.set(now);
    }
    is_known_open()
}

/// As far as this instance knows.
pub fn is_known_open() -> bool {
    is_pause(WasiPlatform.now())
}

/// Never longer than the pause, should a clock have been wrong.
fn is_pause(now: Timestamp) -> bool {
    (1..=BROADCASTER_PAUSE_MS).contains(&ENDS.get().millis_since(now))
}

/// Begins a pause, and says why; if there is one already, another request was first.
pub async fn open(api_url: &str, cause: &str) {
    let now = WasiPlatform.now();
    if is_pause(now) {
        return;
    }
    let ends = now.plus_millis(BROADCASTER_PAUSE_MS);
    ENDS.set(ends);
    log::warn(&format!("progress events: {cause}; none are sent for {} s", BROADCASTER_PAUSE_MS / 1000));
    let entry = format!("{} {api_url}", ends.as_millis());
    background::run(async move {
        // Others find out by themselves if it cannot be kept.
        within(Instant::now() + KEEPING_MAX, host::share(ENTRY, entry.into_bytes())).await;
    })
    .await;
}

async fn kept(api_url: &str) -> Option<Timestamp> {
    let entry = host::shared(ENTRY).await?;
    let (ends, of) = std::str::from_utf8(&entry).ok()?.split_once(' ')?;
    if of == api_url { Some(Timestamp::from_millis(ends.parse().ok()?)) } else { None }
}
