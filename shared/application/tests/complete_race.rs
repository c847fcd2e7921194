//! Completions of one file at once, held up on their way or rejected although the bucket works on one: none of them loses
//! the file, its object or its parts.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::finalize::FinalizeOutcome;
use moc_application::port::{BucketError, Files as _, Platform as _, Sessions as _};
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::file::{ClaimedPart, File, StoredPart};
use moc_fakes::stage::{COMPLETION_TIMEOUT_MS, run};
use moc_fakes::{BucketOptions, SecondCompletion, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";
const OTHER: &[u8] = b"%PDF-1.7 tower! of bricks";

/// Every way in which a bucket responds to a completion of an upload that is over.
const BUCKETS: [SecondCompletion; 5] = [
    SecondCompletion::NoSuchUpload,
    SecondCompletion::InvalidPart { lists: false },
    SecondCompletion::InvalidPart { lists: true },
    SecondCompletion::ListsNothing,
    SecondCompletion::Succeeds,
];

fn stage(second_completion: SecondCompletion) -> (Stage, File) {
    let stage = Stage::new(BucketOptions { second_completion, ..BucketOptions::default() });
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    (stage, file)
}

fn invalid_part() -> BucketError {
    BucketError::InvalidPart("InvalidPart".into())
}

fn silent() -> BucketError {
    BucketError::Silent("30 s".into())
}

fn rejection(stage: &Stage, file: &File) -> ErrorKind {
    stage.complete(file, None).unwrap_err().kind
}

fn is_missing(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::FileValidationFailed { failures } if failures[0].reason == FileFault::ObjectMissing)
}

/// The session can be published with this file.
fn is_published(stage: &Stage, file: &File, bytes: &[u8]) {
    stage.complete(file, None).unwrap();
    let moc = stage.finalize(file.session_id, "Castle").unwrap().moc;
    assert_eq!(moc.files.iter().map(|file| file.id).collect::<Vec<_>>(), [file.id]);
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(bytes));
}

#[test]
fn a_second_completion_costs_nothing_while_the_bucket_works_on_the_first() {
    for second in BUCKETS {
        let (stage, file) = stage(second);
        stage.memory.complete_slowly(true);
        stage.bucket_faults.after("complete_upload", 1..=1, silent());
        assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
        for other in [stage.another(), stage.another()] {
            assert_eq!(rejection(&other, &file), ErrorKind::BucketUnavailable, "{second:?}");
        }
        stage.memory.reveal();
        is_published(&stage, &file, BYTES);
    }
}

/// Both have been sent before the bucket has got either of them.
#[test]
fn a_second_completion_at_once_costs_nothing() {
    for second in BUCKETS {
        for is_slow in [false, true] {
            let (stage, file) = stage(second);
            let (other, same) = (stage.another(), file.clone());
            stage.bucket_faults.meanwhile("complete_upload", 1, move || {
                other.memory.complete_slowly(is_slow);
                if is_slow {
                    other.bucket_faults.after("complete_upload", 1..=1, silent());
                }
                assert_eq!(other.complete(&same, None).is_ok(), !is_slow);
            });
            match stage.complete(&file, None) {
                Ok(completed) => assert!(completed.idempotent && !is_slow),
                Err(error) => assert_eq!((error.kind, is_slow), (ErrorKind::BucketUnavailable, true), "{second:?}"),
            }
            stage.memory.reveal();
            is_published(&stage, &file, BYTES);
        }
    }
}

/// A completion that has failed long ago does not make a new one late.
#[test]
fn a_completion_that_begins_late_has_its_own_time() {
    for second in BUCKETS {
        let (stage, file) = stage(second);
        stage.bucket_faults.before("complete_upload", 1..=1, silent());
        assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
        stage.platform.advance(COMPLETION_TIMEOUT_MS);
        stage.memory.complete_slowly(true);
        stage.bucket_faults.after("complete_upload", 1..=1, silent());
        assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
        let other = stage.another();
        assert_eq!(rejection(&other, &file), ErrorKind::BucketUnavailable, "{second:?}");
        assert_eq!(other.part(&file, 1, b"%PDF-1.7").unwrap_err().kind, ErrorKind::BucketUnavailable);
        stage.memory.reveal();
        is_published(&stage, &file, BYTES);
    }
}

