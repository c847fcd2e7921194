//! A part, also during a completion, a finalize or a cancellation of its file.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{BucketError, Platform as _, Sessions as _};
use moc_domain::checksum::Checksums;
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::file::File;
use moc_domain::id::LockToken;
use moc_domain::limits::{COMPLETION_LOOKS, SESSION_LIFETIME_MS};
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::stage::{COMPLETION_TIMEOUT_MS, run};
use moc_fakes::{Body, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";
const FIRST: &[u8] = b"%PDF-1.7";

fn counted(stage: &Stage, file: &File) -> Option<(u16, u64)> {
    stage.file_now(file).map(|file| (file.parts_completed, file.bytes_completed))
}

fn rejection(stage: &Stage, file: &File) -> ErrorKind {
    stage.part(file, 1, FIRST).unwrap_err().kind
}

#[test]
fn replaces_a_part_and_counts_it_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let first = stage.part(&file, 1, b"%PDF-1.6").unwrap();
    let stored = stage.part(&file, 1, FIRST).unwrap();
    assert_ne!(first.part.etag, stored.part.etag);
    assert_eq!((stored.progress.parts_completed, stored.progress.bytes_completed), (1, 8));
    assert_eq!(counted(&stage, &file), Some((1, 8)));
    let number = PartNumber::new(1).unwrap();
    assert_eq!(stage.memory.part(&file.upload_id, number).as_deref(), Some(FIRST));
}

#[test]
fn asks_the_plan_before_the_bucket() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let kind = |number, bytes: &[u8]| stage.part(&file, number, bytes).unwrap_err().kind;
    let number = PartNumber::new(1).unwrap();
    assert_eq!(kind(1, b"short"), ErrorKind::PartSizeMismatch { number, expected_bytes: 8, actual_bytes: 5 });
    assert_eq!(kind(5, b"beyond"), ErrorKind::InvalidPartNumber { last: 4 });
    assert_eq!(stage.bucket_faults.count("upload_part"), 0);
}

#[test]
fn verifies_what_the_client_announces() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let announced = moc_fakes::checksums(b"%PDF-1.6", true, true);
    let rejected = stage.part_with(&file, 1, 8, Body::from(FIRST), announced).unwrap_err().kind;
    assert!(matches!(rejected, ErrorKind::ChecksumMismatch { algorithm: "md5", .. }));
    assert_eq!(counted(&stage, &file), Some((0, 0)));
    let announced = moc_fakes::checksums(FIRST, true, true);
    assert!(stage.part_with(&file, 1, 8, Body::from(FIRST), announced).is_ok());
}

#[test]
fn a_body_that_breaks_or_is_late_stores_nothing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let send = |body| stage.part_with(&file, 1, 8, body, Checksums::default()).unwrap_err().kind;
    assert!(matches!(send(Body::from(&FIRST[1..])), ErrorKind::MalformedBody { .. }));
    assert!(matches!(send(Body::late()), ErrorKind::RequestTimeout { elapsed_ms: 60_000, .. }));
    assert_eq!(counted(&stage, &file), Some((0, 0)));
}

/// Its stream can be read only once.
#[test]
fn a_streamed_part_is_sent_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.bucket_faults.before("upload_part", 1..=1, BucketError::Unavailable("503".into()));
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    assert_eq!((stage.bucket_faults.count("upload_part"), counted(&stage, &file)), (1, Some((0, 0))));
}

#[test]
fn a_part_without_its_record_is_sent_again() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.before("UPDATE files SET\n      parts_completed", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(rejection(&stage, &file), ErrorKind::StoreUnavailable);
    assert_eq!(counted(&stage, &file), Some((0, 0)));
    stage.part(&file, 1, b"%PDF-1.5").unwrap();
    stage.send(&file, BYTES);
    stage.complete(&file, None).unwrap();
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
}

#[test]
fn a_record_whose_result_was_lost_counts_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.after("UPDATE files SET\n      parts_completed", 1..=2, SqlError::unavailable("broken"));
    assert_eq!(stage.part(&file, 1, FIRST).unwrap().progress.parts_completed, 1);
}

