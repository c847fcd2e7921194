//! The end of a request where the host limits its time. Work that holds something ends before that, so that it can let
//! go of it: whatever the host ends leaves what a crash does.

use std::future::pending;
use std::pin::pin;

use futures::future::{Either, select};
use moc_domain::error::{Error, ErrorKind};

use crate::port::Platform;

/// How long work may go on, in milliseconds; `None` for no limit.
pub(crate) fn left_ms(platform: &impl Platform) -> Option<u64> {
    let left_ms = platform.ends_at()?.millis_since(platform.now());
    Some(u64::try_from(left_ms).unwrap_or(0))
}

/// Does work; `None` if the time is over first, and the work is dropped.
pub(crate) async fn in_time<T>(platform: &impl Platform, work: impl Future<Output = T>) -> Option<T> {
    let over = async {
        match left_ms(platform) {
            Some(left_ms) => platform.sleep(left_ms).await,
            None => pending().await,
        }
    };
    until(over, work).await
}

/// The same for work that may take `limit_ms`, or as long as the request may last.
pub(crate) async fn in_shorter_time<T>(
    platform: &impl Platform,
    limit_ms: u64,
    work: impl Future<Output = T>,
) -> Option<T> {
    let over = async {
        let left_ms = left_ms(platform).map_or(limit_ms, |left_ms| left_ms.min(limit_ms));
        platform.sleep(left_ms).await;
    };
    until(over, work).await
}

async fn until<T>(over: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(over)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// The error of work that was not done in time.
pub(crate) fn over(work: &str) -> Error {
    Error::with_source(ErrorKind::Busy, format!("{work} takes longer than the host gives a request"))
}
