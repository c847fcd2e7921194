//! `POST /sessions/:sessionId/files/:fileId/parts/urls`: where a client can put parts by itself.

use moc_domain::error::{Error, ErrorKind, FieldError};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::VALIDATION_ERRORS_MAX;
use moc_domain::part::PartNumber;
use moc_domain::time::Timestamp;

use crate::lookup;
use crate::port::{Bucket, PartAddress, Platform, Store};

/// Parts for which a client wants URLs.
#[derive(Clone, Copy, Debug)]
pub struct UrlsRequest<'a> {
    /// The user who sends the request.
    pub user: &'a UserId,
    pub session: SessionId,
    pub file: FileId,
    /// Each with the MD5 that the bucket has to verify, if there is one.
    pub parts: &'a [(PartNumber, Option<[u8; 16]>)],
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
    /// Whether the bucket takes no part without its MD5.
    pub requires_md5: bool,
    /// Life of the URLs.
    pub ttl_seconds: u64,
}

/// Presigned URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// In the order of the parts.
    pub urls: Vec<String>,
    pub expire_at: Timestamp,
}

/// Presigns a URL for each part. None outlives its session, however long that is extended.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`moc_domain::session::Session::accepts_uploads`],
/// [`ErrorKind::FileAlreadyCompleted`], [`ErrorKind::InvalidPartNumber`], [`ErrorKind::Invalid`] for a part without the
/// MD5 that the bucket requires, or the store's.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: UrlsRequest<'_>,
) -> Result<Urls, Error> {
    let (session, file) = lookup::file(store, request.user, request.session, request.file).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;
    if file.is_completed() {
        return Err(ErrorKind::FileAlreadyCompleted.into());
    }
    let sized = |(number, md5): &(PartNumber, Option<[u8; 16]>)| match file.plan.bytes_of(*number) {
        Some(bytes) => Ok((*number, bytes, *md5)),
        None => Err(ErrorKind::InvalidPartNumber { last: file.plan.total() }),
    };
    let parts: Vec<_> = request.parts.iter().map(sized).collect::<Result<_, _>>()?;
    if request.requires_md5 {
        let unnamed = request.parts.iter().filter(|(_, md5)| md5.is_none());
        let required = |(number, _): &(PartNumber, _)| {
            FieldError::new(format!("/contentMd5/{}", number.get()), "is required: the bucket takes no part without it")
        };
        let errors: Vec<FieldError> = unnamed.map(required).take(VALIDATION_ERRORS_MAX).collect();
        if !errors.is_empty() {
            return Err(ErrorKind::Invalid { errors }.into());
        }
    }
    lookup::extend(store, platform, &session, request.session_lifetime_max_ms).await;

    let now = platform.now();
    let left_ms = session.created_at.plus_millis(request.session_lifetime_max_ms).millis_since(now);
    let ttl_seconds = request.ttl_seconds.min(u64::try_from(left_ms / 1_000).unwrap_or(0)).max(1);
    let presign = |(number, bytes, md5)| {
        let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number };
        bucket.presign_part(address, bytes, md5, ttl_seconds)
    };
    let urls = parts.into_iter().map(presign).collect();
    let ttl_ms = i64::try_from(ttl_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Ok(Urls { urls, expire_at: now.plus_millis(ttl_ms) })
}
