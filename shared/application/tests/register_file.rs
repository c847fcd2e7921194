//! Registering a file beside a store that loses results.

use moc_application::port::BucketError;
use moc_domain::error::ErrorKind;
use moc_fakes::Stage;
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";

fn broken() -> SqlError {
    SqlError::unavailable("broken")
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
        stage.store_faults.after("DELETE FROM files", 1..=lost, broken());
        let registered = stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10);
        assert_eq!(stage.files(session.id), [registered.unwrap()]);
        assert_eq!(stage.file_now(&file), None);
        assert_eq!(stage.memory.keys(), [""; 0], "{lost} lost");
    }
}
