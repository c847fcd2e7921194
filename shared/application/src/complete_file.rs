//! `POST /sessions/:sessionId/files/:fileId/complete`
//!
//! S3 may take minutes to assemble a large object, and may show neither the upload nor the object meanwhile. So the
//! store records that a completion was requested before it is, and until `completion_timeout_ms` later nothing is
//! concluded from a missing object:
//!
//! | the bucket has | response |
//! |---|---|
//! | the object | the file is completed, whichever request the bucket has worked for |
//! | the upload | it is asked for the completion again |
//! | neither | 503 until `completion_timeout_ms` are over, then the file is given up: 422 |
//! | neither, and no completion was requested before | the upload was lost: 422 at once |

use moc_domain::checksum::Mismatch;
use moc_domain::error::{Error, ErrorKind, FieldError, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, File, StoredPart, in_order};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::{COMPLETION_LOOKS, VALIDATION_ERRORS_MAX};
use moc_domain::part::PartNumber;
use moc_domain::session::Status;

use crate::port::{Bucket, BucketError, CompletedUpload, ListedPart, ObjectHead, Platform, Store};
use crate::{lookup, retry};

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
    /// Longest time that the bucket may take, in milliseconds.
    pub completion_timeout_ms: i64,
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
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;

    let etags = parts(bucket, &file, &recorded, request.parts).await?;
    if let Some(claimed) = request.parts {
        check_claimed(claimed, &etags)?;
    }
    let Some(completing) = store.begin_completion(file.id, platform.now()).await? else {
        return overtaken(store, bucket, platform, request, false).await;
    };
    let CompletedUpload { etag, is_etag_of_bytes } = match complete(bucket, platform, &file, &etags).await? {
        Completion::Made(completed) => completed,
        Completion::PartsDiffer(missing) => return Err(ErrorKind::PartCountMismatch { missing }.into()),
        Completion::NotThere { was_requested_once } => {
            let is_first = completing.requests == 1 && was_requested_once;
            // Another request may have begun later, and have been the first that the bucket got.
            let was_lost_before = is_first
                && match store.begin_completion(file.id, platform.now()).await? {
                    Some(again) => again.requests == 2,
                    None => return overtaken(store, bucket, platform, request, false).await,
                };
            let waited_ms = platform.now().millis_since(completing.since);
            if !was_lost_before && waited_ms < request.completion_timeout_ms {
                let cause =
                    format!("the bucket has neither the upload nor the object {waited_ms} ms after a completion");
                return Err(Error::with_source(ErrorKind::BucketUnavailable, cause));
            }
            store.forget_file(file.id).await?;
            return Err(file.failed(FileFault::ObjectMissing).into());
        }
    };
    if let Some(expected) = bucket.object_etag(&etags).filter(|expected| is_etag_of_bytes && *expected != etag) {
        if lookup::forget(store, &file).await? {
            // The object that stays in the bucket belongs to no file any more.
            let _ = bucket.delete(&file.key).await;
        }
        let mismatch = Mismatch { algorithm: "md5", expected: expected.to_string(), actual: etag.to_string() };
        return Err(file.differs(mismatch).into());
    }
    if !store.complete_file(&file, &etag, platform.now()).await? {
        return overtaken(store, bucket, platform, request, true).await;
    }
    lookup::extend(store, platform, &session, request.session_lifetime_max_ms).await;
    Ok(Completed { file, etag, idempotent: false })
}

/// The response where another completion, a cancellation or a finalize came first; `is_made` says that the bucket has
/// made the object.
async fn overtaken(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: CompleteRequest<'_>,
    is_made: bool,
) -> Result<Completed, Error> {
    let (session, file) = lookup::file(store, request.user, request.session, request.file).await?;
    if let Some(etag) = file.etag.clone() {
        return Ok(Completed { file, etag, idempotent: true });
    }
    if session.status == Status::Cancelled {
        // The cancellation has cleared the bucket already: clear what came after it. An object that was made is the
        // end of every completion.
        if bucket.delete(&file.key).await.is_ok() && is_made {
            let _ = store.end_completion(file.id).await;
        }
    }
    session.accepts_uploads(platform.now())?;
    Err(Error::with_source(ErrorKind::StoreUnavailable, "a pending file of an active session did not complete"))
}

