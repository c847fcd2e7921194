//! What finalize checks of every file before it makes a MOC.

use futures::stream::{self, StreamExt as _};
use moc_domain::category::Category;
use moc_domain::failure::{Failure, FileFault, Refusal};
use moc_domain::file::File;
use moc_domain::limits::CONTENT_PROBE_BYTES;

use crate::port::{Bucket, Platform};

/// How long the checks of a session's files took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the first to the last, in milliseconds.
    pub elapsed_ms: i64,
    /// Each of them, added up: what they would have taken one after the other.
    pub sequential_ms: i64,
}

/// Checks that there is an instruction, and that every file's object is there with the declared
/// size and the declared kind of content. One file is one task; `concurrency` of them run at once,
/// and the first that fails ends the rest.
///
/// # Errors
/// [`Refusal::InstructionFileRequired`], [`Refusal::FileValidationFailed`] with the file, or the
/// bucket's, whose cause names the file.
pub async fn files(
    bucket: &impl Bucket,
    platform: &impl Platform,
    files: &[File],
    concurrency: usize,
) -> Result<Timing, Failure> {
    let is_instruction = |file: &File| file.category == Category::Instruction && file.is_completed();
    if !files.iter().any(is_instruction) {
        return Err(Refusal::InstructionFileRequired.into());
    }
    let task = async |file| {
        let began = platform.now();
        let result = check(bucket, file).await;
        (file, result, platform.now().millis_since(began))
    };
    let began = platform.now();
    let mut sequential_ms = 0;
    let mut tasks = stream::iter(files).map(task).buffer_unordered(concurrency);
    while let Some((file, result, took_ms)) = tasks.next().await {
        match result {
            Ok(None) => sequential_ms += took_ms,
            Ok(Some(reason)) => return Err(file.failed(reason).into()),
            Err(Failure { refusal, cause }) => {
                let cause = cause.unwrap_or_default();
                return Err(Failure::caused(refusal, format!("file {}: {cause}", file.id)));
            }
        }
    }
    Ok(Timing { elapsed_ms: platform.now().millis_since(began), sequential_ms })
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
