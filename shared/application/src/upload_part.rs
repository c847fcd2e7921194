//! `PUT /sessions/:sessionId/files/:fileId/parts/:partNumber`: the hot path.
//!
//! One read, one streamed part, one write; nothing here grows with the number of parts stored.

use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::part::PartNumber;

use crate::lookup;
use crate::port::{Bucket, BucketError, PartAddress, Platform, Store, UploadedPart};

/// A part that a client sends.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The user who sends it.
    pub user: &'a UserId,
    /// The session that it belongs to.
    pub session: SessionId,
    /// The file that it belongs to.
    pub file: FileId,
    pub number: PartNumber,
    /// In bytes, from `Content-Length`.
    pub size_bytes: u64,
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
}

/// A part that is in the bucket and recorded in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The file, as it was before.
    pub file: File,
    /// The part, with the ETag that S3 gave it.
    pub part: StoredPart,
    /// What is stored of the file since.
    pub progress: Progress,
}

/// Streams a part to the bucket and records it once S3 has it. A part that is sent again replaces
/// the one before. `body` is called once the part is accepted.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`moc_domain::session::Session::accepts_uploads`] and
/// [`moc_domain::file::File::accepts_part`], [`ErrorKind::ChecksumMismatch`],
/// [`ErrorKind::RequestTimeout`], or those of the store and the bucket.
pub async fn run<B: Bucket>(
    store: &impl Store,
    bucket: &B,
    platform: &impl Platform,
    part: Part<'_>,
    body: impl FnOnce(&File) -> Option<B::Body>,
) -> Result<Stored, Error> {
    let (session, file) = lookup::file(store, part.user, part.session, part.file).await?;
    session.accepts_uploads(platform.now())?;
    file.accepts_part(part.number, part.size_bytes)?;

    lookup::extend(store, platform, &session, part.session_lifetime_max_ms).await;
    // Taken only now: the body of a part that is rejected can still be read to its end.
    let body = body(&file).ok_or(ErrorKind::EmptyBody)?;
    let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number: part.number };
    let uploaded = bucket.upload_part(address, part.size_bytes, body).await;
    record(store, bucket, platform, part, file, uploaded).await
}

/// Records a part of `file` that S3 has, or says why it has not.
///
/// # Errors
/// Those of [`run`].
pub(crate) async fn record(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    part: Part<'_>,
    file: File,
    uploaded: Result<UploadedPart, BucketError>,
) -> Result<Stored, Error> {
    let UploadedPart { etag, sha256 } = match uploaded {
        Ok(uploaded) => uploaded,
        // A cancellation or a completion came first: say which.
        Err(BucketError::NoSuchUpload) => return Err(no_longer_accepted(store, bucket, platform, part).await),
        Err(error) => return Err(upload_error(error, platform, &file)),
    };
    let stored = StoredPart { number: part.number, etag, size_bytes: part.size_bytes, uploaded_at: platform.now() };
    let Some(progress) = store.record_part(part.file, &stored, sha256).await? else {
        return Err(no_longer_accepted(store, bucket, platform, part).await);
    };
    Ok(Stored { file, part: stored, progress })
}

/// Why a part that was accepted a moment ago no longer is. A file whose upload no longer exists in the
/// bucket and has left no object is forgotten, so that it can be registered again.
async fn no_longer_accepted(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    part: Part<'_>,
) -> Error {
    let (session, file) = match lookup::file(store, part.user, part.session, part.file).await {
        Ok(found) => found,
        Err(error) => return error,
    };
    let still = session.accepts_uploads(platform.now()).and_then(|()| file.accepts_part(part.number, part.size_bytes));
    if let Err(kind) = still {
        return kind.into();
    }
    match lookup::object(bucket, platform, &file, |_| true).await {
        Ok(None) => match store.forget_file(file.id).await {
            Ok(_) => file.failed(FileFault::ObjectMissing).into(),
            Err(error) => error.into(),
        },
        // It was completed, and the record of that was lost: `complete` finds it.
        Ok(Some(_)) => ErrorKind::FileAlreadyCompleted.into(),
        Err(error) => error,
    }
}

fn upload_error(error: BucketError, platform: &impl Platform, file: &File) -> Error {
    match error {
        BucketError::Checksum(mismatch) => file.differs(mismatch).into(),
        BucketError::TimedOut { elapsed_ms } => {
            ErrorKind::RequestTimeout { elapsed_ms, timeout_at: platform.now() }.into()
        }
        other => other.into(),
    }
}