/// It looks for the object at the end of the first one's time, and the second one begins meanwhile.
#[test]
fn nothing_is_given_up_while_another_completion_begins() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    stage.memory.hold_completion(true);
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("DELETE FROM files", 1, move || {
        let now = other.platform.now();
        assert!(run(other.store.begin_completion(same.id, now, now)).unwrap().is_some());
    });
    stage.memory.lose_upload(&file.upload_id);
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    assert!(stage.file_now(&file).is_some());
    // Nothing has come of the second one either.
    let expires_at = stage.platform.now().plus_millis(2 * COMPLETION_TIMEOUT_MS);
    run(stage.store.extend_session(file.session_id, expires_at)).unwrap();
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    assert!(is_missing(&rejection(&stage, &file)));
    assert_eq!(stage.file_now(&file), None);
}

#[test]
fn an_upload_that_was_lost_is_given_up_however_many_ask() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    stage.bucket_faults.before("complete_upload", 1..=1, silent());
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    stage.memory.lose_upload(&file.upload_id);
    let began = stage.platform.now();
    let other = stage.another();
    while stage.file_now(&file).is_some() {
        let kind = rejection(&other, &file);
        assert!(kind == ErrorKind::BucketUnavailable || is_missing(&kind), "{kind:?}");
        other.platform.advance(1_000);
        assert!(stage.platform.now().millis_since(began) <= COMPLETION_TIMEOUT_MS + 30_000);
    }
    assert_eq!(other.bucket_faults.count("complete_upload"), 0);
}

/// Some buckets reject a part of an upload that is over, and the object is there.
#[test]
fn invalid_part_says_nothing_of_the_object() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    stage.bucket_faults.after("complete_upload", 1..=1, invalid_part());
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    is_published(&stage, &file, BYTES);
}

#[test]
fn invalid_part_that_the_bucket_contradicts_is_tried_again() {
    for failing in 1..=3 {
        let (stage, file) = stage(SecondCompletion::NoSuchUpload);
        stage.bucket_faults.before("complete_upload", 1..=failing, invalid_part());
        match stage.complete(&file, None) {
            Ok(completed) => assert!(!completed.idempotent && failing < 3),
            Err(error) => assert_eq!((error.kind, failing), (ErrorKind::BucketUnavailable, 3)),
        }
        is_published(&stage, &file, BYTES);
    }
}

/// One part is sent twice at once, and recorded in another order than the bucket has stored it.
#[test]
fn a_part_that_was_recorded_in_another_order_costs_nothing() {
    for is_repeated in [false, true] {
        let (stage, file) = stage(SecondCompletion::NoSuchUpload);
        let (other, same) = (stage.another(), file.clone());
        stage.store_faults.meanwhile("UPDATE files SET\n      parts_completed", 1, move || {
            other.part(&same, 2, &OTHER[8..16]).unwrap();
        });
        stage.part(&file, 2, &BYTES[8..16]).unwrap();
        if is_repeated {
            // The record shows what was completed, if the response is lost.
            stage.bucket_faults.after("complete_upload", 2..=2, silent());
            assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
        }
        is_published(&stage, &file, OTHER);
    }
}

/// A is held up, a part is replaced, B completes the file and a finalize publishes it. Then A's response arrives.
#[test]
fn a_completion_that_was_held_up_deletes_nothing_of_a_published_moc() {
    for second in BUCKETS {
        let (stage, file) = stage(second);
        let (other, same) = (stage.another(), file.clone());
        stage.bucket_faults.meanwhile("complete_upload", 1, move || {
            other.part(&same, 2, &OTHER[8..16]).unwrap();
            is_published(&other, &same, OTHER);
        });
        let completed = stage.complete(&file, None).unwrap();
        assert!(completed.idempotent, "{second:?}");
        let again = stage.finalize(file.session_id, "Castle").unwrap();
        assert_eq!(again.outcome, FinalizeOutcome::Idempotent);
        assert_eq!(stage.memory.object(&file.key).as_deref(), Some(OTHER));
    }
}

