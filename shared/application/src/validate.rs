//! What finalize checks of every file before it makes a MOC.

use futures::stream::{self, StreamExt as _};
use moc_domain::category::Category;
use moc_domain::failure::{Failure, FileFault, Refusal};
use moc_domain::file::File;
use moc_domain::limits::{CONTENT_PROBE_BYTES, FINALIZE_CONCURRENCY};

use crate::port::Bucket;

/// Checks that there is an instruction, and that every file's object is there with the declared
/// size and the declared kind of content. The files are checked 16 at once; the first fault ends
/// the rest.
///
/// # Errors
/// [`Refusal::InstructionFileRequired`], [`Refusal::FileValidationFailed`], or the bucket's.
pub async fn files(bucket: &impl Bucket, files: &[File]) -> Result<(), Failure> {
    let is_instruction = |file: &File| file.category == Category::Instruction && file.is_completed();
    if !files.iter().any(is_instruction) {
        return Err(Refusal::InstructionFileRequired.into());
    }
    let mut checks = stream::iter(files)
        .map(|file| async move { (file, check(bucket, file).await) })
        .buffer_unordered(FINALIZE_CONCURRENCY);
    while let Some((file, result)) = checks.next().await {
        if let Some(reason) = result? {
            return Err(file.failed(reason).into());
        }
    }
    Ok(())
}

/// Both questions at once: one round trip a file.
async fn check(bucket: &impl Bucket, file: &File) -> Result<Option<FileFault>, Failure> {
    if !file.is_completed() {
        return Ok(Some(FileFault::ObjectMissing));
    }
    let head = bucket.head(&file.key);
    let start = bucket.first_bytes(&file.key, CONTENT_PROBE_BYTES);
    let (head, start) = futures::future::try_join(head, start).await?;
    let (Some(head), Some(start)) = (head, start) else { return Ok(Some(FileFault::ObjectMissing)) };
    if head.size_bytes != file.size_bytes {
        return Ok(Some(FileFault::SizeMismatch));
    }
    let whole = file.size_bytes <= CONTENT_PROBE_BYTES;
    Ok((!file.content.matches(&start, whole)).then_some(FileFault::ContentMismatch))
}
