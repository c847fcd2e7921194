//! Completing a file in a bucket that is slow, loses responses, or has lost the upload.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{Bucket as _, BucketError};
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, File};
use moc_domain::limits::{COMPLETION_LOOKS, LOOK_PAUSE_MS};
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_fakes::stage::{COMPLETION_TIMEOUT_MS, run};
use moc_fakes::{BucketOptions, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";
const LOOKS_MS: i64 = (COMPLETION_LOOKS as i64 - 1) * LOOK_PAUSE_MS as i64;

fn sent(stage: &Stage) -> File {
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    file
}

/// Puts every part straight to the bucket.
fn presigned(stage: &Stage, file: &File) -> Vec<ClaimedPart> {
    (1..).zip(BYTES.chunks(8)).map(|(number, part)| stage.presigned(file, number, part)).collect()
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

fn rejection(stage: &Stage, file: &File, parts: Option<&[ClaimedPart]>) -> ErrorKind {
    stage.complete(file, parts).unwrap_err().kind
}

fn is_whole(stage: &Stage, file: &File) {
    let completed = stage.complete(file, None).unwrap();
    assert!(completed.idempotent && completed.file.is_completed());
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
    assert_eq!(stage.memory.uploads(), []);
}

#[test]
fn completes_once() {
    let stage = Stage::default();
    let file = sent(&stage);
    let completed = stage.complete(&file, None).unwrap();
    assert!(!completed.idempotent && completed.etag.as_str().ends_with("-4"));
    is_whole(&stage, &file);
    assert_eq!(stage.bucket_faults.count("complete_upload"), 1);
}

#[test]
fn names_the_parts_that_are_missing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.part(&file, 2, b" castle ").unwrap();
    assert_eq!(rejection(&stage, &file, None), ErrorKind::PartCountMismatch { missing: vec![1, 3, 4] });
    assert_eq!(stage.bucket_faults.count("complete_upload"), 0);
}

/// The object shows that the bucket has done it.
#[test]
fn recovers_a_response_that_was_lost() {
    for lost in [1, 3] {
        let stage = Stage::default();
        let file = sent(&stage);
        stage.bucket_faults.after("complete_upload", 1..=lost, unavailable());
        assert!(!stage.complete(&file, None).unwrap().idempotent, "{lost}");
        is_whole(&stage, &file);
    }
}

#[test]
fn a_silent_bucket_is_not_asked_twice() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.bucket_faults.after("complete_upload", 1..=1, silent());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    assert_eq!((stage.bucket_faults.count("complete_upload"), stage.bucket_faults.count("head")), (1, 0));
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    assert_eq!(stage.bucket_faults.count("head"), 1);
    is_whole(&stage, &file);
}

#[test]
fn an_upload_that_is_still_there_is_completed_again() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.bucket_faults.before("complete_upload", 1..=3, unavailable());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    // Even long after: the upload is there.
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    let other = stage.another();
    assert!(!other.complete(&file, None).unwrap().idempotent);
    is_whole(&stage, &file);
}

#[test]
fn an_upload_that_was_lost_before_is_given_up_at_once() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.memory.lose_upload(&file.upload_id);
    assert!(is_missing(&rejection(&stage, &file, None)));
    assert_eq!(stage.file_now(&file), None);
    // It can be registered again.
    stage.register(file.session_id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
}

/// An earlier attempt of this very request may have been the one that ended the upload.
#[test]
fn an_upload_that_a_lost_response_may_explain_is_waited_for() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, unavailable());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    assert!(!stage.complete(&file, None).unwrap().idempotent);
}

#[test]
fn an_object_that_appears_while_it_is_looked_for_completes_the_file() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, unavailable());
    let memory = stage.memory.clone();
    stage.platform.after(LOOKS_MS, move || memory.reveal());
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    is_whole(&stage, &file);
}

/// The bucket shows neither the upload nor the object.
#[test]
fn a_slow_completion_is_waited_for_and_then_given_up() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, silent());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    stage.platform.advance(COMPLETION_TIMEOUT_MS - LOOKS_MS - 1);
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    assert!(stage.file_now(&file).is_some_and(|file| !file.is_completed()));
    assert!(is_missing(&rejection(&stage, &file, None)));
    assert_eq!(stage.file_now(&file), None);
}

#[test]
fn a_slow_completion_is_healed_when_its_object_appears() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, silent());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    stage.platform.advance(600_000);
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    is_whole(&stage, &file);
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
    assert_eq!(rejection(&stage, &file, None), ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    is_whole(&stage, &file);
}

