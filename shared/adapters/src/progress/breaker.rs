//! Keeps away from a broadcaster that has failed. The pause is kept in the key-value store too:
//! instances are short-lived, and each route has its own.

use std::cell::Cell;

use moc_application::port::Platform as _;
use moc_domain::limits::BROADCASTER_PAUSE_MS;
use moc_domain::time::Timestamp;
use spin_sdk::key_value::Store;
use spin_sdk::wasip3::spawn;

use crate::log;
use crate::platform::Wasi;

/// The entry of the key-value store: the end of the pause, in milliseconds since the Unix epoch.
const ENTRY: &str = "broadcaster-pause-ends";

/// How long an instance trusts what it has read there.
const TRUSTED_MS: i64 = 1_000;

thread_local! {
    /// When the pause ends, as far as this instance knows.
    static ENDS: Cell<Timestamp> = const { Cell::new(Timestamp::from_millis(0)) };
    /// When it has last asked the key-value store.
    static ASKED: Cell<Timestamp> = const { Cell::new(Timestamp::from_millis(0)) };
}

/// Whether nothing is sent at present.
pub async fn is_open() -> bool {
    let now = Wasi.now();
    if !is_pause(now) && !(0..TRUSTED_MS).contains(&now.millis_since(ASKED.get())) {
        ASKED.set(now);
        if let Some(kept) = kept().await {
            ENDS.set(ENDS.get().max(kept));
        }
    }
    is_pause(Wasi.now())
}

/// Never longer than the pause, should a clock have been wrong.
fn is_pause(now: Timestamp) -> bool {
    (1..=BROADCASTER_PAUSE_MS).contains(&ENDS.get().millis_since(now))
}

/// Begins a pause, and says why; where there is one already, another request was first.
pub fn open(cause: &str) {
    let now = Wasi.now();
    if is_pause(now) {
        return;
    }
    let ends = now.plus_millis(BROADCASTER_PAUSE_MS);
    ENDS.set(ends);
    log::warn(&format!("progress events: {cause}; none are sent for {} s", BROADCASTER_PAUSE_MS / 1000));
    spawn(async move {
        if let Ok(store) = Store::open_default().await {
            // Others find out by themselves where it cannot be kept.
            let _ = store.set(ENTRY, ends.as_millis().to_string().into_bytes()).await;
        }
    });
}

async fn kept() -> Option<Timestamp> {
    let bytes = Store::open_default().await.ok()?.get(ENTRY).await.ok()??;
    Some(Timestamp::from_millis(std::str::from_utf8(&bytes).ok()?.parse().ok()?))
}
