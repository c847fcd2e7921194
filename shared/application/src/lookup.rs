//! Finds what a user asks for. What belongs to another user is not found.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::{File, StoredPart};
use moc_domain::id::{FileId, LockToken, MocId, SessionId, UserId};
use moc_domain::limits::{LEASE_MS, LOOK_PAUSE_MS};
use moc_domain::moc::Moc;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

use crate::deadline;
use crate::port::{Bucket, ObjectHead, Platform, Store, StoreError};

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

/// The session without a lock that its finalize has left by a crash: once the lease is over, the lock is released, or,
/// if there is a MOC, the MOC gets its files and the session ends. A finalize that is only slow inserts no MOC then.
///
/// # Errors
/// [`ErrorKind::NotFound`], or the store's.
pub async fn without_stale_lock(
    store: &impl Store,
    platform: &impl Platform,
    session: Session,
) -> Result<Session, Error> {
    let now = platform.now();
    if !session.lock_is_stale(now) {
        return Ok(session);
    }
    if let Some(moc) = store.moc_of_session(session.id).await? {
        store.complete_moc(moc.id, session.id).await?;
    } else {
        let token = LockToken::new(now, platform.random());
        if store.lock_session(session.id, token, now, now.plus_millis(-LEASE_MS)).await? {
            store.unlock_session(session.id, token).await?;
        }
    }
    store.session(session.id).await?.ok_or_else(|| ErrorKind::NotFound.into())
}

/// Deletes the record of a pending file whose last completion began at `completing_at`; `true` if it does not exist
/// any more. If the result of the deletion was lost, the record is looked up: whoever forgets a file has to know
/// whether its object is to be deleted.
///
/// # Errors
/// The store's.
pub async fn forget(store: &impl Store, file: &File, completing_at: Option<Timestamp>) -> Result<bool, StoreError> {
    let forgotten = store.forget_file(file.id, completing_at).await;
    if matches!(forgotten, Ok(true)) {
        return forgotten;
    }
    let is_gone = store.file(file.session_id, file.id).await?.is_none();
    if is_gone { Ok(true) } else { forgotten }
}

/// The object of a file, looked for up to `looks` times until `is_it` holds: a bucket may show an object some time
/// after it has deleted the upload.
///
/// # Errors
/// The bucket's, or [`ErrorKind::Busy`] if there is no time for all looks: then nothing follows from those before.
pub async fn object(
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
    looks: u32,
    is_it: impl Fn(&ObjectHead) -> bool,
) -> Result<Option<ObjectHead>, Error> {
    for _ in 1..looks {
        let head = bucket.head(&file.key).await?;
        if head.as_ref().is_some_and(&is_it) {
            return Ok(head);
        }
        if deadline::left_ms(platform).is_some_and(|left_ms| left_ms < LOOK_PAUSE_MS) {
            return Err(deadline::over("the search for the object"));
        }
        platform.sleep(LOOK_PAUSE_MS).await;
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
