//! A lock that a finalize has left by a crash.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{Platform as _, Sessions as _};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;
use moc_domain::id::LockToken;
use moc_domain::limits::LEASE_MS;
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::stage::run;
use moc_fakes::{MemoryForm, Stage};

const BYTES: &[u8] = b"%PDF-1.7 castle";

/// A session whose finalize has crashed, and a file of it.
fn crashed(stage: &Stage) -> File {
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_session(file.session_id, token, now, Timestamp::from_millis(0))).unwrap());
    file
}

type Use = fn(&Stage, &File) -> Result<(), Error>;

fn uses() -> [(&'static str, Use); 5] {
    [
        ("part", |stage, file| stage.part(file, 1, &BYTES[..8]).map(drop)),
        ("batch", |stage, file| {
            let number = PartNumber::new(1).unwrap();
            stage.batch(file, MemoryForm::new([(number, BYTES[..8].to_vec())])).0.map(drop)
        }),
        ("register", |stage, file| {
            stage.register(file.session_id, Stage::declaration("tower.pdf", BYTES), 10).map(drop)
        }),
        ("complete", |stage, file| stage.complete(file, None).map(drop)),
        ("cancel", |stage, file| stage.cancel(file.session_id)),
    ]
}

#[test]
fn keeps_others_out_until_it_is_stale() {
    for (name, call) in uses() {
        let stage = Stage::default();
        let file = crashed(&stage);
        stage.platform.advance(LEASE_MS - 1);
        assert_eq!(call(&stage, &file).unwrap_err().kind, ErrorKind::FinalizeInProgress, "{name}");
        stage.platform.advance(1);
        call(&stage, &file).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_ne!(stage.session_now(file.session_id).status, Status::Finalizing, "{name}");
    }
}

/// The next request of any kind ends what the finalize has left.
#[test]
fn with_a_moc_the_session_is_finalized_once_it_is_stale() {
    for (name, call) in uses() {
        let stage = Stage::default();
        let session = stage.uploaded();
        stage.store_faults.before("INSERT INTO moc_files", 1..=3, moc_store::SqlError::unavailable("broken"));
        assert!(stage.finalize(session.id, "Castle").is_err());
        let file = stage.files(session.id).remove(0);
        stage.platform.advance(LEASE_MS);
        match call(&stage, &file) {
            Ok(()) => assert!(matches!(name, "batch" | "complete"), "{name}"),
            Err(error) => {
                let is_over = matches!(error.kind, ErrorKind::SessionNotActive { status: Status::Finalized });
                assert!(is_over || error.kind == ErrorKind::FileAlreadyCompleted, "{name}: {error:?}");
            }
        }
        let found = stage.finalize(session.id, "Tower").unwrap();
        assert_eq!((found.moc.description.title.as_str(), found.moc.files.len()), ("Castle", 1), "{name}");
    }
}
