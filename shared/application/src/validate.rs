//! What finalize checks of every file before it makes a MOC.
//!
//! What is cheap comes first, of all files: what the store knows, then what the bucket knows of each object and its
//! first bytes. Only if all of them pass is an object read as a whole, and what such a read has shown is recorded: small
//! objects first, so that a call that is interrupted has verified as many as it can.

use std::cell::Cell;

use futures::future::LocalBoxFuture;
use futures::stream::{self, StreamExt as _};
use moc_domain::category::Category;
use moc_domain::checksum::{Checksums, Mismatch};
use moc_domain::content::Content;
use moc_domain::error::{Error, ErrorKind, FileFailure, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Rejection};
use moc_domain::format::Format;
use moc_domain::id::LockToken;
use moc_domain::limits::{CONTENT_PROBE_BYTES, COPY_MAX_BYTES, OBJECT_LOOKS, READ_ALONE_BELOW_MS};
use moc_domain::object::Object;
use moc_domain::text::{Charset, TextCheck};

use crate::port::{Bucket, BucketError, ObjectHead, Platform, Scan, Store};
use crate::{deadline, lookup};

/// How long the checks of a session's files took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the first to the last, in milliseconds.
    pub elapsed_ms: i64,
    /// Each of them, added up: what they would have taken one after the other.
    pub sequential_ms: i64,
}

/// Why a file does not pass.
enum Failure {
    /// It has to be replaced.
    Rejected(Rejection),
    /// It could not be checked.
    Failed(Error),
}

