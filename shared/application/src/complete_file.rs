//! `POST /sessions/:sessionId/files/:fileId/complete`
//!
//! S3 may take minutes to assemble a large object, and may show neither the upload nor the object meanwhile. So the
//! store records that a completion is requested before it is, and until `completion_timeout_ms` later nothing is
//! concluded from a missing object. A call that finds such a record looks first:
//!
//! | the bucket has | response |
//! |---|---|
//! | the object | the file is completed, whichever request the bucket has worked for |
//! | the upload | it is asked for the completion again |
//! | neither | 503 until `completion_timeout_ms` are over, then the file is given up: 422 |
//!
//! Without such a record the bucket is asked at once. If it then has neither, and nobody else has asked, the upload was
//! lost before: 422.
//!
//! Two rules keep every finished file: only a HEAD shows that an object is missing, and a record is deleted by one
//! statement that fails if another completion has begun; the object is deleted after that.

use moc_domain::checksum::Mismatch;
use moc_domain::error::{Error, ErrorKind, FieldError, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, File, StoredPart, in_order};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::{COMPLETION_LOOKS, DIRECT_PARTS_MAX, LOOK_PAUSE_MS, VALIDATION_ERRORS_MAX};
use moc_domain::part::PartNumber;
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;

use crate::lookup;
use crate::port::{Bucket, BucketError, CompletedUpload, ListedPart, ObjectHead, Platform, Store, StoreError};
use crate::retry::{self, ATTEMPTS_MAX};

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
    /// Whether it belongs to a MOC already.
    pub is_published: bool,
    /// The number of the change in its session, or of the session's last one where an earlier call had completed it.
    pub sequence: u64,
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
    let (session, mut file, recorded) = lookup::file_with_parts(store, user, session, file).await?;
    if let Some(etag) = file.etag.clone() {
        return Ok(again(&session, file, etag));
    }
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;

    let etags = parts(store, bucket, platform, &mut file, &recorded, request.parts).await?;
    let etag = match earlier(store, bucket, platform, request, &mut file, &etags).await? {
        None => ask(store, bucket, platform, request, &mut file, etags).await?,
        etag => etag,
    };
    let Some(etag) = etag else { return overtaken(store, bucket, platform, request, &file.key, false).await };
    match store.complete_file(&file, &etag, platform.now()).await? {
        Some(sequence) => {
            lookup::extend(store, platform, &session, request.session_lifetime_max_ms).await;
            Ok(Completed { file, etag, idempotent: false, is_published: false, sequence })
        }
        None => overtaken(store, bucket, platform, request, &file.key, true).await,
    }
}

/// A file that was completed before.
fn again(session: &Session, file: File, etag: ETag) -> Completed {
    let is_published = session.status == Status::Finalized;
    Completed { file, etag, idempotent: true, is_published, sequence: session.sequence }
}

/// The response where another completion, a cancellation or a finalize came first; `is_made` says that the bucket has
/// made the object.
async fn overtaken(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: CompleteRequest<'_>,
    key: &str,
    is_made: bool,
) -> Result<Completed, Error> {
    let found = lookup::file(store, request.user, request.session, request.file).await;
    let is_over = match &found {
        Ok((session, file)) => session.status == Status::Cancelled && file.etag.is_none(),
        Err(error) => error.kind == ErrorKind::NotFound,
    };
    // A cancellation has cleared the bucket already, or the file was given up or taken out: clear what came after it.
    // An object that was made is the end of every completion, and of the upload.
    if is_over && bucket.delete(key).await.is_ok() && is_made {
        let _ = store.clear_files(request.session, &[request.file]).await;
    }
    let (session, file) = found?;
    if let Some(etag) = file.etag.clone() {
        return Ok(again(&session, file, etag));
    }
    session.accepts_uploads(platform.now())?;
    Err(unsettled("another completion of the file came first"))
}

/// A client that retries later finds out.
fn unsettled(cause: &str) -> Error {
    Error::with_source(ErrorKind::BucketUnavailable, cause)
}