#[test]
fn two_completions_at_once_are_one() {
    let stage = Stage::default();
    let file = sent(&stage);
    let (other, same) = (stage.another(), file.clone());
    stage.bucket_faults.meanwhile("complete_upload", 1, move || {
        assert!(!other.complete(&same, None).unwrap().idempotent);
    });
    assert!(stage.complete(&file, None).unwrap().idempotent);
    is_whole(&stage, &file);
}

/// The bucket has the object and the record failed: the ETag that follows from the parts shows that it is the one.
#[test]
fn a_completion_without_its_record_is_recovered() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.store_faults.before("UPDATE files SET etag", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(rejection(&stage, &file, None), ErrorKind::StoreUnavailable);
    assert!(stage.file_now(&file).is_some_and(|file| !file.is_completed()));
    let heads = stage.bucket_faults.count("head");
    let etag = stage.complete(&file, None).unwrap().etag;
    assert_eq!((stage.bucket_faults.count("complete_upload"), stage.bucket_faults.count("head")), (1, heads + 1));
    assert_eq!(stage.complete(&file, None).unwrap().etag, etag);
    assert!(stage.finalize(file.session_id, "Castle").is_ok());
}

#[test]
fn a_record_whose_result_was_lost_is_found() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.store_faults.after("UPDATE files SET etag", 1..=1, SqlError::unavailable("broken"));
    assert!(stage.complete(&file, None).is_ok());
    is_whole(&stage, &file);
}

/// Another version of a part came to the bucket than the store knows, for example because both were sent at once.
#[test]
fn completes_the_parts_that_the_bucket_has() {
    for page_parts in [1, 1_000] {
        let stage = Stage::new(BucketOptions { page_parts, ..BucketOptions::default() });
        let file = sent(&stage);
        stage.presigned(&file, 2, b" tower! ");
        stage.presigned(&file, 3, b"in brick");
        assert!(!stage.complete(&file, None).unwrap().idempotent);
        assert_eq!(stage.memory.object(&file.key).as_deref(), Some(b"%PDF-1.7 tower! in bricks".as_slice()));
        stage.finalize(file.session_id, "Castle").unwrap();
    }
}

/// A part that has another size, or that the bucket lacks, has to be sent again.
#[test]
fn names_the_parts_that_do_not_fit() {
    let stage = Stage::default();
    let file = sent(&stage);
    stage.presigned(&file, 2, b" tower");
    stage.memory.lose_part(&file.key, PartNumber::new(3).unwrap());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::PartCountMismatch { missing: vec![2, 3] });
    stage.send(&file, BYTES);
    stage.complete(&file, None).unwrap();
    is_whole(&stage, &file);
}

/// The client's claims are what it wants to be completed.
#[test]
fn claims_decide_which_of_two_parts_is_completed() {
    let stage = Stage::default();
    let file = sent(&stage);
    let claim = |number: u16, part: &[u8]| {
        let etag = stage.bucket.part_etag(moc_fakes::md5(part));
        ClaimedPart { number: PartNumber::new(number.into()).unwrap(), etag, index: usize::from(number) - 1 }
    };
    let recorded: Vec<ClaimedPart> = (1..).zip(BYTES.chunks(8)).map(|(number, part)| claim(number, part)).collect();
    let mut other = recorded.clone();
    other[1] = stage.presigned(&file, 2, b" tower! ");
    // The store has recorded what the client claims, and the bucket has the other one.
    assert_eq!(rejection(&stage, &file, Some(&recorded)), ErrorKind::PartCountMismatch { missing: vec![2] });
    let mut wrong = other.clone();
    wrong[2] = claim(3, b"neither!");
    let ErrorKind::Invalid { errors } = rejection(&stage, &file, Some(&wrong)) else { panic!("no field error") };
    assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/parts/2/etag"]);
    assert!(!stage.complete(&file, Some(&other)).unwrap().idempotent);
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(b"%PDF-1.7 tower! of bricks".as_slice()));
}

/// What was computed of one version says nothing of the other.
#[test]
fn announced_checksums_decide_which_of_two_parts_is_published() {
    for (first, second, is_right) in [(b"%PDF-1.7", b"%PDF-1.6", false), (b"%PDF-1.6", b"%PDF-1.7", true)] {
        let stage = Stage::default();
        let session = stage.session().id;
        let mut declared = Stage::declaration("castle.pdf", b"%PDF-1.7");
        declared.checksums = moc_fakes::checksums(b"%PDF-1.7", false, true);
        let file = stage.register(session, declared, 10).unwrap();
        // The bucket stores `first` before `second`, and the store records them the other way round.
        let (other, same) = (stage.another(), file.clone());
        stage.store_faults.meanwhile("UPDATE files SET\n      parts_completed", 1, move || {
            other.part(&same, 1, second).unwrap();
        });
        stage.part(&file, 1, first).unwrap();
        stage.complete(&file, None).unwrap();
        assert_eq!(stage.memory.object(&file.key).as_deref(), Some(second.as_slice()));
        assert_eq!(stage.finalize(session, "Castle").is_ok(), is_right);
    }
}

