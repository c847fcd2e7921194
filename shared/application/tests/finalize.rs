//! Finalizing a session: alone, at the same time as another finalize, and after one that was interrupted.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::finalize::{FinalizeOutcome, Finalized};
use moc_application::port::{BucketError, Platform as _, Sessions as _};
use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{FINALIZE_HEAL_AFTER_MS, LEASE_MS, SESSION_LIFETIME_MS};
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

const CASTLE: &[u8] = b"%PDF-1.7 castle";

fn broken() -> SqlError {
    SqlError::unavailable("broken")
}

fn unavailable() -> BucketError {
    BucketError::Unavailable("503".into())
}

fn kind(finalized: Result<Finalized, Error>) -> ErrorKind {
    finalized.unwrap_err().kind
}

fn fault(finalized: Result<Finalized, Error>) -> FileFault {
    match kind(finalized) {
        ErrorKind::FileValidationFailed { failures } => failures[0].reason,
        other => panic!("{other:?}"),
    }
}

/// A session with three completed files.
fn three(stage: &Stage) -> SessionId {
    let session = stage.uploaded().id;
    let picture = b"\x89PNG\r\n\x1a\npixels of a castle";
    for (name, bytes) in [("parts.csv", b"3001,4".as_slice()), ("castle.png", picture)] {
        stage.upload(session, Stage::declaration(name, bytes), bytes);
    }
    session
}

/// Exactly one MOC with all of its files, which later calls return.
fn is_whole(stage: &Stage, id: SessionId, title: &str) {
    let again = stage.finalize(id, "Any other title").unwrap();
    assert_eq!((again.outcome, again.moc.description.title.as_str()), (FinalizeOutcome::Idempotent, title));
    let files: Vec<_> = stage.files(id).into_iter().map(|file| file.id).collect();
    assert_eq!(again.moc.files.iter().map(|file| file.id).collect::<Vec<_>>(), files);
    let session = stage.session_now(id);
    assert_eq!((session.status, session.moc_id), (Status::Finalized, Some(again.moc.id)));
}

/// Takes the lock of a session, as a finalize that dies does.
fn lock(stage: &Stage, id: SessionId) -> LockToken {
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_session(id, token, now, Timestamp::from_millis(0))).unwrap());
    token
}

#[test]
fn publishes_once() {
    let stage = Stage::default();
    let id = three(&stage);
    let made = stage.finalize(id, "Castle").unwrap();
    assert_eq!(made.outcome, FinalizeOutcome::Created);
    assert!(made.validation.is_some() && made.moc.slug == "castle" && made.moc.files.len() == 3);
    is_whole(&stage, id, "Castle");
}

#[test]
fn sessions_that_are_over_are_not_published() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.cancel(id).unwrap();
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::SessionNotActive { status: Status::Cancelled });
    let id = stage.uploaded().id;
    stage.platform.advance(SESSION_LIFETIME_MS);
    assert!(matches!(kind(stage.finalize(id, "Castle")), ErrorKind::SessionExpired { .. }));
}

#[test]
fn needs_a_complete_instruction() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", CASTLE);
    assert_eq!(kind(stage.finalize(file.session_id, "Castle")), ErrorKind::InstructionFileRequired);
    assert_eq!(stage.session_now(file.session_id).status, Status::Active);
    stage.send(&file, CASTLE);
    stage.complete(&file, None).unwrap();
    stage.finalize(file.session_id, "Castle").unwrap();
}

#[test]
fn a_pending_file_holds_it_up_until_it_is_complete() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    let file = stage.register(id, Stage::declaration("parts.csv", b"3001,4"), 10).unwrap();
    assert_eq!(fault(stage.finalize(id, "Castle")), FileFault::ObjectMissing);
    // The bucket may be about to show its object.
    stage.send(&file, b"3001,4");
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::BucketUnavailable);
    stage.memory.reveal();
    stage.complete(&file, None).unwrap();
    stage.finalize(id, "Castle").unwrap();
    is_whole(&stage, id, "Castle");
}

