//! Thumbnails of MOCs, made after the response of a finalize, or of a request for a MOC that has none.
//!
//! A picture may take a second of CPU time and 256 MiB to decode, so it is decoded once, however often its session is
//! finalized and its MOC requested, and one picture at a time in all instances. The store has a slot for that, and a row
//! for each thumbnail that is to be made; both are leases:
//!
//! | interrupted after | what stands | then |
//! |---|---|---|
//! | the MOC | a MOC without a thumbnail | the next request for it makes it |
//! | the row | a thumbnail that is due | whoever has the slot makes it, the next request for the MOC, or the next finalize of any session |
//! | claim | the leases of slot and thumbnail | they end, and the same retry |
//! | a failed attempt | a thumbnail that is due after its pause | the same |
//! | a picture that cannot be decoded, or the last attempt | why it was given up | nothing |
//!
//! Where the host limits the time of a request, no attempt is begun that it may not have time for.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::LockToken;
use moc_domain::limits::{
    THUMBNAIL_LOST_AFTER_MS, THUMBNAIL_MAX_MS, THUMBNAIL_MIN_MS, THUMBNAIL_OVERDUE_MAX_MS,
    THUMBNAILS_AFTER_RESPONSE_MAX, THUMBNAILS_WAITED_FOR_MAX,
};
use moc_domain::moc::{Moc, thumbnail_key};
use moc_domain::thumbnail::{LastAttempt, ThumbnailClaim};

use crate::deadline;
use crate::port::{Platform, Store, StoreError, ThumbnailError, ThumbnailQueue, Thumbnails};

/// Who makes the thumbnail of a MOC that is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Not this request: the MOC has one, gets none, or somebody else makes it.
    Nobodys,
    /// This request.
    Ours {
        /// Whether it should have been made by now and no attempt has come to an end, neither well nor badly: the work
        /// after an earlier response must have been lost, and that after this one would be lost too.
        is_overdue: bool,
    },
}

/// How much of what is due one request makes. The thumbnail of its own MOC comes first.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    count: u32,
    /// Longest time of one attempt.
    max_ms: u64,
}

impl Share {
    /// Nobody waits.
    pub const AFTER_RESPONSE: Self = Self { count: THUMBNAILS_AFTER_RESPONSE_MAX, max_ms: THUMBNAIL_MAX_MS };
    /// The response waits because nothing can follow it: a thumbnail gets as much time as it may take.
    pub const INLINE: Self = Self { count: THUMBNAILS_WAITED_FOR_MAX, max_ms: THUMBNAIL_MAX_MS };
    /// The response waits because the thumbnail is [overdue](Turn::Ours).
    pub const OVERDUE: Self = Self { count: THUMBNAILS_WAITED_FOR_MAX, max_ms: THUMBNAIL_OVERDUE_MAX_MS };
}

/// Whether a request for a MOC has to make its thumbnail: one statement, and only if the MOC lacks one.
///
/// # Errors
/// Those of the store.
pub async fn turn(store: &impl ThumbnailQueue, platform: &impl Platform, moc: &Moc) -> Result<Turn, StoreError> {
    if !moc.lacks_thumbnail() {
        return Ok(Turn::Nobodys);
    }
    let now = platform.now();
    let is_late = now.millis_since(moc.created_at) >= THUMBNAIL_LOST_AFTER_MS;
    Ok(match store.can_make_thumbnail(moc.id, now).await? {
        None => Turn::Nobodys,
        Some(LastAttempt::Unknown) => Turn::Ours { is_overdue: is_late },
        Some(LastAttempt::Failed) => Turn::Ours { is_overdue: false },
    })
}

/// Has a thumbnail made of a MOC's first picture, and makes those that are due, `share` at most, if no other instance
/// does. A MOC without pictures gets none.
///
/// # Errors
/// [`ErrorKind::Internal`] with the cause if an attempt has failed, or those of the store.
pub async fn run(
    store: &(impl Store + ThumbnailQueue),
    thumbnails: &impl Thumbnails,
    platform: &impl Platform,
    moc: &Moc,
    share: Share,
) -> Result<(), Error> {
    if moc.lacks_thumbnail() {
        store.want_thumbnail(moc.id, platform.now()).await?;
    }
    let holder = LockToken::new(platform.now(), platform.random());
    let mut left = share.count;
    let mut result = Ok(());
    while left > 0 && attempt_ms(platform, share).is_some() {
        let working = async {
            while left > 0
                && let Some(limit_ms) = attempt_ms(platform, share)
                && let Some(claim) = store.claim_thumbnail(holder, moc.id, platform.now()).await?
            {
                left -= 1;
                if let Err(error) = attempt(store, thumbnails, platform, claim, limit_ms).await {
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

/// How long an attempt that begins now may take; `None` if there is no time for one.
fn attempt_ms(platform: &impl Platform, share: Share) -> Option<u64> {
    let left_ms = deadline::left_ms(platform).unwrap_or(share.max_ms);
    (left_ms >= THUMBNAIL_MIN_MS).then(|| left_ms.min(share.max_ms))
}

async fn attempt(
    store: &(impl Store + ThumbnailQueue),
    thumbnails: &impl Thumbnails,
    platform: &impl Platform,
    claim: ThumbnailClaim,
    limit_ms: u64,
) -> Result<(), Error> {
    let key = thumbnail_key(claim.moc);
    let moc = store.moc(claim.moc).await?;
    let made = match moc.as_ref().and_then(Moc::picture) {
        _ if claim.is_worn_out() => Err(ThumbnailError::Undecodable("every attempt was interrupted".into())),
        None => Err(ThumbnailError::Undecodable("it has no picture".into())),
        Some(picture) if picture.size_bytes > thumbnails.source_max_bytes() => {
            let cause = format!("its picture has more than {} bytes", thumbnails.source_max_bytes());
            Err(ThumbnailError::Undecodable(cause))
        }
        Some(picture) => thumbnails.make(&picture.key, &key, limit_ms).await,
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
