//! Cancelling a session whose files the bucket may still be completing.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::BucketError;
use moc_domain::error::ErrorKind;
use moc_domain::session::Status;
use moc_fakes::Stage;
use moc_fakes::stage::COMPLETION_TIMEOUT_MS;
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";

fn is_clear(stage: &Stage) {
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![], vec![]));
}

#[test]
fn clears_uploads_and_objects() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let text = b"3001,4 and some more";
    let file = stage.register(session.id, Stage::declaration("parts.csv", text), 10).unwrap();
    stage.part(&file, 1, &text[..8]).unwrap();
    stage.cancel(session.id).unwrap();
    is_clear(&stage);
    assert_eq!(stage.session_now(session.id).status, Status::Cancelled);
    assert_eq!(
        stage.part(&file, 2, &text[8..16]).unwrap_err().kind,
        ErrorKind::SessionNotActive { status: Status::Cancelled }
    );
    stage.cancel(session.id).unwrap();
}

#[test]
fn a_finalized_session_stays() {
    let stage = Stage::default();
    let session = stage.uploaded();
    stage.finalize(session.id, "Castle").unwrap();
    let rejected = stage.cancel(session.id).unwrap_err().kind;
    assert_eq!(rejected, ErrorKind::SessionNotActive { status: Status::Finalized });
    assert_eq!(stage.memory.keys().len(), 1);
}

#[test]
fn an_unavailable_bucket_is_cleared_by_the_same_call_again() {
    for (operation, calls) in [("abort_upload", 1..=3), ("delete", 1..=3), ("abort_upload", 1..=1)] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        let error = BucketError::Unavailable("503".into());
        let is_retried = *calls.end() < 3;
        stage.bucket_faults.before(operation, calls, error);
        assert_eq!(stage.cancel(file.session_id).is_ok(), is_retried);
        assert_eq!(stage.session_now(file.session_id).status, Status::Cancelled);
        stage.cancel(file.session_id).unwrap();
        is_clear(&stage);
    }
}

#[test]
fn an_abort_whose_response_was_lost_is_no_error() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.bucket_faults.after("abort_upload", 1..=1, BucketError::Unavailable("reset".into()));
    stage.cancel(file.session_id).unwrap();
    is_clear(&stage);
}

#[test]
fn a_cancellation_without_its_record_aborts_nothing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.before("UPDATE sessions SET status = 'cancelled'", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(stage.cancel(file.session_id).unwrap_err().kind, ErrorKind::StoreUnavailable);
    assert_eq!(stage.bucket_faults.count("abort_upload"), 0);
    stage.send(&file, BYTES);
    stage.cancel(file.session_id).unwrap();
    assert_eq!(stage.bucket_faults.count("abort_upload"), 1);
    is_clear(&stage);
}

/// The result of the statement was lost, and it finds nothing to do when it runs again.
#[test]
fn a_cancellation_whose_result_was_lost_goes_on() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.after("UPDATE sessions SET status = 'cancelled'", 1..=1, SqlError::unavailable("broken"));
    stage.cancel(file.session_id).unwrap();
    is_clear(&stage);
}

/// An abort finds no upload, because the bucket is making the object: it would stay.
#[test]
fn waits_for_a_completion_that_the_bucket_works_on() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    assert_eq!(stage.cancel(file.session_id).unwrap_err().kind, ErrorKind::BucketUnavailable);
    assert_eq!(stage.session_now(file.session_id).status, Status::Cancelled);
    assert_eq!(stage.cancel(file.session_id).unwrap_err().kind, ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    stage.cancel(file.session_id).unwrap();
    is_clear(&stage);
}

/// The abort has ended the completion: there is nothing to wait for.
#[test]
fn an_upload_that_was_aborted_is_not_waited_for() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.bucket_faults.before("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    stage.cancel(file.session_id).unwrap();
    stage.cancel(file.session_id).unwrap();
    is_clear(&stage);
}

#[test]
fn waits_no_longer_than_a_completion_may_take() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.bucket_faults.before("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    stage.memory.lose_upload(&file.upload_id);
    assert_eq!(stage.cancel(file.session_id).unwrap_err().kind, ErrorKind::BucketUnavailable);
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    stage.cancel(file.session_id).unwrap();
}

#[test]
fn another_user_finds_no_session() {
    let stage = Stage::default();
    let session = stage.session();
    let mallory = Stage { user: moc_domain::id::UserId::parse("mallory").unwrap(), ..stage.another() };
    assert_eq!(mallory.cancel(session.id).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(mallory.finalize(session.id, "Mine").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(stage.session_now(session.id).status, Status::Active);
}