#[test]
fn a_file_that_is_not_what_it_was_declared_to_be_is_replaced() {
    let stage = Stage::default();
    let id = stage.session().id;
    let wrong = stage.upload(id, Stage::declaration("castle.pdf", b"no PDF at all"), b"no PDF at all");
    assert_eq!(fault(stage.finalize(id, "Castle")), FileFault::ContentMismatch);
    assert!(stage.file_now(&wrong).is_some_and(|file| file.rejected));
    stage.upload(id, Stage::declaration("castle.pdf", CASTLE), CASTLE);
    assert_eq!((stage.file_now(&wrong), stage.memory.object(&wrong.key)), (None, None));
    stage.finalize(id, "Castle").unwrap();
    is_whole(&stage, id, "Castle");
}

#[test]
fn announced_checksums_are_compared() {
    for (checksums, reads) in [
        (moc_fakes::checksums(CASTLE, true, false), 1),
        (moc_fakes::checksums(CASTLE, false, true), 1),
        (moc_fakes::checksums(b"other bytes", true, false), 1),
        (moc_fakes::checksums(b"other bytes", false, true), 1),
        (Checksums::default(), 0),
    ] {
        let stage = Stage::default();
        let id = stage.session().id;
        let mut declared = Stage::declaration("castle.pdf", CASTLE);
        declared.checksums = checksums;
        stage.upload(id, declared, CASTLE);
        let is_right = checksums.check(&moc_fakes::checksums(CASTLE, true, true)).is_ok();
        match stage.finalize(id, "Castle") {
            Ok(_) => assert!(is_right),
            Err(error) => assert!(!is_right && matches!(error.kind, ErrorKind::ChecksumMismatch { .. })),
        }
        assert_eq!(stage.bucket_faults.count("scan"), reads);
    }
}

/// What is known of an only part need not be read again.
#[test]
fn an_only_part_is_not_read_for_its_checksums() {
    let stage = Stage::default();
    let id = stage.session().id;
    let mut declared = Stage::declaration("castle.pdf", b"%PDF-1.7");
    declared.checksums = moc_fakes::checksums(b"%PDF-1.7", true, true);
    stage.upload(id, declared, b"%PDF-1.7");
    stage.finalize(id, "Castle").unwrap();
    assert_eq!(stage.bucket_faults.count("scan"), 0);
}

/// A bucket may show an object a moment later, or only after its file was rejected.
#[test]
fn an_object_is_looked_for_more_than_once() {
    for (appears_after_ms, is_rejected) in [(1_500, false), (2_500, true)] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        let (key, memory) = (stage.files(id)[0].key.clone(), stage.memory.clone());
        run(moc_application::port::Bucket::delete(&memory, &key)).unwrap();
        stage.platform.after(appears_after_ms, move || {
            run(moc_application::port::Bucket::put(&memory, &key, "application/pdf", CASTLE)).unwrap();
        });
        if is_rejected {
            assert_eq!(fault(stage.finalize(id, "Castle")), FileFault::ObjectMissing);
            stage.platform.advance(appears_after_ms);
        }
        assert_eq!(stage.files(id)[0].rejected, is_rejected);
        stage.finalize(id, "Castle").unwrap();
        is_whole(&stage, id, "Castle");
    }
}

#[test]
fn an_unavailable_bucket_gives_the_lock_back() {
    for operation in ["head", "read"] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        stage.bucket_faults.before(operation, 1..=3, unavailable());
        assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::BucketUnavailable);
        assert_eq!(stage.session_now(id).status, Status::Active);
        assert!(!stage.files(id)[0].rejected);
        stage.bucket_faults.before(operation, 1..=2, unavailable());
        stage.finalize(id, "Castle").unwrap();
    }
}

#[test]
fn a_title_is_taken_once_by_a_user() {
    let stage = Stage::default();
    stage.finalize(stage.uploaded().id, "Castle").unwrap();
    let id = stage.uploaded().id;
    let conflict = |slug: &str| ErrorKind::TitleConflict { suggested_slug: slug.into(), automatic: true };
    assert_eq!(kind(stage.finalize(id, "CASTLE!")), conflict("castle-2"));
    assert_eq!(stage.session_now(id).status, Status::Active);
    // Another session of the user takes the next one while this one is validated.
    let (other, second) = (stage.another(), stage.uploaded().id);
    stage.store_faults.meanwhile("INSERT INTO mocs", 1, move || drop(other.finalize(second, "Castle 2").unwrap()));
    assert_eq!(kind(stage.finalize(id, "Castle 2")), conflict("castle-2-2"));
    stage.finalize(id, "Castle 3").unwrap();
    is_whole(&stage, id, "Castle 3");
}

