//! `POST /sessions/:sessionId/files/:fileId/parts/stored`: parts that a client has put into the bucket by itself.
//!
//! One read and one write, however many parts. The bucket is not asked: what it has is seen when the file is completed.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, SessionId, UserId};

use crate::lookup;
use crate::port::{Platform, Store};

/// Parts that a client says the bucket has.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// The user who sends the request.
    pub user: &'a UserId,
    pub session: SessionId,
    pub file: FileId,
    /// In the order of their numbers, each once.
    pub parts: &'a [StoredPart],
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
}

/// Parts that are recorded.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The file, as it was before.
    pub file: File,
    /// What is stored of it after each of the parts.
    pub progress: Vec<Progress>,
}

/// Records parts: all of them, or none.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`moc_domain::session::Session::accepts_uploads`] and
/// [`moc_domain::file::File::accepts_part`], or the store's.
pub async fn run(store: &impl Store, platform: &impl Platform, claims: Claims<'_>) -> Result<Claimed, Error> {
    let (session, file) = lookup::file(store, claims.user, claims.session, claims.file).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;
    accepts(&file, claims.parts)?;
    lookup::extend(store, platform, &session, claims.session_lifetime_max_ms).await;
    match store.claim_parts(file.id, claims.parts).await? {
        Some(progress) => Ok(Claimed { file, progress }),
        None => Err(no_longer_accepted(store, platform, claims).await),
    }
}

fn accepts(file: &File, parts: &[StoredPart]) -> Result<(), ErrorKind> {
    parts.iter().try_for_each(|part| file.accepts_part(part.number, part.size_bytes))
}

/// Why parts that were accepted a moment ago no longer are.
async fn no_longer_accepted(store: &impl Store, platform: &impl Platform, claims: Claims<'_>) -> Error {
    let (session, file) = match lookup::file(store, claims.user, claims.session, claims.file).await {
        Ok(found) => found,
        Err(error) => return error,
    };
    match session.accepts_uploads(platform.now()).and_then(|()| accepts(&file, claims.parts)) {
        Err(kind) => kind.into(),
        // A finalize held the session and has failed since: the next attempt is let in.
        Ok(()) => ErrorKind::FinalizeInProgress.into(),
    }
}
