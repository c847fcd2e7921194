//! Finds what a user asks for. What belongs to another user is not found.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::{File, StoredPart};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::limits::{COMPLETION_LOOK_PAUSE_MS, COMPLETION_LOOKS};
use moc_domain::moc::Moc;
use moc_domain::session::Session;

use crate::port::{Bucket, ObjectHead, Platform, Store};

fn owned<T>(found: Option<T>, user: &UserId, owner: impl Fn(&T) -> &UserId) -> Result<T, Error> {
    found.filter(|found| owner(found) == user).ok_or_else(|| ErrorKind::NotFound.into())
}

/// The user's session.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn session(store: &impl Store, user: &UserId, id: SessionId) -> Result<Session, Error> {
    owned(store.session(id).await?, user, |session| &session.user)
}

/// The user's session with its files.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn session_with_files(
    store: &impl Store,
    user: &UserId,
    id: SessionId,
) -> Result<(Session, Vec<File>), Error> {
    owned(store.session_with_files(id).await?, user, |(session, _)| &session.user)
}

/// A file of the user's session.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn file(
    store: &impl Store,
    user: &UserId,
    session: SessionId,
    file: FileId,
) -> Result<(Session, File), Error> {
    owned(store.file(session, file).await?, user, |(session, _)| &session.user)
}

/// A file of the user's session with its stored parts.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn file_with_parts(
    store: &impl Store,
    user: &UserId,
    session: SessionId,
    file: FileId,
) -> Result<(Session, File, Vec<StoredPart>), Error> {
    owned(store.file_with_parts(session, file).await?, user, |(session, ..)| &session.user)
}

/// The user's MOC.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn moc(store: &impl Store, user: &UserId, id: MocId) -> Result<Moc, Error> {
    owned(store.moc(id).await?, user, |moc| &moc.user)
}

/// The object of a file whose multipart upload no longer exists. A completion that is still running
/// deletes the upload first and shows the object later, so an object for which `is_it` holds is waited for.
///
/// # Errors
/// The bucket's.
pub async fn object(
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
    is_it: impl Fn(&ObjectHead) -> bool,
) -> Result<Option<ObjectHead>, Error> {
    for _ in 1..COMPLETION_LOOKS {
        let head = bucket.head(&file.key).await?;
        if head.as_ref().is_some_and(&is_it) {
            return Ok(head);
        }
        platform.sleep(COMPLETION_LOOK_PAUSE_MS).await;
    }
    Ok(bucket.head(&file.key).await?)
}

/// Extends a session that is used and has little time left. A store that fails here fails
/// nothing: the next use of the session retries.
pub async fn extend(store: &impl Store, platform: &impl Platform, session: &Session, lifetime_max_ms: i64) {
    if let Some(expires_at) = session.extended(platform.now(), lifetime_max_ms) {
        let _ = store.extend_session(session.id, expires_at).await;
    }
}
