//! `DELETE /sessions/:sessionId`

use futures::stream::{self, StreamExt as _};
use moc_domain::failure::{Failure, Refusal};
use moc_domain::file::File;
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::ABORT_CONCURRENCY;
use moc_domain::session::Status;

use crate::lookup;
use crate::port::{Bucket, BucketError, Store};

/// Cancels a session: its open uploads are aborted and its objects deleted. The state changes
/// first, so that nothing new comes while the bucket is cleared; where the bucket is away, the same
/// call again clears the rest.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::SessionNotActive`], [`Refusal::FinalizeInProgress`], or those
/// of the store and the bucket.
pub async fn run(store: &impl Store, bucket: &impl Bucket, user: &UserId, id: SessionId) -> Result<(), Failure> {
    let session = lookup::session(store, user, id).await?;
    if session.status != Status::Cancelled && !store.cancel_session(id).await? {
        match lookup::session(store, user, id).await?.status {
            Status::Cancelled => {}
            Status::Finalizing => return Err(Refusal::FinalizeInProgress.into()),
            status => return Err(Refusal::SessionNotActive { status }.into()),
        }
    }
    // Read again: a file may have come between the first look and the cancellation.
    let (_, files) = lookup::session_with_files(store, user, id).await?;
    let mut cleared = stream::iter(&files).map(|file| clear(bucket, file)).buffer_unordered(ABORT_CONCURRENCY);
    let mut failure = None;
    while let Some(result) = cleared.next().await {
        failure = failure.or(result.err());
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

async fn clear(bucket: &impl Bucket, file: &File) -> Result<(), BucketError> {
    bucket.abort_upload(&file.key, &file.upload_id).await?;
    // A completion that was under way may have made the object, so it is not asked whether one did.
    bucket.delete(&file.key).await
}