/// As above, but A's response arrives before B has recorded its completion.
#[test]
fn a_completion_that_was_held_up_forgets_nothing_that_another_one_has_made() {
    for second in BUCKETS {
        let (stage, file) = stage(second);
        let (other, same) = (stage.another(), file.clone());
        stage.bucket_faults.meanwhile("complete_upload", 1, move || {
            other.part(&same, 2, &OTHER[8..16]).unwrap();
            let (slow, it) = (other.another(), same.clone());
            // B dies after the bucket has made the object.
            slow.store_faults.before("UPDATE files SET etag", 1..=3, SqlError::unavailable("broken"));
            assert_eq!(slow.complete(&it, None).unwrap_err().kind, ErrorKind::StoreUnavailable);
        });
        let kind = stage.complete(&file, None).map(|completed| completed.idempotent).map_err(|error| error.kind);
        assert!(matches!(kind, Err(ErrorKind::BucketUnavailable) | Ok(false)), "{second:?}: {kind:?}");
        is_published(&stage, &file, OTHER);
    }
}

/// The request has left before its client died.
#[test]
fn a_completion_that_arrives_late_is_found() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    stage.memory.hold_completion(true);
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    let (memory, key) = (stage.memory.clone(), file.key.clone());
    stage.bucket_faults.meanwhile("complete_upload", 2, move || memory.deliver(&key));
    assert!(!stage.complete(&file, None).unwrap().idempotent);
    is_published(&stage, &file, BYTES);
}

/// A part is recorded late, after an object was made of the version that the bucket had: only the bucket knows which.
#[test]
fn an_object_is_the_file_although_the_record_of_a_part_has_changed() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("UPDATE files SET\n      parts_completed", 1, move || {
        // The bucket stores this version after the one whose record is late.
        other.part(&same, 2, &BYTES[8..16]).unwrap();
        other.store_faults.before("UPDATE files SET etag", 1..=3, SqlError::unavailable("broken"));
        assert_eq!(other.complete(&same, None).unwrap_err().kind, ErrorKind::StoreUnavailable);
    });
    stage.part(&file, 2, &OTHER[8..16]).unwrap();
    is_published(&stage, &file, BYTES);
}

/// A bucket that ignores the ETags of a completion, or takes a part while it makes the object.
fn lax() -> (Stage, File) {
    let stage = Stage::new(BucketOptions { checks_etags: false, ..BucketOptions::default() });
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    (stage, file)
}

#[test]
fn an_object_of_a_part_whose_record_follows_is_the_file_unless_the_client_claims_another() {
    for claims in [false, true] {
        let (stage, file) = lax();
        let claimed: Vec<ClaimedPart> =
            (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part)).collect();
        let ClaimedPart { number, etag, .. } = stage.presigned(&file, 2, &OTHER[8..16]);
        let (other, id) = (stage.another(), file.id);
        let part = StoredPart { number, etag, size_bytes: 8, uploaded_at: stage.platform.now() };
        stage.platform.after(500, move || {
            run(other.store.record_part(id, &part, None)).unwrap();
        });
        if claims {
            let kind = stage.complete(&file, Some(&claimed)).unwrap_err().kind;
            assert!(matches!(kind, ErrorKind::ChecksumMismatch { .. }), "{kind:?}");
            assert_eq!((stage.file_now(&file), stage.memory.keys()), (None, vec![]));
        } else {
            assert!(!stage.complete(&file, None).unwrap().idempotent);
            is_published(&stage, &file, OTHER);
        }
    }
}

/// The bucket has made something else of the parts than it was asked for, and nobody else has asked.
#[test]
fn an_object_of_other_bytes_is_deleted_after_its_record() {
    let (stage, file) = lax();
    stage.presigned(&file, 2, &OTHER[8..16]);
    let (memory, key) = (stage.memory.clone(), file.key.clone());
    stage.store_faults.meanwhile("DELETE FROM files", 1, move || assert!(memory.exists(&key)));
    let kind = rejection(&stage, &file);
    assert!(matches!(kind, ErrorKind::ChecksumMismatch { algorithm: "md5", .. }), "{kind:?}");
    assert_eq!((stage.file_now(&file), stage.memory.keys()), (None, vec![]));
    stage.register(file.session_id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
}

/// Whoever makes an object of a file that was given up deletes it: it would belong to nobody.
#[test]
fn the_object_of_a_file_that_was_given_up_is_deleted() {
    let (stage, file) = stage(SecondCompletion::NoSuchUpload);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("UPDATE files SET etag", 1, move || {
        let delete = moc_store::Statement::new("DELETE FROM files", []);
        run(moc_store::SqlExecutor::execute_all(&*other.database, &[delete])).unwrap();
        assert!(other.memory.exists(&same.key));
    });
    assert_eq!(rejection(&stage, &file), ErrorKind::NotFound);
    assert_eq!(stage.memory.keys(), [""; 0]);
}
