//! `POST /sessions/:sessionId/files/:fileId/complete`

use moc_domain::checksum::Mismatch;
use moc_domain::error::{Error, ErrorKind, FieldError, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, File, StoredPart, in_order};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::VALIDATION_ERRORS_MAX;
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;

use crate::lookup;
use crate::port::{Bucket, BucketError, CompletedUpload, ListedPart, ObjectHead, Platform, Store};

/// A file to complete.
#[derive(Clone, Copy, Debug)]
pub struct CompleteRequest<'a> {
    /// The user who sends the request.
    pub user: &'a UserId,
    pub session: SessionId,
    pub file: FileId,
    /// The parts as the client knows them, in order; `None` leaves them to the store.
    pub parts: Option<&'a [ClaimedPart]>,
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
}

/// A file that is complete.
#[derive(Clone, Debug)]
pub struct Completed {
    pub file: File,
    /// The ETag of its object.
    pub etag: ETag,
    /// Whether an earlier call had completed it.
    pub idempotent: bool,
}

/// Completes a file: every part of its plan must be there, then S3 makes an object of them. A file
/// that is complete already gets what it is.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`moc_domain::session::Session::accepts_uploads`],
/// [`ErrorKind::PartCountMismatch`], [`ErrorKind::Invalid`] for an ETag that is not the part's,
/// [`ErrorKind::ChecksumMismatch`] for an object whose ETag does not follow from the parts',
/// [`ErrorKind::FileValidationFailed`] if the upload no longer exists, or those of the store and the bucket.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: CompleteRequest<'_>,
) -> Result<Completed, Error> {
    let CompleteRequest { user, session, file, .. } = request;
    let (session, file, recorded) = lookup::file_with_parts(store, user, session, file).await?;
    if let Some(etag) = file.etag.clone() {
        return Ok(Completed { file, etag, idempotent: true });
    }
    session.accepts_uploads(platform.now())?;

    let mut all_listed = true;
    let etags = match in_order(file.plan, &recorded) {
        Ok(etags) => etags,
        // Parts that are not recorded may have been sent straight to the bucket, to presigned URLs.
        Err(missing) => match request.parts {
            Some(claimed) => {
                let parts = list(bucket, &file, missing).await?;
                all_listed = parts.iter().all(|part| part.etag.is_some());
                in_order(file.plan, &claim(parts, claimed, platform.now()))
                    .map_err(|missing| ErrorKind::PartCountMismatch { missing })?
            }
            None => return Err(ErrorKind::PartCountMismatch { missing }.into()),
        },
    };
    if let Some(claimed) = request.parts {
        check_claimed(claimed, &etags)?;
    }
    let CompletedUpload { etag, is_composite } = match complete(bucket, platform, &file, &etags).await? {
        Completion::Made(completed) => completed,
        Completion::PartsDiffer(missing) => return Err(ErrorKind::PartCountMismatch { missing }.into()),
        Completion::NoUpload => {
            store.forget_file(file.id).await?;
            return Err(file.failed(FileFault::ObjectMissing).into());
        }
    };
    let expected = ETag::of_multipart(&etags);
    let is_expected = expected.as_ref().map_or(all_listed, |expected| *expected == etag);
    if !is_expected && (is_composite || !all_listed) {
        store.forget_file(file.id).await?;
        // The object that stays in the bucket belongs to no file any more.
        let _ = bucket.delete(&file.key).await;
        return Err(not_of_parts(&file, expected.filter(|_| all_listed), &etag).into());
    }
    if !store.complete_file(&file, &etag, platform.now()).await? {
        // Another completion, a cancellation or a finalize came first.
        let (session, file) = lookup::file(store, user, session.id, file.id).await?;
        let Some(etag) = file.etag.clone() else {
            if session.status == Status::Cancelled {
                // The cancellation has cleared the bucket already: clear what came after it.
                let _ = bucket.delete(&file.key).await;
            }
            session.accepts_uploads(platform.now())?;
            return Err(Error::with_source(
                ErrorKind::StoreUnavailable,
                "a pending file of an active session did not complete",
            ));
        };
        return Ok(Completed { file, etag, idempotent: true });
    }
    lookup::extend(store, platform, &session, request.session_lifetime_max_ms).await;
    Ok(Completed { file, etag, idempotent: false })
}

/// The parts as the bucket lists them; `missing` if it has no such upload.
async fn list(bucket: &impl Bucket, file: &File, missing: Vec<u16>) -> Result<Vec<ListedPart>, Error> {
    match bucket.list_parts(&file.key, &file.upload_id).await {
        Ok(parts) => Ok(parts),
        Err(BucketError::NoSuchUpload) => Err(ErrorKind::PartCountMismatch { missing }.into()),
        Err(error) => Err(error.into()),
    }
}

/// The listed parts, those without an ETag under the one that the client claims.
fn claim(parts: Vec<ListedPart>, claimed: &[ClaimedPart], now: Timestamp) -> Vec<StoredPart> {
    let stored = |part: ListedPart| {
        let claim = || {
            let at = claimed.binary_search_by_key(&part.number, |claimed| claimed.number).ok()?;
            claimed.get(at).map(|claimed| claimed.etag.clone())
        };
        let etag = part.etag.clone().or_else(claim)?;
        Some(StoredPart { number: part.number, etag, size_bytes: part.size_bytes, uploaded_at: now })
    };
    parts.into_iter().filter_map(stored).collect()
}

