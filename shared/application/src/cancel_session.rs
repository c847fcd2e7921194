//! `DELETE /sessions/:sessionId`

use std::future::ready;

use futures::stream::{self, StreamExt as _};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;
use moc_domain::id::{LockToken, SessionId, UserId};
use moc_domain::limits::{ABORT_CONCURRENCY, FINALIZE_POLL_MAX_MS, FINALIZE_POLL_MS, FINALIZE_WAIT_MS, LEASE_MS};
use moc_domain::session::Status;

use crate::lease::{self, Lease, Stopped};
use crate::port::{Bucket, BucketError, Platform, Store};
use crate::{deadline, lookup};

/// Cancels a session: its open uploads are aborted and its objects deleted. The state changes
/// first, so that nothing new comes while the bucket is cleared; if the bucket is unavailable or may still be
/// completing a file, the same call again clears the rest. A file that is cleared is not asked about again.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::SessionNotActive`], [`ErrorKind::FinalizeInProgress`], [`ErrorKind::Busy`] if
/// it takes too long for the host, or those of the store and the bucket.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    user: &UserId,
    id: SessionId,
    completion_timeout_ms: i64,
) -> Result<(), Error> {
    let session = lookup::session(store, user, id).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    let again = session.status == Status::Cancelled;
    if !again && !store.cancel_session(id).await? {
        match lookup::session(store, user, id).await?.status {
            Status::Cancelled => {}
            Status::Finalizing => return Err(ErrorKind::FinalizeInProgress.into()),
            status => return Err(ErrorKind::SessionNotActive { status }.into()),
        }
    }
    let token = LockToken::new(platform.now(), platform.random());
    let Some(lease) = lock(store, platform, id, token).await? else { return Ok(()) };
    // Read after the cancellation and under the lock: no file comes from now on, and nobody else clears one.
    let cleared = match store.uncleared_files(id).await {
        Ok(files) => {
            let clearing = Clearing { session: id, lease: Some(lease), files: &files, again, completion_timeout_ms };
            clear_all(store, bucket, platform, clearing).await
        }
        Err(error) => Err(error.into()),
    };
    // A store that is unavailable now leaves a lock that goes stale.
    let _ = store.unlock_clearing(id, token).await;
    cleared
}

/// Takes the lock of a cancelled session; `None` if another request has cleared the bucket meanwhile.
async fn lock(
    store: &impl Store,
    platform: &impl Platform,
    id: SessionId,
    token: LockToken,
) -> Result<Option<Lease>, Error> {
    let (mut waited_ms, mut pause_ms) = (0, FINALIZE_POLL_MS);
    while !store.uncleared_files(id).await?.is_empty() {
        let now = platform.now();
        if store.lock_clearing(id, token, now, now.plus_millis(-LEASE_MS)).await? {
            return Ok(Some(Lease { session: id, token, taken_at: now }));
        }
        if waited_ms >= FINALIZE_WAIT_MS || deadline::left_ms(platform).is_some_and(|left_ms| left_ms < pause_ms) {
            return Err(clearing());
        }
        platform.sleep(pause_ms).await;
        waited_ms += pause_ms;
        pause_ms = (2 * pause_ms).min(FINALIZE_POLL_MAX_MS);
    }
    Ok(None)
}

fn clearing() -> Error {
    Error::with_source(ErrorKind::BucketUnavailable, "another request is clearing the session")
}

/// Files of a session that are to be cleared from the bucket.
pub(crate) struct Clearing<'a> {
    pub session: SessionId,
    /// To be renewed meanwhile, if there is one.
    pub lease: Option<Lease>,
    pub files: &'a [File],
    /// Whether an earlier call has tried.
    pub again: bool,
    /// Longest time that the bucket may take to complete a file, in milliseconds.
    pub completion_timeout_ms: i64,
}

/// Clears the bucket of these files, and records which are cleared.
pub(crate) async fn clear_all(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    Clearing { session, lease, files, again, completion_timeout_ms }: Clearing<'_>,
) -> Result<(), Error> {
    let clear = async |file: &File| {
        let is_completing = file.is_completing(platform.now(), completion_timeout_ms);
        let cleared = clear(bucket, file, again, is_completing).await;
        if is_completing && cleared.is_ok() {
            // Its upload was aborted or its object deleted: no completion can make one any more.
            let _ = store.end_completion(file.id).await;
        }
        cleared.map(|()| file.id)
    };
    let (mut cleared, mut error) = (Vec::new(), None);
    let deleting = stream::iter(files).map(clear).buffer_unordered(ABORT_CONCURRENCY).for_each(|result| {
        match result {
            Ok(file) => cleared.push(file),
            Err(failed) => error = error.take().or_else(|| Some(failed.into())),
        }
        ready(())
    });
    let held = async {
        match lease {
            Some(lease) => lease::held(store, platform, lease, deleting).await,
            None => {
                deleting.await;
                Ok(())
            }
        }
    };
    match deadline::in_time(platform, held).await {
        Some(Ok(())) => {}
        Some(Err(Stopped::Lost)) => error = Some(clearing()),
        Some(Err(Stopped::Failed(failed))) => error = Some(failed),
        None => error = Some(deadline::over("the deletion of the session's files")),
    }
    if !cleared.is_empty() {
        // Without this record the same call again asks the bucket again.
        let _ = store.clear_files(session, &cleared).await;
    }
    error.map_or(Ok(()), Err)
}

/// Aborts a file's upload, if it is not completed, and deletes its object: a completion that was
/// under way may have made one. Some servers reject the abort of an upload that is over, where S3 says
/// that there is none: the second time that is no error.
pub(crate) async fn clear(
    bucket: &impl Bucket,
    file: &File,
    again: bool,
    is_completing: bool,
) -> Result<(), BucketError> {
    let aborted = if file.is_completed() { Ok(()) } else { bucket.abort_upload(&file.key, &file.upload_id).await };
    let aborted = match aborted {
        Err(BucketError::Silent(_)) => return aborted,
        Err(BucketError::NoSuchUpload) if is_completing && bucket.head(&file.key).await?.is_none() => {
            let cause = "the bucket has no such upload: it may be completing it";
            return Err(BucketError::Unavailable(cause.into()));
        }
        Err(BucketError::NoSuchUpload) => Ok(()),
        Err(BucketError::Rejected(_)) if again => Ok(()),
        aborted => aborted,
    };
    bucket.delete(&file.key).await?;
    aborted
}
