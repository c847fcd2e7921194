//! What finalize checks of every file before it makes a MOC.

use futures::stream::{self, StreamExt as _};
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::File;
use moc_domain::limits::{CONTENT_PROBE_BYTES, OBJECT_LOOKS};

use crate::lookup;
use crate::port::{Bucket, ObjectHead, Platform, Store};

/// How long the checks of a session's files took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the first to the last, in milliseconds.
    pub elapsed_ms: i64,
    /// Each of them, added up: what they would have taken one after the other.
    pub sequential_ms: i64,
}

/// Checks that there is an instruction, and that every file's object is there with the declared
/// size, the declared kind of content and the announced checksums. One file is one task;
/// `concurrency` of them run at once, and the first that fails ends the rest. A completed file that
/// fails can be registered again.
///
/// # Errors
/// [`ErrorKind::InstructionFileRequired`], [`ErrorKind::FileValidationFailed`] or
/// [`ErrorKind::ChecksumMismatch`] with the file, the store's, or the bucket's, whose cause names the
/// file.
pub async fn files(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    files: &[File],
    concurrency: usize,
    completion_timeout_ms: i64,
) -> Result<Timing, Error> {
    let is_instruction = |file: &File| file.category == Category::Instruction && file.is_completed();
    if !files.iter().any(is_instruction) {
        return Err(ErrorKind::InstructionFileRequired.into());
    }
    let task = async |file| {
        let began = platform.now();
        let result = check(bucket, platform, file, completion_timeout_ms).await;
        (file, result, platform.now().millis_since(began))
    };
    let began = platform.now();
    let mut sequential_ms = 0;
    let mut failed = None;
    {
        let mut tasks = stream::iter(files).map(task).buffer_unordered(concurrency);
        while let Some((file, result, took_ms)) = tasks.next().await {
            sequential_ms += took_ms;
            if let Err(error) = result {
                failed = Some((file, error));
                break;
            }
        }
    }
    match failed {
        None => Ok(Timing { elapsed_ms: platform.now().millis_since(began), sequential_ms }),
        Some((file, error @ Error { kind: ErrorKind::BucketUnavailable, .. })) => {
            let cause = error.source.unwrap_or_default();
            Err(Error::with_source(error.kind, format!("file {}: {cause}", file.id)))
        }
        Some((file, error)) => {
            store.reject_file(file.id).await?;
            Err(error)
        }
    }
}

/// Whether a file is what it was declared to be. What the bucket knows of it is asked for at once:
/// one round trip a file. The object is read only for a checksum that is not known otherwise.
async fn check(
    bucket: &impl Bucket,
    platform: &impl Platform,
    file: &File,
    completion_timeout_ms: i64,
) -> Result<(), Error> {
    let failed = |reason| Err(file.failed(reason).into());
    if file.is_completing(platform.now(), completion_timeout_ms) {
        let cause = "its completion was requested, and has not succeeded yet";
        return Err(Error::with_source(ErrorKind::BucketUnavailable, cause));
    }
    if !file.is_completed() {
        return failed(FileFault::ObjectMissing);
    }
    let start = bucket.read(&file.key, 0, CONTENT_PROBE_BYTES);
    let (mut head, mut start) = futures::future::try_join(bucket.head(&file.key), start).await?;
    if head.is_none() || start.is_none() {
        // One look is not enough: the object was there when the file was completed.
        head = lookup::object(bucket, platform, file, OBJECT_LOOKS, |_| true).await?;
        start = bucket.read(&file.key, 0, CONTENT_PROBE_BYTES).await?;
    }
    let (Some(head), Some(start)) = (head, start) else { return failed(FileFault::ObjectMissing) };
    if head.size_bytes != file.size_bytes {
        return failed(FileFault::SizeMismatch);
    }
    let whole = file.size_bytes <= CONTENT_PROBE_BYTES;
    if !file.content.matches(&start, whole) {
        return failed(FileFault::ContentMismatch);
    }
    let known = known_checksums(bucket, file, &head);
    file.checksums.check(&known).map_err(|mismatch| file.differs(mismatch))?;
    let unknown = file.checksums.unknown_in(&known);
    if !unknown.is_empty() {
        let Some(read) = bucket.checksums(&file.key, &unknown).await? else {
            return failed(FileFault::ObjectMissing);
        };
        unknown.check(&read).map_err(|mismatch| file.differs(mismatch))?;
    }
    Ok(())
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