/// The ETags of the file's parts, in order: as recorded, or as the bucket lists parts that clients have sent straight
/// to it, to presigned URLs. A bucket that works on a completion may no longer list any: then the object will show
/// whether the client's claims are right.
async fn parts(
    bucket: &impl Bucket,
    file: &File,
    recorded: &[StoredPart],
    claimed: Option<&[ClaimedPart]>,
) -> Result<Vec<ETag>, Error> {
    let missing = match (in_order(file.plan, recorded), claimed) {
        (Ok(etags), _) => return Ok(etags),
        (Err(missing), None) => return Err(ErrorKind::PartCountMismatch { missing }.into()),
        (Err(missing), Some(_)) => missing,
    };
    let etags = match list(bucket, file).await {
        Ok(listed) => in_order(file.plan, &listed),
        Err(BucketError::NoSuchUpload) if file.completing_at.is_some() => {
            let claimed = claimed.unwrap_or_default();
            let is_whole = file.plan.numbers().eq(claimed.iter().map(|part| part.number));
            if is_whole { Ok(claimed.iter().map(|part| part.etag.clone()).collect()) } else { Err(missing) }
        }
        Err(BucketError::NoSuchUpload) => Err(missing),
        Err(error) => return Err(error.into()),
    };
    etags.map_err(|missing| ErrorKind::PartCountMismatch { missing }.into())
}

/// Every part of an upload that the bucket lists.
async fn list(bucket: &impl Bucket, file: &File) -> Result<Vec<StoredPart>, BucketError> {
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = bucket.list_parts(&file.key, &file.upload_id, after).await?;
        listed.extend(page.parts.into_iter().map(|ListedPart { number, size_bytes, etag }| StoredPart {
            number,
            etag,
            size_bytes,
            uploaded_at: file.created_at,
        }));
        // A server that repeats a page must not be asked for ever.
        match page.next.filter(|next| after.is_none_or(|after| after < *next)) {
            Some(next) => after = Some(next),
            None => return Ok(listed),
        }
    }
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

enum Completion {
    Made(CompletedUpload),
    /// The bucket lacks these parts, or has them under other ETags.
    PartsDiffer(Vec<u16>),
    /// Neither the upload nor the object is there.
    NotThere {
        /// Whether this call has sent one request for it.
        was_requested_once: bool,
    },
}

/// Completes the upload. A response that was lost, or one that came to an earlier request, is recovered
/// by looking at the object: it is ours if its ETag is the one that these parts make. Some servers
/// reject an upload that is over where S3 says that there is none.
async fn complete(
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
    etags: &[ETag],
) -> Result<Completion, Error> {
    let mut requests = 1;
    let error = loop {
        match bucket.complete_upload(&file.key, &file.upload_id, etags).await {
            Ok(completed) => return Ok(Completion::Made(completed)),
            Err(error) if retry::pause(platform, requests, &error).await => requests += 1,
            Err(error) => break error,
        }
    };
    let expected = bucket.object_etag(etags);
    let is_ours = |head: &ObjectHead| {
        let has_etag = !head.is_etag_of_bytes || expected.as_ref().is_none_or(|expected| head.etag == *expected);
        head.size_bytes == file.size_bytes && has_etag
    };
    let head = match &error {
        BucketError::InvalidPart(_) => match parts_that_differ(bucket, file, etags).await? {
            Some(differing) => return Ok(Completion::PartsDiffer(differing)),
            None => lookup::object(bucket, platform, file, COMPLETION_LOOKS, is_ours).await?,
        },
        BucketError::NoSuchUpload | BucketError::Rejected(_) => {
            lookup::object(bucket, platform, file, COMPLETION_LOOKS, is_ours).await?
        }
        BucketError::Unavailable(_) => bucket.head(&file.key).await?,
        // The client has waited long enough; its next request looks.
        BucketError::Silent(_) => return Err(error.into()),
    };
    match (head, error) {
        (Some(head), _) if is_ours(&head) => {
            let ObjectHead { etag, is_etag_of_bytes, .. } = head;
            Ok(Completion::Made(CompletedUpload { etag, is_etag_of_bytes }))
        }
        (None, BucketError::NoSuchUpload | BucketError::InvalidPart(_)) => {
            Ok(Completion::NotThere { was_requested_once: requests == 1 })
        }
        (_, error) => Err(error.into()),
    }
}

/// The parts that the bucket lacks or has under other ETags; `None` if it has no such upload.
async fn parts_that_differ(bucket: &impl Bucket, file: &File, etags: &[ETag]) -> Result<Option<Vec<u16>>, Error> {
    let parts = match list(bucket, file).await {
        Ok(parts) => parts,
        Err(BucketError::NoSuchUpload) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stands = |number: PartNumber, etag: &ETag| parts.iter().any(|part| part.number == number && part.etag == *etag);
    let differing = file.plan.numbers().zip(etags).filter(|(number, etag)| !stands(*number, etag));
    Ok(Some(differing.map(|(number, _)| number.get()).collect()))
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