#[test]
fn completes_presigned_parts_that_the_store_does_not_know() {
    for page_parts in [1, 2, 1_000] {
        let stage = Stage::new(BucketOptions { page_parts, ..BucketOptions::default() });
        let file = stage.registered("castle.pdf", BYTES);
        let mut claimed = presigned(&stage, &file);
        claimed[1].etag = ETag::parse("wrong").unwrap();
        let ErrorKind::Invalid { errors } = rejection(&stage, &file, Some(&claimed)) else { panic!("no field error") };
        assert_eq!(errors[0].pointer, "/parts/1/etag");
        assert_eq!(rejection(&stage, &file, None), ErrorKind::PartCountMismatch { missing: vec![1, 2, 3, 4] });
        let claimed = presigned(&stage, &file);
        stage.complete(&file, Some(&claimed)).unwrap();
        is_whole(&stage, &file);
    }
}

/// The bucket may not look at the size that its URL is signed for.
#[test]
fn a_presigned_part_of_another_size_does_not_count() {
    for other in [&b"a"[..], b"more than it has"] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        let mut claimed = presigned(&stage, &file);
        claimed[1] = stage.presigned(&file, 2, other);
        assert_eq!(rejection(&stage, &file, Some(&claimed)), ErrorKind::PartCountMismatch { missing: vec![2] });
    }
}

/// Then the bucket lists no parts: the object shows whether the client's claims are right.
#[test]
fn presigned_parts_are_taken_at_their_word_while_the_bucket_completes_them() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let claimed = presigned(&stage, &file);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, silent());
    assert_eq!(rejection(&stage, &file, Some(&claimed)), ErrorKind::BucketUnavailable);
    assert_eq!(rejection(&stage, &file, Some(&claimed)), ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    // Claims that name other parts do not make this object.
    let mut wrong = claimed.clone();
    wrong[0].etag = wrong[1].etag.clone();
    assert_eq!(rejection(&stage, &file, Some(&wrong)), ErrorKind::BucketUnavailable);
    assert_eq!(
        rejection(&stage, &file, Some(&claimed[1..])),
        ErrorKind::PartCountMismatch { missing: vec![1, 2, 3, 4] }
    );
    assert!(!stage.complete(&file, Some(&claimed)).unwrap().idempotent);
    is_whole(&stage, &file);
}

/// Under SSE-KMS an ETag says nothing of the bytes, so that nothing is concluded from one that differs.
#[test]
fn opaque_etags_are_not_compared() {
    let stage = Stage::new(BucketOptions { is_etag_of_bytes: false, ..BucketOptions::default() });
    let file = sent(&stage);
    stage.bucket_faults.after("complete_upload", 1..=3, unavailable());
    let completed = stage.complete(&file, None).unwrap();
    let etags: Vec<ETag> = (1..=4).map(|_| completed.etag.clone()).collect();
    assert_eq!(stage.bucket.object_etag(&etags), None);
    is_whole(&stage, &file);
    assert!(stage.finalize(file.session_id, "Castle").is_ok());
}

#[test]
fn a_cancellation_that_came_first_is_named() {
    let stage = Stage::default();
    let file = sent(&stage);
    let (other, session) = (stage.another(), file.session_id);
    stage.store_faults.meanwhile("UPDATE files SET completing_at", 1, move || other.cancel(session).unwrap());
    assert_eq!(rejection(&stage, &file, None), ErrorKind::SessionNotActive { status: Status::Cancelled });
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![], vec![]));
}

/// The cancellation has cleared the bucket before this object came.
#[test]
fn the_object_of_a_cancelled_session_is_deleted() {
    let stage = Stage::default();
    let file = sent(&stage);
    let (other, session) = (stage.another(), file.session_id);
    stage.store_faults.meanwhile("UPDATE files SET etag", 1, move || {
        use moc_application::port::Sessions as _;
        assert!(run(other.store.cancel_session(session)).unwrap());
    });
    assert_eq!(rejection(&stage, &file, None), ErrorKind::SessionNotActive { status: Status::Cancelled });
    assert_eq!(stage.memory.keys(), [""; 0]);
}

#[test]
fn a_file_that_is_completed_again_is_published_once_its_session_is() {
    let stage = Stage::default();
    let file = sent(&stage);
    let completed = || stage.complete(&file, None).map(|completed| (completed.idempotent, completed.is_published));
    assert_eq!(completed(), Ok((false, false)));
    assert_eq!(completed(), Ok((true, false)));
    stage.finalize(file.session_id, "Castle").unwrap();
    assert_eq!(completed(), Ok((true, true)));
}
