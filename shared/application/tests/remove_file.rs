//! Taking files out of a session, whatever else happens to them meanwhile.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{BucketError, Files as _};
use moc_domain::error::ErrorKind;
use moc_domain::file::File;
use moc_domain::id::UserId;
use moc_domain::session::Status;
use moc_fakes::Stage;
use moc_fakes::stage::{COMPLETION_TIMEOUT_MS, run};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";

/// The session has no file, the bucket nothing, and nothing is left to be cleared.
fn is_out(stage: &Stage, file: &File) {
    assert_eq!(stage.file_now(file), None);
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![], vec![]));
    assert_eq!(run(stage.store.uncleared_files(file.session_id)).unwrap(), []);
    stage.remove(file).unwrap();
}

fn rejection(stage: &Stage, file: &File) -> ErrorKind {
    stage.remove(file).unwrap_err().kind
}

/// A file whose completion the bucket works on, as far as anyone knows.
fn completing(stage: &Stage) -> File {
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    file
}

#[test]
fn takes_out_a_file_in_every_state() {
    let stage = Stage::default();
    let registered = stage.registered("castle.pdf", BYTES);
    stage.remove(&registered).unwrap();
    is_out(&stage, &registered);

    let sent = stage.registered("castle.pdf", BYTES);
    stage.send(&sent, BYTES);
    stage.remove(&sent).unwrap();
    is_out(&stage, &sent);

    let completed = stage.registered("castle.pdf", BYTES);
    stage.send(&completed, BYTES);
    stage.complete(&completed, None).unwrap();
    stage.remove(&completed).unwrap();
    is_out(&stage, &completed);
}

/// A file that a finalize rejects blocks it no longer once it is taken out.
#[test]
fn a_session_is_published_without_its_rejected_file() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let rejected = stage.upload(session.id, Stage::declaration("tower.pdf", b"no tower"), b"no tower");
    assert!(stage.finalize(session.id, "Castle").is_err());
    stage.remove(&rejected).unwrap();
    let moc = stage.finalize(session.id, "Castle").unwrap().moc;
    assert!(!moc.files.iter().any(|file| file.id == rejected.id));
    assert_eq!(moc.files.len(), stage.memory.keys().len());
}

#[test]
fn an_abandoned_registration_blocks_no_finalize_once_it_is_taken_out() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let abandoned = stage.register(session.id, Stage::declaration("tower.pdf", BYTES), 10).unwrap();
    assert!(stage.finalize(session.id, "Castle").is_err());
    stage.remove(&abandoned).unwrap();
    stage.finalize(session.id, "Castle").unwrap();
    assert_eq!(stage.memory.uploads(), []);
}

#[test]
fn name_and_place_are_free_at_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let declared = || Stage::declaration("castle.pdf", BYTES);
    assert_eq!(
        stage.register(file.session_id, Stage::declaration("tower.pdf", BYTES), 1).unwrap_err().kind,
        ErrorKind::FileCountExceeded { limit: 1 }
    );
    stage.bucket_faults.before("abort_upload", 1..=3, BucketError::Unavailable("503".into()));
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    let second = stage.register(file.session_id, declared(), 1).unwrap();
    assert_ne!(second.id, file.id);
    stage.remove(&file).unwrap();
    assert_eq!(stage.files(file.session_id), std::slice::from_ref(&second));
    assert_eq!(stage.memory.uploads().len(), 1);
}

#[test]
fn an_unavailable_bucket_is_cleared_by_the_same_call_again() {
    for operation in ["abort_upload", "delete"] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        stage.bucket_faults.before(operation, 1..=3, BucketError::Unavailable("503".into()));
        assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable, "{operation}");
        assert_eq!(stage.file_now(&file), None);
        stage.remove(&file).unwrap();
        is_out(&stage, &file);
    }
}

