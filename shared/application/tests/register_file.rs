//! Registering a file while the store loses results.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{Bucket as _, BucketError, Files as _};
use moc_domain::error::ErrorKind;
use moc_domain::file::File;
use moc_domain::id::FileId;
use moc_domain::quota::FileQuotas;
use moc_domain::session::Status;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";

fn broken() -> SqlError {
    SqlError::unavailable("broken")
}

#[test]
fn an_object_keeps_the_name_that_its_file_was_given() {
    let stage = Stage::default();
    let file = stage.registered("Schloß, \"neu\".pdf", BYTES);
    let disposition = stage.memory.disposition(&file.upload_id);
    let expected = "inline; filename=\"Schlo_, _neu_.pdf\"; filename*=UTF-8''Schlo%C3%9F%2C%20%22neu%22.pdf";
    assert_eq!(disposition.as_deref(), Some(expected));
}

#[test]
fn a_name_is_registered_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let again = || stage.register(file.session_id, Stage::declaration("castle.pdf", BYTES), 10).unwrap_err().kind;
    assert_eq!(again(), ErrorKind::DuplicateFile { file_id: file.id });
    stage.send(&file, BYTES);
    stage.complete(&file, None).unwrap();
    assert_eq!(again(), ErrorKind::DuplicateFile { file_id: file.id });
    assert_eq!(stage.bucket_faults.count("create_upload"), 1);
}

/// macOS decomposes names; the same file of another system is no second one.
#[test]
fn a_name_is_the_same_in_every_form_of_unicode() {
    let stage = Stage::default();
    let file = stage.registered("E\u{301}glise.pdf", BYTES);
    assert_eq!(file.name, "\u{c9}glise.pdf");
    assert!(file.key.ends_with("/\u{c9}glise.pdf"), "{}", file.key);
    for name in ["\u{c9}glise.pdf", "E\u{301}glise.pdf"] {
        let again = stage.register(file.session_id, Stage::declaration(name, BYTES), 10).unwrap_err().kind;
        assert_eq!(again, ErrorKind::DuplicateFile { file_id: file.id });
    }
    // One that an earlier version has stored as it came.
    let stored = File { id: FileId::new(file.created_at, [7; 10]), name: "Cha\u{302}teau.pdf".into(), ..file.clone() };
    run(stage.store.insert_file(&stored, 10, &FileQuotas::default())).unwrap();
    let again = stage.register(file.session_id, Stage::declaration("Ch\u{e2}teau.pdf", BYTES), 10).unwrap_err().kind;
    assert_eq!(again, ErrorKind::DuplicateFile { file_id: stored.id });
}

/// Both look before either has a record.
#[test]
fn of_two_registrations_at_once_one_gets_the_name() {
    let stage = Stage::default();
    let session = stage.session();
    let other = stage.another();
    stage.bucket_faults.meanwhile("create_upload", 1, move || {
        other.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
    });
    let rejected = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap_err().kind;
    let files = stage.files(session.id);
    assert_eq!(rejected, ErrorKind::DuplicateFile { file_id: files[0].id });
    assert_eq!(stage.memory.uploads(), [(files[0].key.clone(), files[0].upload_id.clone())]);
}

#[test]
fn a_session_holds_so_many_files() {
    let stage = Stage::default();
    let session = stage.session();
    let register = |stage: &Stage, name| stage.register(session.id, Stage::declaration(name, BYTES), 2);
    register(&stage, "one.pdf").unwrap();
    let other = stage.another();
    stage.bucket_faults.meanwhile("create_upload", 1, move || {
        other.register(session.id, Stage::declaration("two.pdf", BYTES), 2).unwrap();
    });
    assert_eq!(register(&stage, "three.pdf").unwrap_err().kind, ErrorKind::FileCountExceeded { limit: 2 });
    assert_eq!(register(&stage, "three.pdf").unwrap_err().kind, ErrorKind::FileCountExceeded { limit: 2 });
    assert_eq!(stage.memory.uploads().len(), 2);
}

#[test]
fn a_cancelled_session_takes_no_file() {
    let stage = Stage::default();
    let session = stage.session();
    let other = stage.another();
    stage.bucket_faults.meanwhile("create_upload", 1, move || other.cancel(session.id).unwrap());
    for _ in 0..2 {
        let rejected = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap_err().kind;
        assert_eq!(rejected, ErrorKind::SessionNotActive { status: Status::Cancelled });
        assert_eq!(stage.memory.uploads(), []);
    }
}

#[test]
fn an_unavailable_bucket_leaves_no_record() {
    let stage = Stage::default();
    let session = stage.session();
    stage.bucket_faults.before("create_upload", 1..=3, BucketError::Unavailable("503".into()));
    let register = || stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
    assert_eq!(register().unwrap_err().kind, ErrorKind::BucketUnavailable);
    assert_eq!(stage.files(session.id), []);
    register().unwrap();
}