/// The ETags of the file's parts, in order: as recorded, or as the bucket lists them if the file has claims, or if the
/// client claims other ones now. It may have sent parts straight to the bucket, to presigned URLs, or one part twice at
/// once. Records of parts that the bucket lacks, or has with another size, are taken back.
///
/// A bucket that works on a completion may no longer list any: then no record is taken back, and the object will show
/// what is right.
async fn parts(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &mut File,
    recorded: &[StoredPart],
    claimed: Option<&[ClaimedPart]>,
) -> Result<Vec<ETag>, Error> {
    let known = in_order(file.plan, recorded).map_err(|missing| ErrorKind::PartCountMismatch { missing });
    let unlisted = known.clone().and_then(|etags| match claimed {
        Some(claimed) => check_claimed(claimed, &etags).map(|()| etags),
        None => Ok(etags),
    });
    match &unlisted {
        Ok(etags) if !file.has_claims => return Ok(etags.clone()),
        Err(kind) if claimed.is_none() || known.is_ok() && !matches!(kind, ErrorKind::Invalid { .. }) => {
            return Err(kind.clone().into());
        }
        _ => {}
    }
    let listed = match list(bucket, file, platform.now()).await {
        Ok(listed) if !listed.is_empty() || !has_begun(store, file).await? => listed,
        // A bucket that works on a completion lists nothing, or knows the upload no longer.
        Ok(_) | Err(BucketError::NoSuchUpload) => {
            return match claimed.filter(|claimed| known.is_err() && names_all(claimed, file)) {
                Some(claimed) if has_begun(store, file).await? => {
                    Ok(claimed.iter().map(|part| part.etag.clone()).collect())
                }
                _ => Ok(unlisted?),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let etags = match in_order(file.plan, &listed) {
        Ok(etags) => etags,
        Err(missing) => {
            let recorded = recorded.iter().map(|part| (part.number, &part.etag));
            return Err(take_back(store, file, recorded, missing).await?.into());
        }
    };
    if let Ok(recorded) = &known {
        correct(store, file, recorded, &listed).await?;
    }
    if let Some(claimed) = claimed {
        check_claimed(claimed, &etags)?;
    }
    Ok(etags)
}

/// Whether a completion of a file has begun, before the file was read or since.
async fn has_begun(store: &impl Store, file: &mut File) -> Result<bool, StoreError> {
    if file.completing_at.is_none() {
        let found = store.file(file.session_id, file.id).await?;
        file.completing_at = found.and_then(|(_, file)| file.completing_at);
    }
    Ok(file.completing_at.is_some())
}

/// Whether a client names every part of a file.
fn names_all(claimed: &[ClaimedPart], file: &File) -> bool {
    file.plan.numbers().eq(claimed.iter().map(|part| part.number))
}

/// Takes the records of the missing parts back, so that they can be sent again and count then; returns the error.
async fn take_back(
    store: &impl Store,
    file: &File,
    recorded: impl Iterator<Item = (PartNumber, &ETag)>,
    missing: Vec<u16>,
) -> Result<ErrorKind, Error> {
    let is_missing = |(number, _): &(PartNumber, &ETag)| missing.binary_search(&number.get()).is_ok();
    let records: Vec<_> = recorded.filter(is_missing).map(|(number, etag)| (number, etag.clone())).collect();
    for records in records.chunks(DIRECT_PARTS_MAX) {
        store.take_back_parts(file.id, records).await?;
    }
    Ok(ErrorKind::PartCountMismatch { missing })
}

/// Every part of an upload that the bucket lists; none if it has begun to complete the upload and lists nothing then.
async fn list(bucket: &impl Bucket, file: &File, now: Timestamp) -> Result<Vec<StoredPart>, BucketError> {
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = bucket.list_parts(&file.key, &file.upload_id, after).await?;
        listed.extend(page.parts.into_iter().map(|ListedPart { number, size_bytes, etag }| StoredPart {
            number,
            etag,
            size_bytes,
            uploaded_at: now,
        }));
        // A server that repeats a page must not be asked for ever.
        match page.next.filter(|next| after.is_none_or(|after| after < *next)) {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    // Between two pages the bucket may have begun to complete the upload: then it no longer lists the first one either.
    if after.is_some() && in_order(file.plan, &listed).is_err() {
        let first = bucket.list_parts(&file.key, &file.upload_id, None).await?;
        if first.parts.is_empty() {
            listed.clear();
        }
    }
    Ok(listed)
}

/// The listed parts that are not those of `etags`.
fn differing<'a>(etags: &'a [ETag], listed: &'a [StoredPart]) -> impl Iterator<Item = &'a StoredPart> {
    let etag = |part: &StoredPart| etags.get(usize::from(part.number.get()) - 1);
    listed.iter().filter(move |part| etag(part).is_some_and(|etag| *etag != part.etag))
}

/// Records the parts that the bucket has under other ETags than the store: parts that were sent twice at once and
/// recorded in another order than the bucket stored them, or recorded under a wrong ETag at a client's word. What is
/// known of their bytes was of the other ones.
async fn correct(store: &impl Store, file: &mut File, recorded: &[ETag], listed: &[StoredPart]) -> Result<(), Error> {
    let differing: Vec<StoredPart> = differing(recorded, listed).cloned().collect();
    for parts in differing.chunks(DIRECT_PARTS_MAX) {
        store.claim_parts(file.id, parts).await?;
        file.last_part_sha256 = None;
    }
    Ok(())
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

/// Whether an object has the ETag that follows from its parts, as far as ETags say anything.
fn follows(bucket: &impl Bucket, parts: &[ETag], etag: &ETag, is_etag_of_bytes: bool) -> bool {
    !is_etag_of_bytes || bucket.object_etag(parts).is_none_or(|expected| expected == *etag)
}

/// The ETag of the object that a completion has made which was requested before, if one was; `None` if the bucket has
/// to be asked for one.
///
/// Nothing but a completion of this upload writes to the file's key, and a bucket completes only parts that it has. So
/// an object of the file's size is the file, even if the record of a part has changed since its completion; only a
/// client's claims have to fit it.
async fn earlier(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: CompleteRequest<'_>,
    file: &mut File,
    etags: &[ETag],
) -> Result<Option<ETag>, Error> {
    if file.completing_at.is_none() {
        return Ok(None);
    }
    let is_whole = |head: &ObjectHead| head.size_bytes == file.size_bytes;
    let is_of_parts = |head: &ObjectHead| follows(bucket, etags, &head.etag, head.is_etag_of_bytes);
    let mut head = bucket.head(&file.key).await?;
    if !head.as_ref().is_some_and(|head| is_whole(head) && is_of_parts(head)) {
        match bucket.list_parts(&file.key, &file.upload_id, None).await {
            Err(BucketError::NoSuchUpload) => {
                head = lookup::object(bucket, platform, file, COMPLETION_LOOKS, |_| true).await?;
            }
            Ok(_) | Err(BucketError::Rejected(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    match head {
        Some(head) if is_whole(&head) && (request.parts.is_none() || is_of_parts(&head)) => {
            if !is_of_parts(&head) {
                file.last_part_sha256 = None;
            }
            Ok(Some(head.etag))
        }
        None if !file.is_completing(platform.now(), request.completion_timeout_ms)
            && lookup::forget(store, file, file.completing_at).await? =>
        {
            Err(file.failed(FileFault::ObjectMissing).into())
        }
        Some(_) => Err(unsettled("the bucket has no such upload, and another object than its parts make")),
        None => Err(unsettled("the bucket has neither the upload nor the object: it may be completing it")),
    }
}

/// Asks the bucket for the object; returns its ETag, `None` if another request came first.
async fn ask(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: CompleteRequest<'_>,
    file: &mut File,
    mut etags: Vec<ETag>,
) -> Result<Option<ETag>, Error> {
    let now = platform.now();
    let over_before = now.plus_millis(-request.completion_timeout_ms);
    let Some(completing) = store.begin_completion(file.id, now, over_before).await? else { return Ok(None) };
    let completion = complete(store, bucket, platform, file, &mut etags, request.parts.is_some()).await?;
    // Where nobody else has begun a completion.
    let forget = async |file: &File| -> Result<bool, Error> {
        Ok(completing.requests == 1 && lookup::forget(store, file, Some(completing.at)).await?)
    };
    match completion {
        Completion::Made(CompletedUpload { etag, is_etag_of_bytes }) => {
            if follows(bucket, &etags, &etag, is_etag_of_bytes) {
                return Ok(Some(etag));
            }
            // A bucket may have taken a part while it made the object: then the part's record follows in a moment.
            platform.sleep(LOOK_PAUSE_MS).await;
            let (_, again, recorded) =
                lookup::file_with_parts(store, request.user, request.session, request.file).await?;
            let is_of = |parts: Vec<ETag>| follows(bucket, &parts, &etag, is_etag_of_bytes);
            if request.parts.is_none() && in_order(file.plan, &recorded).is_ok_and(is_of) {
                *file = again;
                return Ok(Some(etag));
            }
            if !forget(file).await? {
                return Ok(None);
            }
            // The object that stays in the bucket belongs to no file any more.
            let _ = bucket.delete(&file.key).await;
            let expected = bucket.object_etag(&etags).map_or_else(String::new, |expected| expected.to_string());
            Err(file.differs(Mismatch { algorithm: "md5", expected, actual: etag.to_string() }).into())
        }
        Completion::Found(head) => {
            let is_file =
                head.size_bytes == file.size_bytes && follows(bucket, &etags, &head.etag, head.is_etag_of_bytes);
            Ok(is_file.then_some(head.etag))
        }
        // The upload was lost before.
        Completion::NotThere { was_requested_once } if was_requested_once && forget(file).await? => {
            Err(file.failed(FileFault::ObjectMissing).into())
        }
        Completion::NotThere { .. } => {
            Err(unsettled("the bucket has neither the upload nor the object: it may be completing it"))
        }
    }
}

enum Completion {
    /// The bucket has made an object.
    Made(CompletedUpload),
    /// The bucket has failed, and has an object.
    Found(ObjectHead),
    /// Neither the upload nor the object is there.
    NotThere {
        /// Whether this call has sent one request for it.
        was_requested_once: bool,
    },
}

/// Requests the completion. A response that was lost, or one that came to an earlier request, is recovered by looking
/// at the object. Some servers reject an upload that is over where S3 says that there is none.
///
/// S3's `InvalidPart` says that it lacks a part, has it under another ETag, or has begun to complete it: what it lists
/// decides. Other ETags are taken over into `etags` and the store, unless the client `claims` some.
async fn complete(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &mut File,
    etags: &mut Vec<ETag>,
    claims: bool,
) -> Result<Completion, Error> {
    let mut requests = 1;
    loop {
        let error = match bucket.complete_upload(&file.key, &file.upload_id, etags).await {
            Ok(completed) => return Ok(Completion::Made(completed)),
            // The client has waited long enough; its next request looks.
            Err(error @ BucketError::Silent(_)) => return Err(error.into()),
            Err(error) => error,
        };
        if !retry::pause(platform, requests, &error).await {
            let looks = match error {
                BucketError::NoSuchUpload | BucketError::Rejected(_) => COMPLETION_LOOKS,
                _ => 1,
            };
            if let Some(head) = lookup::object(bucket, platform, file, looks, |_| true).await? {
                return Ok(Completion::Found(head));
            }
            match error {
                BucketError::NoSuchUpload => {
                    return Ok(Completion::NotThere { was_requested_once: requests == 1 });
                }
                BucketError::InvalidPart(_) if requests < ATTEMPTS_MAX => {
                    take_over(store, bucket, platform, file, etags, claims).await?;
                }
                error => return Err(error.into()),
            }
        }
        requests += 1;
    }
}

/// Takes over what the bucket lists. If it lists what it was asked for, or nothing because it is completing it, another
/// attempt after a pause may succeed.
async fn take_over(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &mut File,
    etags: &mut Vec<ETag>,
    claims: bool,
) -> Result<(), Error> {
    let listed = match list(bucket, file, platform.now()).await {
        Ok(listed) => listed,
        Err(BucketError::NoSuchUpload) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let missing = match in_order(file.plan, &listed) {
        Ok(stored) if stored == *etags => Vec::new(),
        Ok(stored) if !claims => {
            correct(store, file, etags, &listed).await?;
            *etags = stored;
            return Ok(());
        }
        Ok(_) => differing(etags, &listed).map(|part| part.number.get()).collect(),
        Err(missing) if !listed.is_empty() => {
            let recorded = file.plan.numbers().zip(&*etags);
            return Err(take_back(store, file, recorded, missing).await?.into());
        }
        Err(_) => Vec::new(),
    };
    if missing.is_empty() {
        platform.sleep(LOOK_PAUSE_MS).await;
        return Ok(());
    }
    Err(ErrorKind::PartCountMismatch { missing }.into())
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