#[test]
fn what_is_left_is_cleared_by_a_cancellation() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.bucket_faults.before("abort_upload", 1..=3, BucketError::Unavailable("503".into()));
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    stage.cancel(file.session_id).unwrap();
    assert_eq!(stage.memory.uploads(), []);
    assert_eq!(run(stage.store.uncleared_files(file.session_id)).unwrap(), []);
}

#[test]
fn a_record_that_stays_aborts_nothing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.before("INSERT INTO removed_files", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(rejection(&stage, &file), ErrorKind::StoreUnavailable);
    assert_eq!(stage.bucket_faults.count("abort_upload"), 0);
    stage.send(&file, BYTES);
    stage.remove(&file).unwrap();
    is_out(&stage, &file);
}

#[test]
fn results_that_are_lost_change_nothing() {
    for statement in ["INSERT INTO removed_files", "DELETE FROM removed_files"] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        stage.store_faults.after(statement, 1..=1, SqlError::unavailable("broken"));
        stage.remove(&file).unwrap();
        is_out(&stage, &file);
    }
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.bucket_faults.after("abort_upload", 1..=1, BucketError::Unavailable("reset".into()));
    stage.remove(&file).unwrap();
    is_out(&stage, &file);
}

/// Some servers reject the abort of an upload that is over.
#[test]
fn an_abort_that_is_rejected_the_second_time_is_no_error() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.before("DELETE FROM removed_files", 1..=3, SqlError::unavailable("broken"));
    stage.remove(&file).unwrap();
    stage.bucket_faults.before("abort_upload", 2..=2, BucketError::Rejected("400".into()));
    stage.remove(&file).unwrap();
    is_out(&stage, &file);
}

/// An abort finds no upload, because the bucket is making the object: it would stay.
#[test]
fn waits_for_a_completion_that_the_bucket_works_on() {
    let stage = Stage::default();
    let file = completing(&stage);
    for _ in 0..2 {
        assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
        assert_eq!(stage.file_now(&file), None);
    }
    stage.memory.reveal();
    stage.remove(&file).unwrap();
    is_out(&stage, &file);
}

#[test]
fn waits_no_longer_than_a_completion_may_take() {
    let stage = Stage::default();
    let file = completing(&stage);
    assert_eq!(rejection(&stage, &file), ErrorKind::BucketUnavailable);
    // A session that is used lives on.
    stage.platform.advance(COMPLETION_TIMEOUT_MS);
    stage.remove(&file).unwrap();
    assert_eq!(run(stage.store.uncleared_files(file.session_id)).unwrap(), []);
}

#[test]
fn a_completion_that_was_faster_leaves_no_object() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("UPDATE files SET etag", 1, move || {
        other.remove(&same).unwrap();
    });
    assert_eq!(stage.complete(&file, None).unwrap_err().kind, ErrorKind::NotFound);
    is_out(&stage, &file);
}

/// The bucket takes the completion before the abort, and makes the object after it.
#[test]
fn an_object_that_is_made_later_is_deleted_by_its_completion() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("UPDATE files SET etag", 1, move || {
        other.bucket_faults.before("delete", 1..=3, BucketError::Unavailable("503".into()));
        assert_eq!(rejection(&other, &same), ErrorKind::BucketUnavailable);
    });
    assert_eq!(stage.complete(&file, None).unwrap_err().kind, ErrorKind::NotFound);
    is_out(&stage, &file);
    assert_eq!(stage.bucket_faults.count("abort_upload"), 0, "nothing was left for the second call");
}

