//! `DELETE /sessions/:sessionId/files/:fileId`
//!
//! The record leaves the session first, by one statement, and is kept apart until the bucket is cleared. So the name
//! and the place of the file are free at once, and whatever fails after that is done by the same call again, by a
//! cancellation of the session, or by a sweep.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::UNCLEARED_FILES_MAX;

use crate::port::{Bucket, Platform, Store};
use crate::{cancel_session, lookup};

/// Takes a file out of an active session: its upload is aborted, its object deleted. A file that the session does not
/// have, because it was taken out before, is no error.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`moc_domain::session::Session::accepts_uploads`],
/// or those of the store and the bucket: then the same call again goes on.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    user: &UserId,
    session: SessionId,
    file: FileId,
    completion_timeout_ms: i64,
) -> Result<(), Error> {
    let session = lookup::session(store, user, session).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;
    let Some(removed) = store.remove_file(session.id, file, UNCLEARED_FILES_MAX).await? else {
        let Some((session, _)) = store.file(session.id, file).await? else { return Ok(()) };
        session.accepts_uploads(platform.now())?;
        let cause = "a finalize held the session, or the bucket is not cleared of too many other files";
        return Err(Error::with_source(ErrorKind::BucketUnavailable, cause));
    };
    let is_completing = removed.file.is_completing(platform.now(), completion_timeout_ms);
    cancel_session::clear(bucket, &removed.file, removed.again, is_completing).await?;
    // Without this record the same call again asks the bucket again.
    let _ = store.clear_files(session.id, &[file]).await;
    Ok(())
}
