//! `GET /health`: whether the store and the bucket respond.

use std::pin::pin;

use futures::future::{Either, join, select};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::SessionId;
use moc_domain::limits::HEALTH_CHECK_MAX_MS;

use crate::port::{Bucket, Platform, Store};

/// The key of an object that nobody has: asking for it needs no more permissions than an upload.
const KEY: &str = "uploads/health";

/// Asks both at once, for a session and an object that do not exist.
///
/// # Errors
/// [`ErrorKind::StoreUnavailable`] or [`ErrorKind::BucketUnavailable`], also if there is no response within
/// [`HEALTH_CHECK_MAX_MS`]; [`ErrorKind::Internal`] where the configuration is wrong.
pub async fn run<S: Store, B: Bucket>(
    store: impl Future<Output = Result<S, Error>>,
    bucket: impl Future<Output = Result<B, Error>>,
    platform: &impl Platform,
) -> Result<(), Error> {
    let id = SessionId::new(platform.now(), platform.random());
    let asking_store = async { store.await?.session(id).await.map(drop).map_err(Error::from) };
    let asking_bucket = async { bucket.await?.head(KEY).await.map(drop).map_err(Error::from) };
    let (stored, kept) = join(
        in_time(platform, asking_store, ErrorKind::StoreUnavailable),
        in_time(platform, asking_bucket, ErrorKind::BucketUnavailable),
    )
    .await;
    stored.and(kept)
}

async fn in_time(
    platform: &impl Platform,
    asking: impl Future<Output = Result<(), Error>>,
    late: ErrorKind,
) -> Result<(), Error> {
    match select(pin!(asking), pin!(platform.sleep(HEALTH_CHECK_MAX_MS))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Error::with_source(late, format!("no response within {HEALTH_CHECK_MAX_MS} ms"))),
    }
}
