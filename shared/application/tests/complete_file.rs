//! Completing a file beside a bucket that is slow, loses responses, or has lost the upload.

use moc_application::port::BucketError;
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::file::File;
use moc_fakes::stage::COMPLETION_TIMEOUT_MS;
use moc_fakes::{BucketOptions, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";

fn sent(stage: &Stage) -> File {
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    file
}

fn unavailable() -> BucketError {
    BucketError::Unavailable("503".into())
}

fn silent() -> BucketError {
    BucketError::Silent("30 s".into())
}

fn is_missing(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::FileValidationFailed { failures } if failures[0].reason == FileFault::ObjectMissing)
}

/// The first request to begin is not always the first that the bucket gets.
#[test]
fn another_completion_that_was_faster_is_not_a_lost_upload() {
    let stage = Stage::default();
    let file = sent(&stage);
    let (other, slow) = (stage.another(), file.clone());
    stage.bucket_faults.meanwhile("complete_upload", 1, move || {
        other.memory.complete_slowly(true);
        other.bucket_faults.after("complete_upload", 1..=1, silent());
        assert_eq!(other.complete(&slow, None).unwrap_err().kind, ErrorKind::BucketUnavailable);
    });
    assert_eq!(stage.complete(&file, None).unwrap_err().kind, ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    assert_eq!(stage.complete(&file, None).unwrap().file.id, file.id);
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
}