impl Failure {
    /// That the first bytes are not of the declared kind, but of this format, if it is known.
    fn foreign(found: Option<Format>) -> Self {
        let mismatch = Rejection::Fault(FileFault::ContentMismatch);
        Self::Rejected(found.map_or(mismatch, Rejection::Foreign))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<BucketError> for Failure {
    fn from(error: BucketError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<FileFault> for Failure {
    fn from(fault: FileFault) -> Self {
        Self::Rejected(Rejection::Fault(fault))
    }
}

impl From<Mismatch> for Failure {
    fn from(mismatch: Mismatch) -> Self {
        Self::Rejected(Rejection::Differs(mismatch))
    }
}

/// The check of a file; gives its object if that has to be read as a whole.
type Check<'a> = LocalBoxFuture<'a, (&'a File, Result<Option<ObjectHead>, Failure>)>;

/// Checks that there is an instruction, and that every file's object is there with the declared
/// size, the declared kind of content and the announced checksums. One file is one task;
/// `concurrency` of them run at once, and the first that fails ends the rest. A completed file that
/// fails can be registered again; the record keeps why it failed, and its object is deleted. `token` holds the
/// session's lock.
///
/// # Errors
/// [`ErrorKind::InstructionFileRequired`], [`ErrorKind::FileValidationFailed`] or
/// [`ErrorKind::ChecksumMismatch`] with the file, [`ErrorKind::FinalizeInProgress`] if `token` no longer holds the
/// lock, the store's, or the bucket's, whose cause names the file.
pub async fn files(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    token: LockToken,
    files: &[File],
    concurrency: usize,
    completion_timeout_ms: i64,
) -> Result<Timing, Error> {
    let began = platform.now();
    let is_instruction = |file: &File| file.category == Category::Instruction && file.is_completed();
    if !files.iter().any(is_instruction) {
        return Err(ErrorKind::InstructionFileRequired.into());
    }
    known(files, |file| file.is_completing(began, completion_timeout_ms))?;

    let sequential_ms = Cell::new(0);
    let timed = async |file, check: LocalBoxFuture<'_, Result<Option<ObjectHead>, Failure>>| {
        let began = platform.now();
        let result = check.await;
        sequential_ms.set(sequential_ms.get() + platform.now().millis_since(began));
        (file, result)
    };
    let looks =
        files.iter().map(|file| -> Check<'_> { Box::pin(timed(file, Box::pin(look(store, bucket, platform, file)))) });
    let mut unread = all(store, bucket, token, looks.collect(), concurrency).await?;
    // Side by side they might all be interrupted, each time: one after the other, some are verified.
    let is_short = deadline::left_ms(platform).is_some_and(|left_ms| left_ms < READ_ALONE_BELOW_MS);
    let concurrency = if is_short { 1 } else { concurrency };
    unread.sort_by_key(|(file, _)| file.size_bytes);
    let read = |(file, object)| -> Check<'_> { Box::pin(timed(file, Box::pin(read(store, bucket, file, object)))) };
    all(store, bucket, token, unread.into_iter().map(read).collect(), concurrency).await?;
    Ok(Timing { elapsed_ms: platform.now().millis_since(began), sequential_ms: sequential_ms.get() })
}

/// What the store knows already. A file whose completion may still succeed is no reason to reject another one later.
fn known(files: &[File], is_completing: impl Fn(&File) -> bool) -> Result<(), Error> {
    for file in files {
        match &file.rejection {
            // The bucket may have been late.
            None | Some(Rejection::Fault(FileFault::ObjectMissing)) => {}
            Some(rejection) => return Err(rejected(file, rejection.clone())),
        }
        if !file.is_completed() && !is_completing(file) {
            return Err(rejected(file, Rejection::Fault(FileFault::ObjectMissing)));
        }
    }
    match files.iter().find(|file| is_completing(file)) {
        None => Ok(()),
        Some(file) => {
            let cause = format!("file {}: its completion was requested, and has not succeeded yet", file.id);
            Err(Error::with_source(ErrorKind::BucketUnavailable, cause))
        }
    }
}

/// The error for a rejected file; the log gets the file and the reason.
fn rejected(file: &File, rejection: Rejection) -> Error {
    let kind = file.rejected_for(rejection);
    let reason = match &kind {
        ErrorKind::FileValidationFailed { failures } => failures.iter().map(FileFailure::detail).collect(),
        ErrorKind::ChecksumMismatch { algorithm, .. } => format!("its {algorithm} is not the announced one"),
        _ => String::new(),
    };
    Error::with_source(kind, format!("file {} ({:?}): {reason}", file.id, file.name))
}

/// Makes these checks, `concurrency` at once; gives the objects that have to be read. The first check that fails ends
/// the rest, and its file is rejected.
async fn all<'a>(
    store: &impl Store,
    bucket: &impl Bucket,
    token: LockToken,
    checks: Vec<Check<'a>>,
    concurrency: usize,
) -> Result<Vec<(&'a File, ObjectHead)>, Error> {
    let mut unread = Vec::new();
    let (file, failure) = {
        let mut checks = stream::iter(checks).buffer_unordered(concurrency);
        loop {
            match checks.next().await {
                None => return Ok(unread),
                Some((file, Ok(object))) => unread.extend(object.map(|object| (file, object))),
                Some((file, Err(failure))) => break (file, failure),
            }
        }
    };
    match failure {
        Failure::Rejected(rejection) => {
            if !store.reject_file(file.id, &rejection, token).await? {
                // This call was so slow that its lease ended: the file may be a part of another one's MOC.
                return Err(ErrorKind::FinalizeInProgress.into());
            }
            // An object that is missing may yet appear, and then it may be right.
            if rejection != Rejection::Fault(FileFault::ObjectMissing) {
                // One that stays is deleted with the session, or when the file is replaced.
                let _ = bucket.delete(&file.key).await;
            }
            Err(rejected(file, rejection))
        }
        Failure::Failed(error) => {
            let cause = error.source.unwrap_or_default();
            Err(Error::with_source(error.kind, format!("file {}: {cause}", file.id)))
        }
    }
}

/// What the bucket knows of a file's object, and its first bytes: one round trip. Gives the object if only its bytes
/// show whether they are right.
async fn look(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
) -> Result<Option<ObjectHead>, Failure> {
    let start = bucket.read(&file.key, 0, CONTENT_PROBE_BYTES);
    let (mut head, mut start) = futures::future::try_join(bucket.head(&file.key), start).await?;
    if (head.is_none() || start.is_none()) && !file.rejected {
        // One look is not enough: the object was there when the file was completed.
        head = lookup::object(bucket, platform, file, OBJECT_LOOKS, |_| true).await?;
        start = bucket.read(&file.key, 0, CONTENT_PROBE_BYTES).await?;
    }
    let (Some(mut head), Some(start)) = (head, start) else { return Err(FileFault::ObjectMissing.into()) };
    if head.size_bytes != file.size_bytes {
        return Err(FileFault::SizeMismatch.into());
    }
    let whole = file.size_bytes <= CONTENT_PROBE_BYTES;
    let content = recognised(file, &start, whole)?;
    let known = known_checksums(bucket, file, &head);
    file.checksums.check(&known)?;
    if whole || !content.is_text() {
        head = settle(store, bucket, file, head, content, charset(&start)).await?;
    }
    let is_known = file.checksums.unknown_in(&known).is_empty() && (whole || !content.is_text());
    let is_verified = file.verified_etag.as_ref() == Some(&head.etag) || is_known;
    Ok((!is_verified).then_some(head))
}

/// What a file is by its first bytes. A picture may be another one than it was declared to be: programs save one kind
/// under the name of another.
fn recognised(file: &File, start: &[u8], whole: bool) -> Result<Content, Failure> {
    if file.content.matches(start, whole) {
        return Ok(file.content);
    }
    let found = Format::of(start);
    let picture = found.and_then(Format::content).filter(|content| content.is_image() && file.content.is_image());
    picture.ok_or_else(|| Failure::foreign(found))
}

fn charset(text: &[u8]) -> Charset {
    let mut check = TextCheck::default();
    check.push(text);
    check.finish().unwrap_or(Charset::Other)
}

/// Has the object say what its bytes are, and records that. A bucket that does not copy leaves it as it is.
async fn settle(
    store: &impl Store,
    bucket: &impl Bucket,
    file: &File,
    mut object: ObjectHead,
    content: Content,
    charset: Charset,
) -> Result<ObjectHead, Failure> {
    let media_type = content.stored_type_in(charset);
    let is_said = object.media_type.as_deref().is_none_or(|said| is_same_type(said, media_type));
    if !is_said && object.size_bytes <= COPY_MAX_BYTES {
        match bucket.retype(Object { content, ..file.object() }, media_type).await {
            Ok(etag) => object.etag = etag,
            Err(BucketError::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if content != file.content || file.etag.as_ref() != Some(&object.etag) {
        // Otherwise it would be published as what it is not.
        store.retype_file(file.id, content, &object.etag).await.map_err(Error::from)?;
    }
    Ok(object)
}

/// Whether two media types are the same but for case and spaces, which buckets may change.
fn is_same_type(first: &str, second: &str) -> bool {
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !c.is_whitespace() && *c != '"').map(|c| c.to_ascii_lowercase()).collect()
    };
    letters(first) == letters(second)
}

/// Reads an object once for everything that only its bytes show, and records that they are right.
async fn read(
    store: &impl Store,
    bucket: &impl Bucket,
    file: &File,
    object: ObjectHead,
) -> Result<Option<ObjectHead>, Failure> {
    let unknown = file.checksums.unknown_in(&known_checksums(bucket, file, &object));
    let Scan { checksums, charset } = bucket.scan(&file.key, &unknown).await?.ok_or(FileFault::ObjectMissing)?;
    if file.content.is_text() && charset.is_none() {
        return Err(FileFault::ContentMismatch.into());
    }
    unknown.check(&checksums)?;
    let object = match charset.filter(|_| file.content.is_text()) {
        Some(charset) => settle(store, bucket, file, object, file.content, charset).await?,
        None => object,
    };
    // Without this record the next finalize reads it again.
    let _ = store.verify_file(file.id, &object.etag).await;
    Ok(None)
}

/// What is known of an object's checksums without reading it. An only part's SHA-256 was computed while it streamed,
/// and the ETag shows whether its MD5 is the announced one.
fn known_checksums(bucket: &impl Bucket, file: &File, object: &ObjectHead) -> Checksums {
    if file.plan.total() != 1 || file.etag.as_ref() != Some(&object.etag) {
        return Checksums::default();
    }
    let etag_of = |md5: [u8; 16]| -> Option<ETag> { bucket.object_etag(&[bucket.part_etag(md5)]) };
    let is_of_object = |md5: &[u8; 16]| object.is_etag_of_bytes && etag_of(*md5).as_ref() == Some(&object.etag);
    Checksums { md5: file.checksums.md5.filter(is_of_object), sha256: file.last_part_sha256 }
}
