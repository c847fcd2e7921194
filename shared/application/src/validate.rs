//! What finalize checks of every file before it makes a MOC.

use futures::stream::{self, StreamExt as _};
use moc_domain::category::Category;
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::file::File;
use moc_domain::limits::CONTENT_PROBE_BYTES;

use crate::port::{Bucket, Platform, Store};

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
) -> Result<Timing, Error> {
    let is_instruction = |file: &File| file.category == Category::Instruction && file.is_completed();
    if !files.iter().any(is_instruction) {
        return Err(ErrorKind::InstructionFileRequired.into());
    }
    let task = async |file| {
        let began = platform.now();
        let result = check(bucket, file).await;
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
async fn check(bucket: &impl Bucket, file: &File) -> Result<(), Error> {
    let failed = |reason| Err(file.failed(reason).into());
    if !file.is_completed() {
        return failed(FileFault::ObjectMissing);
    }
    let head = bucket.head(&file.key);
    let start = bucket.first_bytes(&file.key, CONTENT_PROBE_BYTES);
    let (head, start) = futures::future::try_join(head, start).await?;
    let (Some(head), Some(start)) = (head, start) else { return failed(FileFault::ObjectMissing) };
    if head.size_bytes != file.size_bytes {
        return failed(FileFault::SizeMismatch);
    }
    let whole = file.size_bytes <= CONTENT_PROBE_BYTES;
    if !file.content.matches(&start, whole) {
        return failed(FileFault::ContentMismatch);
    }
    let known = file.known_checksums(&head.etag);
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
