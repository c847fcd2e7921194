//! A part beside a completion, a finalize or a cancellation of its file.

use moc_application::port::BucketError;
use moc_domain::checksum::Checksums;
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::id::LockToken;
use moc_domain::limits::LOOK_PAUSE_MS;
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::stage::run;
use moc_fakes::{Body, Stage};
use moc_application::port::{Platform as _, Sessions as _};

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";

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
    assert_eq!(stage.part(&file, 1, b"%PDF-1.7").unwrap_err().kind, ErrorKind::FinalizeInProgress);
    assert_eq!(stage.session_now(session).status, Status::Active);
    assert_eq!(stage.file_now(&file).map(|file| file.parts_completed), Some(1));
    stage.part(&file, 1, b"%PDF-1.7").unwrap();
}