/// Otherwise the record would have an upload that no longer exists.
#[test]
fn a_record_whose_result_was_lost_keeps_its_upload() {
    let stage = Stage::default();
    let session = stage.session();
    stage.store_faults.after("INSERT INTO files", 1..=3, broken());
    let file = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap();
    assert_eq!(stage.memory.uploads(), [(file.key.clone(), file.upload_id.clone())]);
    assert_eq!(stage.files(session.id), [file]);
}

#[test]
fn a_record_that_may_exist_keeps_its_upload() {
    let stage = Stage::default();
    let session = stage.session();
    stage.store_faults.after("INSERT INTO files", 1..=3, broken());
    stage.store_faults.before("FROM files f WHERE f.id", 1..=3, broken());
    let rejected = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
    assert_eq!(rejected.unwrap_err().kind, ErrorKind::StoreUnavailable);
    let uploads: Vec<String> = stage.memory.uploads().into_iter().map(|(_, id)| id).collect();
    let files: Vec<String> = stage.files(session.id).into_iter().map(|file| file.upload_id).collect();
    assert_eq!(files, uploads);
}

#[test]
fn an_upload_without_a_record_is_aborted() {
    let stage = Stage::default();
    let session = stage.session();
    stage.store_faults.before("INSERT INTO files", 1..=3, broken());
    let rejected = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
    assert_eq!(rejected.unwrap_err().kind, ErrorKind::StoreUnavailable);
    assert_eq!((stage.memory.uploads(), stage.files(session.id)), (vec![], vec![]));
    assert_eq!((stage.bucket_faults.count("create_upload"), stage.bucket_faults.count("abort_upload")), (1, 1));
    stage.upload(session.id, Stage::declaration("castle.pdf", BYTES), BYTES);
    stage.finalize(session.id, "Castle").unwrap();
}

/// The next registration does not know the object any more.
#[test]
fn the_object_of_a_replaced_file_is_deleted_although_a_result_was_lost() {
    for lost in [1, 3] {
        let stage = Stage::default();
        let session = stage.session();
        let wrong = b"not a PDF at all";
        let file = stage.upload(session.id, Stage::declaration("castle.pdf", wrong), wrong);
        assert!(stage.finalize(session.id, "Castle").is_err());
        stage.store_faults.after("UPDATE files SET id", 1..=lost, broken());
        let registered = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
        assert_eq!(stage.files(session.id), [registered.unwrap()]);
        assert_eq!(stage.file_now(&file), None);
        assert_eq!(stage.memory.keys(), [""; 0], "{lost} lost");
    }
}

/// A finalize comes just before the file is replaced: it publishes no MOC without the file.
#[test]
fn a_rejected_file_is_replaced_at_once_or_not_at_all() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let wrong = b"no picture at all";
    let declared = Stage::declaration("castle.png", wrong);
    let rejected = stage.upload(session.id, declared.clone(), wrong);
    assert!(stage.finalize(session.id, "Castle").is_err());
    // Before every statement of the registration.
    for call in 1..=5 {
        let (registering, other) = (stage.another(), stage.another());
        registering.store_faults.meanwhile("", call, move || {
            let refused = other.finalize(session.id, "Castle").unwrap_err().kind;
            assert!(matches!(refused, ErrorKind::FileValidationFailed { .. }), "{refused:?}");
        });
        registering.register(session.id, declared.clone(), 10).unwrap();
        let file = stage.files(session.id).into_iter().find(|file| file.name == "castle.png").unwrap();
        assert_ne!(file.id, rejected.id);
        stage.send(&file, wrong);
        stage.complete(&file, None).unwrap();
        assert!(stage.finalize(session.id, "Castle").is_err());
    }
}

/// The finalize that holds the session may publish the file: it and its object stay.
#[test]
fn a_rejected_file_of_a_locked_session_stays() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let (key, memory) = (stage.files(session.id)[0].key.clone(), stage.memory.clone());
    run(memory.delete(&key)).unwrap();
    assert!(stage.finalize(session.id, "Castle").is_err());
    run(memory.put(&key, "application/pdf", BYTES)).unwrap();
    let (other, id) = (stage.another(), session.id);
    stage.bucket_faults.meanwhile("create_upload", 1, move || drop(other.finalize(id, "Castle").unwrap()));
    let refused = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap_err().kind;
    assert_eq!(refused, ErrorKind::SessionNotActive { status: Status::Finalized });
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![key], vec![]));
}

#[test]
fn of_two_replacements_at_once_one_gets_the_name() {
    let stage = Stage::default();
    let session = stage.session();
    let wrong = b"not a PDF at all";
    stage.upload(session.id, Stage::declaration("castle.pdf", wrong), wrong);
    assert!(stage.finalize(session.id, "Castle").is_err());
    let other = stage.another();
    stage.store_faults.meanwhile("UPDATE files SET id", 1, move || {
        other.upload(session.id, Stage::declaration("castle.pdf", BYTES), BYTES);
    });
    let refused = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).unwrap_err().kind;
    let [file] = stage.files(session.id).try_into().unwrap();
    assert_eq!(refused, ErrorKind::DuplicateFile { file_id: file.id });
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![file.key], vec![]));
    stage.finalize(session.id, "Castle").unwrap();
}