#[test]
fn a_finalize_that_another_one_holds_waits_for_its_moc() {
    let stage = Stage::default();
    let id = three(&stage);
    let token = lock(&stage, id);
    let (other, unlocking) = (stage.another(), stage.another());
    stage.platform.after(3_000, move || {
        run(unlocking.store.unlock_session(id, token)).unwrap();
        other.finalize(id, "First").unwrap();
    });
    let found = stage.finalize(id, "Second").unwrap();
    assert_eq!((found.outcome, found.moc.description.title.as_str()), (FinalizeOutcome::Idempotent, "First"));
    is_whole(&stage, id, "First");
}

#[test]
fn takes_the_lock_that_another_one_gives_back() {
    let stage = Stage::default();
    let id = three(&stage);
    let token = lock(&stage, id);
    let other = stage.another();
    stage.platform.after(3_000, move || run(other.store.unlock_session(id, token)).unwrap());
    assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
    is_whole(&stage, id, "Castle");
}

#[test]
fn a_lock_is_taken_over_when_it_is_stale() {
    let stage = Stage::default();
    let id = three(&stage);
    lock(&stage, id);
    stage.platform.advance(LEASE_MS);
    let now = stage.platform.now();
    assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
    assert_eq!(stage.platform.now(), now);
    is_whole(&stage, id, "Castle");
}

#[test]
fn a_step_before_the_moc_fails() {
    for statement in ["UPDATE sessions SET status = 'finalizing'", "INSERT INTO mocs"] {
        let stage = Stage::default();
        let id = three(&stage);
        stage.store_faults.before(statement, 1..=6, broken());
        for _ in 0..2 {
            assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
            assert_eq!(stage.session_now(id).status, Status::Active);
        }
        assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
        is_whole(&stage, id, "Castle");
    }
}

#[test]
fn a_step_after_the_moc_fails() {
    // Each file of the MOC, and the end of the session: a trigger makes the statement fail inside the database.
    for trigger in [
        "BEFORE INSERT ON moc_files WHEN NEW.category = 'instruction'",
        "BEFORE INSERT ON moc_files WHEN NEW.category = 'image'",
        "BEFORE UPDATE ON sessions WHEN NEW.status = 'finalized'",
    ] {
        let stage = Stage::default();
        let id = three(&stage);
        let create = format!("CREATE TRIGGER broken {trigger} BEGIN SELECT RAISE(ABORT, 'broken'); END");
        run(moc_store::SqlExecutor::transaction(&*stage.database, &[&create])).unwrap();
        for _ in 0..2 {
            assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
            assert_eq!(stage.session_now(id).status, Status::Finalizing);
            stage.platform.advance(FINALIZE_HEAL_AFTER_MS);
        }
        run(moc_store::SqlExecutor::transaction(&*stage.database, &["DROP TRIGGER broken"])).unwrap();
        let healed = stage.finalize(id, "Another title").unwrap();
        assert_eq!((healed.outcome, healed.moc.description.title.as_str()), (FinalizeOutcome::Resumed, "Castle"));
        is_whole(&stage, id, "Castle");
    }
}

/// Of the files of the MOC none, some or all are recorded, and its lock is fresh or stale.
#[test]
fn a_crash_after_the_moc_is_healed() {
    for delete in ["DELETE FROM moc_files", "DELETE FROM moc_files WHERE category = 'instruction'", "SELECT 1"] {
        for age_ms in [FINALIZE_HEAL_AFTER_MS, LEASE_MS] {
            let stage = Stage::default();
            let id = three(&stage);
            let moc = stage.finalize(id, "Castle").unwrap().moc;
            let now = stage.platform.now().as_millis();
            let reopen = format!(
                "UPDATE sessions SET status = 'finalizing', moc_id = NULL, lock_token = 'dead', finalizing_at = {now}"
            );
            let statements = [moc_store::Statement::new(delete, []), moc_store::Statement::new(reopen, [])];
            run(moc_store::SqlExecutor::execute_all(&*stage.database, &statements)).unwrap();
            stage.platform.advance(age_ms);
            let healed = stage.finalize(id, "Another title").unwrap();
            assert_eq!((healed.outcome, &healed.moc), (FinalizeOutcome::Resumed, &moc));
            is_whole(&stage, id, "Castle");
        }
    }
}