#[test]
fn a_part_under_way_is_not_found_and_its_bytes_are_aborted() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("UPDATE files SET\n      parts_completed", 1, move || {
        other.remove(&same).unwrap();
    });
    assert_eq!(stage.part(&file, 1, &BYTES[..8]).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(stage.bucket_faults.count("abort_upload"), 1);
    is_out(&stage, &file);
    assert_eq!(stage.part(&file, 1, &BYTES[..8]).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_session_that_is_not_active_keeps_its_files() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let file = stage.files(session.id).remove(0);
    let (other, same) = (stage.another(), file.clone());
    stage.bucket_faults.meanwhile("head", 1, move || {
        assert_eq!(rejection(&other, &same), ErrorKind::FinalizeInProgress);
    });
    let moc = stage.finalize(session.id, "Castle").unwrap().moc;
    assert!(moc.files.iter().any(|of_moc| of_moc.id == file.id));
    assert_eq!(rejection(&stage, &file), ErrorKind::SessionNotActive { status: Status::Finalized });
    assert!(stage.memory.exists(&file.key));

    let cancelled = stage.registered("castle.pdf", BYTES);
    stage.cancel(cancelled.session_id).unwrap();
    assert_eq!(rejection(&stage, &cancelled), ErrorKind::SessionNotActive { status: Status::Cancelled });

    let expired = stage.registered("castle.pdf", BYTES);
    stage.platform.advance(COMPLETION_TIMEOUT_MS * 100);
    assert!(matches!(rejection(&stage, &expired), ErrorKind::SessionExpired { .. }));
}

/// The finalize gets its lock after the session was looked at.
#[test]
fn a_finalize_that_is_faster_keeps_the_file() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let file = stage.files(session.id).remove(0);
    let other = stage.another();
    stage.store_faults.meanwhile("INSERT INTO removed_files", 1, move || {
        other.finalize(session.id, "Castle").unwrap();
    });
    assert_eq!(rejection(&stage, &file), ErrorKind::SessionNotActive { status: Status::Finalized });
    assert!(stage.memory.exists(&file.key));
}

#[test]
fn another_user_finds_nothing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let mallory = Stage { user: UserId::parse("mallory").unwrap(), ..stage.another() };
    assert_eq!(rejection(&mallory, &file), ErrorKind::NotFound);
    assert!(stage.file_now(&file).is_some());
    // Nor does another session of the user have the file.
    let session = stage.session();
    stage.remove(&File { session_id: session.id, ..file.clone() }).unwrap();
    assert!(stage.file_now(&file).is_some());
}

/// The result of the registration is lost, and the statement is repeated after the file was taken out.
#[test]
fn a_file_that_is_taken_out_is_not_registered_again() {
    let stage = Stage::default();
    let session = stage.session();
    stage.store_faults.after("INSERT INTO files", 1..=1, SqlError::unavailable("broken"));
    let (other, id) = (stage.another(), session.id);
    stage.store_faults.meanwhile("INSERT INTO files", 2, move || {
        other.bucket_faults.before("abort_upload", 1..=3, BucketError::Unavailable("503".into()));
        let [file] = &other.files(id)[..] else { panic!("one file") };
        assert_eq!(rejection(&other, file), ErrorKind::BucketUnavailable);
    });
    let registered = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
    assert_eq!(registered.unwrap_err().kind, ErrorKind::FinalizeInProgress);
    assert_eq!(stage.files(session.id), []);
    // The next attempt is let in.
    let file = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
    assert!(stage.memory.has_upload(&file.upload_id));
}

#[test]
fn no_part_stays_of_a_file_that_is_taken_out_or_given_up() {
    let broken = || SqlError::permanent("broken");
    let stage = Stage::default();
    let [removed, lost] = ["castle.pdf", "tower.pdf"].map(|name| {
        let file = stage.registered(name, BYTES);
        stage.send(&file, BYTES);
        file
    });
    stage.store_faults.before("DELETE FROM parts", 1..=99, broken());
    assert_eq!(rejection(&stage, &removed), ErrorKind::StoreUnavailable);
    stage.memory.lose_upload(&lost.upload_id);
    let given_up = stage.complete(&lost, None).unwrap_err();
    assert!(matches!(given_up.kind, ErrorKind::FileValidationFailed { .. }), "{given_up:?}");
    assert_eq!((stage.rows("files"), stage.rows("parts")), (0, 0));
}
