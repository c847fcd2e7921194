//! `PUT /sessions/:sessionId/files/:fileId/parts/:partNumber`: the hot path.
//!
//! One read, one streamed part, one write; nothing here grows with the number of parts stored.

use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::COMPLETION_LOOKS;
use moc_domain::part::PartNumber;

use crate::lookup;
use crate::port::{Bucket, BucketError, PartAddress, PartError, Platform, Store, Transfer, UploadedPart};

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
    /// What the client says of its bytes.
    pub checksums: Checksums,
    pub limits: PartLimits,
}

/// The bounds of a part.
#[derive(Clone, Copy, Debug)]
pub struct PartLimits {
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
    /// Longest time that the part may take, in milliseconds.
    pub timeout_ms: u64,
    /// Longest time that the bucket may take to complete a file, in milliseconds.
    pub completion_timeout_ms: i64,
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
/// [`ErrorKind::RequestTimeout`], [`ErrorKind::Busy`], or those of the store and the bucket.
pub async fn run<B: Bucket>(
    store: &impl Store,
    bucket: &B,
    platform: &impl Platform,
    part: Part<'_>,
    body: impl FnOnce() -> Option<B::Body<'static>>,
) -> Result<Stored, Error> {
    let (session, file) = lookup::file(store, part.user, part.session, part.file).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;
    file.accepts_part(part.number, part.size_bytes)?;

    lookup::extend(store, platform, &session, part.limits.session_lifetime_max_ms).await;
    // Taken only now: the body of a part that is rejected can still be read to its end.
    let body = body().ok_or(ErrorKind::EmptyBody)?;
    let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number: part.number };
    let uploaded = bucket.upload_part(address, &streamed(&file, &part), body).await;
    let verified = uploaded.and_then(|uploaded| Ok(verified(bucket, uploaded)?));
    record(store, bucket, platform, part, file, verified).await
}

/// How a part that streams from the client is transferred.
fn streamed(file: &File, part: &Part<'_>) -> Transfer {
    Transfer {
        size_bytes: part.size_bytes,
        must_have: part.checksums,
        wants_md5: part.checksums.md5.is_some(),
        wants_sha256: part.checksums.sha256.is_some() || file.wants_sha256(),
        timeout_ms: part.limits.timeout_ms,
    }
}

/// The part, if the bucket has the bytes that were sent, as far as its ETag says.
pub(crate) fn verified(bucket: &impl Bucket, uploaded: UploadedPart) -> Result<UploadedPart, BucketError> {
    let sent = uploaded.computed.md5.filter(|_| uploaded.is_etag_of_bytes).map(|md5| bucket.part_etag(md5));
    match sent {
        Some(sent) if sent != uploaded.etag => {
            Err(BucketError::Unavailable(format!("UploadPart: S3 stored {}, the client sent {sent}", uploaded.etag)))
        }
        _ => Ok(uploaded),
    }
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
    uploaded: Result<UploadedPart, PartError>,
) -> Result<Stored, Error> {
    let UploadedPart { etag, computed: Checksums { sha256, .. }, .. } = match uploaded {
        Ok(uploaded) => uploaded,
        // A cancellation or a completion came first: say which.
        Err(PartError::Bucket(BucketError::NoSuchUpload)) => {
            return Err(no_longer_accepted(store, bucket, platform, part, true).await);
        }
        Err(error) => return Err(upload_error(error, platform, &part, &file)),
    };
    let stored = StoredPart { number: part.number, etag, size_bytes: part.size_bytes, uploaded_at: platform.now() };
    let Some(progress) = store.record_part(part.file, &stored, sha256).await? else {
        let error = no_longer_accepted(store, bucket, platform, part, false).await;
        if error.kind == ErrorKind::NotFound {
            // The file was taken out meanwhile. A part that was under way may outlive the abort
            // (https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html).
            let _ = bucket.abort_upload(&file.key, &file.upload_id).await;
        }
        return Err(error);
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
    is_upload_missing: bool,
) -> Error {
    let (session, file) = match lookup::file(store, part.user, part.session, part.file).await {
        Ok(found) => found,
        Err(error) => return error,
    };
    let still = session.accepts_uploads(platform.now()).and_then(|()| file.accepts_part(part.number, part.size_bytes));
    if let Err(kind) = still {
        return kind.into();
    }
    if !is_upload_missing {
        // A finalize held the session and has failed since: the next attempt is let in.
        return ErrorKind::FinalizeInProgress.into();
    }
    if file.is_completing(platform.now(), part.limits.completion_timeout_ms) {
        return match bucket.head(&file.key).await {
            Ok(Some(_)) => ErrorKind::FileAlreadyCompleted.into(),
            Ok(None) => may_be_completing(),
            Err(error) => error.into(),
        };
    }
    match lookup::object(bucket, platform, &file, COMPLETION_LOOKS, |_| true).await {
        Ok(None) => match lookup::forget(store, &file, file.completing_at).await {
            Ok(true) => file.failed(FileFault::ObjectMissing).into(),
            // A completion has begun meanwhile.
            Ok(false) => may_be_completing(),
            Err(error) => error.into(),
        },
        // It was completed, and the record of that was lost: `complete` finds it.
        Ok(Some(_)) => ErrorKind::FileAlreadyCompleted.into(),
        Err(error) => error,
    }
}

fn may_be_completing() -> Error {
    Error::with_source(ErrorKind::BucketUnavailable, "the bucket has no such upload: it may be completing it")
}

fn upload_error(error: PartError, platform: &impl Platform, part: &Part<'_>, file: &File) -> Error {
    match error {
        PartError::Bucket(error) => error.into(),
        PartError::Busy => ErrorKind::Busy.into(),
        PartError::Interrupted(cause) => {
            let detail = "The request body ended before its announced length. Send it again.".into();
            Error::with_source(ErrorKind::MalformedBody { detail }, cause)
        }
        PartError::TimedOut { elapsed_ms } => {
            ErrorKind::RequestTimeout { elapsed_ms, timeout_at: platform.now() }.into()
        }
        PartError::Differs(actual) => match part.checksums.check(&actual) {
            Err(mismatch) => file.differs(mismatch).into(),
            Ok(()) => ErrorKind::Internal.into(),
        },
    }
}