#[test]
fn a_completion_that_came_first_is_named() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let (other, same) = (stage.another(), file.clone());
    stage.bucket_faults.meanwhile("upload_part", 1, move || drop(other.complete(&same, None).unwrap()));
    assert_eq!(rejection(&stage, &file), ErrorKind::FileAlreadyCompleted);
    assert_eq!(rejection(&stage, &file), ErrorKind::FileAlreadyCompleted);
}

/// Its object may appear: the file is not lost.
#[test]
fn a_file_that_the_bucket_completes_is_waited_for() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let (other, same) = (stage.another(), file.clone());
    stage.bucket_faults.meanwhile("upload_part", 1, move || {
        other.memory.complete_slowly(true);
        other.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
        assert!(other.complete(&same, None).is_err());
    });
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    // Nothing has come of it in its time.
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    let ErrorKind::FileValidationFailed { failures } = rejection(&stage, &file) else { panic!("it was not given up") };
    assert_eq!(failures[0].reason, FileFault::ObjectMissing);
    assert_eq!(counted(&stage, &file), None);
}

/// The bucket has the object, and the record of its completion is missing: `complete` finds it.
#[test]
fn an_object_without_its_record_is_a_completed_file() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.store_faults.before("UPDATE files SET etag", 1..=3, SqlError::unavailable("broken"));
    assert!(stage.complete(&file, None).is_err());
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    assert_eq!(rejection(&stage, &file), ErrorKind::FileAlreadyCompleted);
    assert!(stage.complete(&file, None).is_ok());
}

#[test]
fn a_file_whose_upload_was_lost_can_be_registered_again() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.memory.lose_upload(&file.upload_id);
    assert!(matches!(rejection(&stage, &file), ErrorKind::FileValidationFailed { .. }));
    assert_eq!(stage.bucket_faults.count("head"), COMPLETION_LOOKS as usize);
    let again = stage.register(file.session_id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
    assert_ne!(again.id, file.id);
}

#[test]
fn a_cancellation_that_came_first_is_named() {
    for operation in ["upload_part", "UPDATE files SET\n      parts_completed"] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        let (other, session) = (stage.another(), file.session_id);
        let cancel = move || other.cancel(session).unwrap();
        if operation == "upload_part" {
            stage.bucket_faults.meanwhile(operation, 1, cancel);
        } else {
            stage.store_faults.meanwhile(operation, 1, cancel);
        }
        assert_eq!(rejection(&stage, &file), ErrorKind::SessionNotActive { status: Status::Cancelled });
        assert_eq!(stage.memory.uploads(), []);
    }
}

/// A finalize holds the session for a moment while a part is recorded, and finds nothing to finalize.
#[test]
fn a_finalize_that_came_and_went_costs_no_file() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.part(&file, 2, b" castle ").unwrap();
    let (other, session) = (stage.another(), file.session_id);
    let token = LockToken::new(Timestamp::from_millis(1), [1; 10]);
    let now = stage.platform.now();
    let locking = other.clone();
    stage.store_faults.meanwhile("UPDATE files SET\n      parts_completed", 1, move || {
        assert!(run(locking.store.lock_session(session, token, now, now.plus_millis(-1))).unwrap());
    });
    // Before the reason is looked up.
    stage.store_faults.meanwhile("FROM files f WHERE f.id", 2, move || {
        run(other.store.unlock_session(session, token)).unwrap();
    });
    assert_eq!(rejection(&stage, &file), ErrorKind::FinalizeInProgress);
    assert_eq!(stage.session_now(session).status, Status::Active);
    assert_eq!(counted(&stage, &file), Some((1, 8)));
    stage.part(&file, 1, FIRST).unwrap();
}

#[test]
fn a_part_extends_a_session_that_has_little_time_left() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.platform.advance(SESSION_LIFETIME_MS - 60_000);
    stage.part(&file, 1, FIRST).unwrap();
    stage.platform.advance(60_000);
    stage.part(&file, 2, b" castle ").unwrap();
    stage.platform.advance(2 * SESSION_LIFETIME_MS);
    assert!(matches!(rejection(&stage, &file), ErrorKind::SessionExpired { .. }));
}