/// The steps after the MOC take milliseconds: a call that comes meanwhile waits, and does not resume.
#[test]
fn a_finalize_that_is_about_to_end_is_not_taken_for_a_dead_one() {
    let stage = Stage::default();
    let id = three(&stage);
    let (other, memory) = (stage.another(), stage.platform.clone());
    let made = std::rc::Rc::new(std::cell::Cell::new(None));
    let seen = made.clone();
    stage.store_faults.meanwhile("INSERT INTO moc_files", 1, move || {
        // This call waits until the moment at which the other counts as dead.
        seen.set(Some(other.finalize(id, "Second").unwrap().outcome));
        assert!(memory.slept().iter().sum::<u64>() >= FINALIZE_HEAL_AFTER_MS.unsigned_abs());
    });
    assert_eq!(stage.finalize(id, "First").unwrap().outcome, FinalizeOutcome::Created);
    assert_eq!(made.get(), Some(FinalizeOutcome::Resumed));
    is_whole(&stage, id, "First");
}

#[test]
fn many_calls_heal_at_once() {
    let stage = Stage::default();
    let id = three(&stage);
    stage.store_faults.before("INSERT INTO moc_files", 1..=3, broken());
    assert!(stage.finalize(id, "Castle").is_err());
    stage.platform.advance(FINALIZE_HEAL_AFTER_MS);
    let others: Vec<Stage> = (0..12).map(|_| stage.another()).collect();
    // Each begins inside the one before.
    fn nested(others: &[Stage], id: SessionId) {
        let [first, rest @ ..] = others else { return };
        let rest = rest.to_vec();
        first.store_faults.meanwhile("INSERT INTO moc_files", 1, move || nested(&rest, id));
        let outcome = first.finalize(id, "Any").unwrap().outcome;
        assert_ne!(outcome, FinalizeOutcome::Created);
    }
    nested(&others, id);
    is_whole(&stage, id, "Castle");
}

#[test]
fn a_finalize_that_has_lost_its_lock_makes_no_moc() {
    let stage = Stage::default();
    let id = three(&stage);
    let other = stage.another();
    stage.bucket_faults.meanwhile("head", 1, move || {
        other.platform.advance(LEASE_MS);
        other.store_faults.before("INSERT INTO mocs", 1..=3, broken());
        assert_eq!(kind(other.finalize(id, "Second")), ErrorKind::StoreUnavailable);
        let pdf = b"%PDF-1 in a PNG";
        other.upload(id, Stage::declaration("wrong.png", pdf), pdf);
    });
    assert_eq!(kind(stage.finalize(id, "First")), ErrorKind::FinalizeInProgress);
    assert_eq!(stage.session_now(id).status, Status::Active);
    assert_eq!(fault(stage.finalize(id, "First")), FileFault::ContentMismatch);
}

#[test]
fn of_two_finalizes_the_first_title_counts_although_its_lock_was_lost() {
    let stage = Stage::default();
    let id = three(&stage);
    let other = stage.another();
    stage.bucket_faults.meanwhile("head", 1, move || {
        other.platform.advance(LEASE_MS);
        other.finalize(id, "Second").unwrap();
    });
    let found = stage.finalize(id, "First").unwrap();
    assert_eq!((found.outcome, found.moc.description.title.as_str()), (FinalizeOutcome::Resumed, "Second"));
    is_whole(&stage, id, "Second");
}

#[test]
fn a_lock_that_cannot_be_given_back_goes_stale() {
    let stage = Stage::default();
    let id = three(&stage);
    stage.store_faults.before("INSERT INTO mocs", 1..=3, broken());
    stage.store_faults.before("UPDATE sessions SET status = 'active'", 1..=3, broken());
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
    assert_eq!(stage.session_now(id).status, Status::Finalizing);
    stage.platform.advance(LEASE_MS);
    assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
    is_whole(&stage, id, "Castle");
}

#[test]
fn results_that_were_lost_change_nothing() {
    for statement in ["UPDATE sessions SET status = 'finalizing'", "INSERT INTO mocs", "INSERT INTO moc_files"] {
        let stage = Stage::default();
        let id = three(&stage);
        stage.store_faults.after(statement, 1..=2, broken());
        assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created, "{statement}");
        is_whole(&stage, id, "Castle");
    }
}
