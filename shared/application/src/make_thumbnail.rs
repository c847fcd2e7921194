//! Thumbnails of MOCs, made after the response of a finalize.
//!
//! A picture may take a second of CPU time and 256 MiB to decode, so it is decoded once, however often its session is
//! finalized, and one picture at a time in all instances. The store has a slot for that, and a row for each thumbnail
//! that is to be made; both are leases:
//!
//! | interrupted after | what stands | then |
//! |---|---|---|
//! | the row | a thumbnail that is due | whoever has the slot makes it, or the next finalize of any session |
//! | claim | the leases of slot and thumbnail | they end, and the next finalize of any session retries |
//! | a failed attempt | a thumbnail that is due after its pause | the same |
//! | a picture that cannot be decoded, or the last attempt | why it was given up | nothing |

use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::LockToken;
use moc_domain::limits::{THUMBNAIL_SOURCE_MAX_BYTES, THUMBNAILS_PER_FINALIZE_MAX};
use moc_domain::moc::{Moc, thumbnail_key};
use moc_domain::thumbnail::ThumbnailClaim;

use crate::port::{Platform, Store, ThumbnailError, ThumbnailQueue, Thumbnails};

/// Has a thumbnail made of a MOC's first picture, and makes those that are due if no other instance does. A MOC
/// without pictures gets none.
///
/// # Errors
/// [`ErrorKind::Internal`] with the cause if an attempt has failed, or those of the store.
pub async fn run(
    store: &(impl Store + ThumbnailQueue),
    thumbnails: &impl Thumbnails,
    platform: &impl Platform,
    moc: &Moc,
) -> Result<(), Error> {
    if moc.thumbnail_key.is_none() && moc.picture().is_some() {
        store.want_thumbnail(moc.id, platform.now()).await?;
    }
    let holder = LockToken::new(platform.now(), platform.random());
    let mut left = THUMBNAILS_PER_FINALIZE_MAX;
    let mut result = Ok(());
    while left > 0 {
        let working = async {
            while left > 0
                && let Some(claim) = store.claim_thumbnail(holder, platform.now()).await?
            {
                left -= 1;
                if let Err(error) = attempt(store, thumbnails, platform, claim).await {
                    result = Err(error);
                }
            }
            Ok::<_, Error>(())
        };
        let worked = working.await;
        // The slot is given back whatever has failed. Another instance may have found it taken since the last claim.
        let is_left = store.leave_thumbnails(holder, platform.now()).await?;
        worked?;
        if !is_left {
            break;
        }
        left = left.saturating_sub(1);
    }
    result
}

async fn attempt(
    store: &(impl Store + ThumbnailQueue),
    thumbnails: &impl Thumbnails,
    platform: &impl Platform,
    claim: ThumbnailClaim,
) -> Result<(), Error> {
    let key = thumbnail_key(claim.moc);
    let moc = store.moc(claim.moc).await?;
    let made = match moc.as_ref().and_then(Moc::picture) {
        _ if claim.is_worn_out() => Err(ThumbnailError::Undecodable("every attempt was interrupted".into())),
        None => Err(ThumbnailError::Undecodable("it has no picture".into())),
        Some(picture) if picture.size_bytes > THUMBNAIL_SOURCE_MAX_BYTES => {
            let cause = format!("its picture has more than {THUMBNAIL_SOURCE_MAX_BYTES} bytes");
            Err(ThumbnailError::Undecodable(cause))
        }
        Some(picture) => thumbnails.make(&picture.key, &key).await,
    };
    let (pause_ms, cause) = match made {
        Ok(()) => return Ok(store.set_thumbnail(claim.moc, &key).await?),
        Err(ThumbnailError::Undecodable(cause)) => (None, cause),
        Err(ThumbnailError::Failed(cause)) => (claim.pause_ms(), cause),
    };
    let due = pause_ms.map(|pause_ms| platform.now().plus_millis(pause_ms));
    thumbnails.failed(claim.moc, &cause, due.is_some());
    store.end_thumbnail(claim, due, &cause).await?;
    Err(Error::with_source(ErrorKind::Internal, cause))
}