/// Every part that the client names must be in the plan, under that ETag, and none left out.
fn check_claimed(claimed: &[ClaimedPart], etags: &[ETag]) -> Result<(), ErrorKind> {
    let total = u16::try_from(etags.len()).unwrap_or(u16::MAX);
    if claimed.last().is_some_and(|part| part.number.get() > total) {
        return Err(ErrorKind::InvalidPartNumber { last: total });
    }
    let named = |number: &u16| claimed.binary_search_by_key(number, |part| part.number.get()).is_ok();
    let missing: Vec<u16> = (1..=total).filter(|number| !named(number)).collect();
    if !missing.is_empty() {
        return Err(ErrorKind::PartCountMismatch { missing });
    }
    let differs = |(claimed, etag): (&ClaimedPart, &ETag)| {
        let message = || format!("is not the ETag of part {}", claimed.number.get());
        (claimed.etag != *etag).then(|| FieldError::new(format!("/parts/{}/etag", claimed.index), message()))
    };
    let errors: Vec<FieldError> = claimed.iter().zip(etags).filter_map(differs).take(VALIDATION_ERRORS_MAX).collect();
    if errors.is_empty() { Ok(()) } else { Err(ErrorKind::Invalid { errors }) }
}

/// The error for an object that was not made of its parts. Without an `expected` ETag the client's claims were all
/// there was to go by, and they were wrong.
fn not_of_parts(file: &File, expected: Option<ETag>, actual: &ETag) -> ErrorKind {
    match expected {
        Some(expected) => {
            file.differs(Mismatch { algorithm: "md5", expected: expected.to_string(), actual: actual.to_string() })
        }
        None => {
            let message = "are not the parts that the bucket had: register the file again";
            ErrorKind::Invalid { errors: vec![FieldError::new("/parts", message)] }
        }
    }
}

enum Completion {
    Made(CompletedUpload),
    /// The bucket lacks these parts, or has them under other ETags.
    PartsDiffer(Vec<u16>),
    /// Neither the upload nor the object is there.
    NoUpload,
}

/// Completes the upload. A response that was lost, or one that came to an earlier attempt, is recovered
/// by looking at the object: it is ours if its ETag is the one that these parts make. Some servers
/// reject an upload that is over where S3 says that there is none.
async fn complete(
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
    etags: &[ETag],
) -> Result<Completion, Error> {
    let error = match bucket.complete_upload(&file.key, &file.upload_id, etags).await {
        Ok(completed) => return Ok(Completion::Made(completed)),
        Err(BucketError::InvalidPart(_)) => return parts_that_differ(bucket, file, etags).await,
        Err(error @ (BucketError::Unavailable(_) | BucketError::NoSuchUpload | BucketError::Rejected(_))) => error,
        Err(error) => return Err(error.into()),
    };
    let expected = ETag::of_multipart(etags);
    let ours = |head: &ObjectHead| Some(&head.etag) == expected.as_ref() && head.size_bytes == file.size_bytes;
    let head = match error {
        BucketError::NoSuchUpload | BucketError::Rejected(_) => lookup::object(bucket, platform, file, ours).await?,
        _ => bucket.head(&file.key).await?,
    };
    match (head, error) {
        (Some(head), _) if ours(&head) => Ok(Completion::Made(CompletedUpload { etag: head.etag, is_composite: true })),
        (None, BucketError::NoSuchUpload) => Ok(Completion::NoUpload),
        (_, error) => Err(error.into()),
    }
}

async fn parts_that_differ(bucket: &impl Bucket, file: &File, etags: &[ETag]) -> Result<Completion, Error> {
    let parts = match bucket.list_parts(&file.key, &file.upload_id).await {
        Ok(parts) => parts,
        Err(BucketError::NoSuchUpload) => return Ok(Completion::NoUpload),
        Err(error) => return Err(error.into()),
    };
    let stands = |number: PartNumber, etag: &ETag| {
        parts.iter().any(|part| part.number == number && part.etag.as_ref().is_none_or(|listed| listed == etag))
    };
    let differing = file.plan.numbers().zip(etags).filter(|(number, etag)| !stands(*number, etag));
    Ok(Completion::PartsDiffer(differing.map(|(number, _)| number.get()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_errors_are_named_than_a_client_reads() {
        let etag = |text: &str| ETag::parse(text).unwrap();
        let claim = |number: u16| ClaimedPart {
            number: PartNumber::new(u64::from(number)).unwrap(),
            etag: etag("other"),
            index: usize::from(number) - 1,
        };
        let claimed: Vec<ClaimedPart> = (1..=100).map(claim).collect();
        let rejected = check_claimed(&claimed, &vec![etag("stored"); 100]);
        assert!(matches!(rejected, Err(ErrorKind::Invalid { errors }) if errors.len() == VALIDATION_ERRORS_MAX));
    }
}
