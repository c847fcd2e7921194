//! Sweeps: what they remove, what they leave, and what faults leave of them.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{Backlog, Bucket as _, BucketError, Platform as _, Sessions as _, Sweeps as _};
use moc_application::sweep::{self, SweepOutcome};
use moc_domain::content::Content;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::session_prefix;
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{
    SESSION_COUNTS_KEPT_MS, SESSION_LIFETIME_MS, SWEEP_AFTER_MS, SWEEP_FAILURES_MAX, SWEEP_LEASE_MS, SWEEP_PAUSE_MS,
    WEBHOOK_DELIVERED_KEPT_MS,
};
use moc_domain::object::Object;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::stage::{COMPLETION_TIMEOUT_MS, run};
use moc_fakes::{MemoryReceiver, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn unavailable() -> BucketError {
    BucketError::Unavailable("broken".into())
}

/// Sweeps, and keeps finalized sessions.
fn sweep_up(stage: &Stage) -> SweepOutcome {
    stage.sweep_up(100, None).unwrap()
}

/// Lets every session that exists now end, and the time pass that it is kept.
fn let_end(stage: &Stage) {
    stage.platform.advance(SESSION_LIFETIME_MS + SWEEP_AFTER_MS);
}

fn rows(stage: &Stage) -> [u64; 3] {
    ["sessions", "files", "parts"].map(|table| stage.rows(table))
}

#[track_caller]
fn is_empty(stage: &Stage) {
    assert_eq!((rows(stage), stage.memory.keys(), stage.memory.uploads()), ([0, 0, 0], Vec::new(), Vec::new()));
}

#[test]
fn removes_an_expired_session_an_hour_after_its_end_and_not_before() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.part(&file, 1, &BYTES[..8]).unwrap();
    let tower = stage.upload(file.session_id, Stage::declaration("tower.pdf", BYTES), BYTES);
    stage.platform.advance(SESSION_LIFETIME_MS + SWEEP_AFTER_MS - 1);
    assert_eq!(sweep_up(&stage), SweepOutcome::default());
    assert!(!run(sweep::is_due(&*stage.store, &stage.platform)).unwrap());
    assert!(stage.memory.has_upload(&file.upload_id) && stage.memory.exists(&tower.key));
    stage.platform.advance(1);
    assert!(run(sweep::is_due(&*stage.store, &stage.platform)).unwrap());
    let live = stage.registered("live.pdf", BYTES);
    assert_eq!(sweep_up(&stage), SweepOutcome { removed: 1, ..SweepOutcome::default() });
    assert_eq!((rows(&stage), stage.memory.keys()), ([1, 1, 0], Vec::new()));
    assert_eq!(stage.memory.uploads(), [(live.key, live.upload_id)]);
    assert_eq!(stage.complete(&file, None).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_sweep_that_finds_nothing_due_is_one_statement() {
    let stage = Stage::default();
    let _ = stage.uploaded();
    let before = stage.store_faults.calls().len();
    assert_eq!(sweep_up(&stage), SweepOutcome::default());
    assert_eq!(stage.store_faults.calls().len(), before + 1);
}

#[test]
fn keeps_a_moc_and_removes_what_else_its_session_has_in_the_bucket() {
    let stage = Stage::default();
    let moc = stage.pictured("Castle");
    let prefix = session_prefix(&stage.user, moc.session_id);
    let other = format!("uploads/alice-too/{}/x/a.pdf", moc.session_id);
    for key in [format!("{prefix}old/castle.pdf"), format!("{prefix}a"), other.clone()] {
        run(stage.memory.put(&key, "application/pdf", BYTES)).unwrap();
    }
    let key = format!("{prefix}old/tower.pdf");
    run(stage.memory.create_upload(Object { key: &key, content: Content::Pdf, name: "tower.pdf" })).unwrap();
    assert_eq!(sweep_up(&stage), SweepOutcome::default(), "a session that has not ended is left alone");
    let_end(&stage);
    assert_eq!(sweep_up(&stage), SweepOutcome { cleared: 1, leftovers: 3, ..SweepOutcome::default() });
    let mut expected: Vec<String> = moc.files.iter().map(|file| file.key.clone()).chain([other]).collect();
    expected.sort_unstable();
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (expected, Vec::new()));
    // Once is enough: the next sweep asks the bucket nothing.
    let lists = stage.bucket_faults.count("list_");
    assert_eq!(sweep_up(&stage), SweepOutcome::default());
    assert_eq!(stage.bucket_faults.count("list_"), lists);
    assert!(stage.finalize(moc.session_id, "Castle").is_ok());
}

#[test]
fn removes_the_rows_of_finalized_sessions_after_their_retention() {
    let stage = Stage::default();
    let moc = stage.pictured("Castle");
    let keys = stage.memory.keys();
    let_end(&stage);
    let swept = stage.sweep_up(100, Some(DAY_MS)).unwrap();
    assert_eq!((swept.cleared, swept.removed, swept.left), (1, 0, Backlog::default()));
    stage.platform.advance(DAY_MS - SWEEP_AFTER_MS - 1);
    assert_eq!(stage.sweep_up(100, Some(DAY_MS)).unwrap().removed, 0);
    stage.platform.advance(1);
    assert_eq!(stage.sweep_up(100, Some(DAY_MS)).unwrap().removed, 1);
    assert_eq!((rows(&stage), stage.rows("mocs"), stage.rows("moc_files")), ([0, 0, 0], 1, 2));
    assert_eq!(stage.memory.keys(), keys);
    assert_eq!(stage.finalize(moc.session_id, "Castle").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn removes_a_rejected_file_whose_deletion_failed() {
    let stage = Stage::default();
    let session = stage.session();
    let wrong = b"no PDF at all";
    let file = stage.upload(session.id, Stage::declaration("castle.pdf", wrong), wrong);
    stage.bucket_faults.before("delete", 1..=6, unavailable());
    assert!(stage.finalize(session.id, "Castle").is_err());
    let replacement = stage.upload(session.id, Stage::declaration("castle.pdf", BYTES), BYTES);
    stage.finalize(session.id, "Castle").unwrap();
    assert!(stage.memory.exists(&file.key), "nobody has deleted it");
    let_end(&stage);
    assert_eq!(sweep_up(&stage), SweepOutcome { cleared: 1, leftovers: 1, ..SweepOutcome::default() });
    assert_eq!(stage.memory.keys(), [replacement.key]);
}

#[test]
fn removes_the_upload_of_a_registration_that_was_interrupted() {
    let stage = Stage::default();
    let session = stage.session();
    stage.store_faults.before("INSERT INTO files", 1..=3, SqlError::unavailable("broken"));
    stage.bucket_faults.before("abort_upload", 1..=3, unavailable());
    assert!(stage.register(session.id, Stage::declaration("castle.pdf", BYTES), 10).is_err());
    assert_eq!(stage.memory.uploads().len(), 1);
    let_end(&stage);
    assert_eq!(sweep_up(&stage), SweepOutcome { removed: 1, leftovers: 1, ..SweepOutcome::default() });
    is_empty(&stage);
}

/// Then a key has the upload that made the object and another one.
#[test]
fn removes_the_first_upload_of_a_registration_whose_request_was_repeated() {
    let stage = Stage::default();
    let session = stage.session();
    stage.bucket_faults.after("create_upload", 1..=1, unavailable());
    let file = stage.upload(session.id, Stage::declaration("castle.pdf", BYTES), BYTES);
    stage.finalize(session.id, "Castle").unwrap();
    assert_eq!(stage.memory.uploads().len(), 1);
    let_end(&stage);
    assert_eq!(sweep_up(&stage), SweepOutcome { cleared: 1, leftovers: 1, ..SweepOutcome::default() });
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![file.key], Vec::new()));
}

#[test]
fn a_bucket_that_rejects_lists_stops_no_sweep() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let moc = stage.pictured("Castle");
    stage.bucket_faults.before("list_", 1..=99, BucketError::Rejected("403 AccessDenied".into()));
    let_end(&stage);
    let unlisted = Some("403 AccessDenied".into());
    assert_eq!(sweep_up(&stage), SweepOutcome { removed: 1, cleared: 1, unlisted, ..SweepOutcome::default() });
    assert!(!stage.memory.has_upload(&file.upload_id));
    assert_eq!(stage.memory.keys().len(), moc.files.len());
}

#[test]
fn waits_for_a_file_that_the_bucket_may_be_completing() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    let_end(&stage);
    // The session ended while the completion was on its way, which began a moment ago.
    let begun = "UPDATE files SET completing_at = ";
    let sql = format!("{begun}{}", stage.platform.now().as_millis());
    let statement = moc_store::Statement::new(sql, []);
    run(moc_store::SqlExecutor::execute_all(&*stage.database, &[statement])).unwrap();
    stage.memory.lose_upload(&file.upload_id);
    let swept = sweep_up(&stage);
    assert_eq!((swept.removed, swept.postponed, swept.left.sessions), (0, 1, 0));
    assert!(swept.failure.is_some_and(|failure| failure.contains(&file.session_id.to_string())));
    assert_eq!(sweep_up(&stage).postponed, 0, "it is not asked about before the pause is over");
    run(stage.memory.put(&file.key, "application/pdf", BYTES)).unwrap();
    stage.platform.advance(SWEEP_PAUSE_MS);
    assert_eq!(sweep_up(&stage).removed, 1);
    is_empty(&stage);
}

#[test]
fn gives_up_a_completion_that_takes_too_long() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
    assert!(stage.complete(&file, None).is_err());
    const { assert!(COMPLETION_TIMEOUT_MS < SESSION_LIFETIME_MS + SWEEP_AFTER_MS) };
    let_end(&stage);
    assert_eq!(sweep_up(&stage).removed, 1);
    assert_eq!(rows(&stage), [0, 0, 0]);
}

/// A session whose finalize holds the lock from now on.
fn locked(stage: &Stage, id: SessionId) {
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_session(id, token, now, Timestamp::from_millis(0))).unwrap());
}

#[test]
fn leaves_a_session_to_the_finalize_that_works_on_it() {
    let stage = Stage::default();
    let session = stage.uploaded();
    // So late that the session ends meanwhile, and a sweep comes.
    locked(&stage, session.id);
    let sql = format!("UPDATE sessions SET finalizing_at = {}", stage.platform.now().as_millis() + DAY_MS);
    run(moc_store::SqlExecutor::execute_all(&*stage.database, &[moc_store::Statement::new(sql, [])])).unwrap();
    let_end(&stage);
    let swept = sweep_up(&stage);
    assert_eq!((swept.removed, swept.postponed, swept.failure), (0, 1, None));
    assert_eq!(stage.session_now(session.id).status, Status::Finalizing);
    assert_eq!(stage.memory.keys().len(), 1);
}

#[test]
fn removes_a_session_whose_finalize_has_crashed() {
    let stage = Stage::default();
    locked(&stage, stage.uploaded().id);
    let_end(&stage);
    assert_eq!(sweep_up(&stage).removed, 1);
    is_empty(&stage);
}

#[test]
fn completes_a_moc_whose_finalize_has_crashed() {
    let stage = Stage::default();
    let session = stage.uploaded();
    stage.store_faults.before("INSERT INTO moc_files", 1..=3, SqlError::unavailable("broken"));
    assert!(stage.finalize(session.id, "Castle").is_err());
    assert_eq!(stage.rows("moc_files"), 0);
    let_end(&stage);
    assert_eq!(sweep_up(&stage).cleared, 1);
    assert_eq!((stage.rows("moc_files"), stage.memory.keys().len()), (1, 1));
    assert_eq!(stage.session_now(session.id).status, Status::Finalized);
    // Its webhook waits for nothing any more.
    let receiver = MemoryReceiver::default();
    assert_eq!(stage.sweep(&receiver).unwrap().delivered, 1);
}

#[test]
fn a_finalized_session_without_a_moc_keeps_its_objects() {
    let stage = Stage::default();
    let session = stage.uploaded();
    stage.finalize(session.id, "Castle").unwrap();
    for table in ["mocs", "moc_files"] {
        let statement = moc_store::Statement::new(format!("DELETE FROM {table}"), []);
        run(moc_store::SqlExecutor::execute_all(&*stage.database, &[statement])).unwrap();
    }
    let_end(&stage);
    assert_eq!(sweep_up(&stage).cleared, 1);
    assert_eq!(stage.memory.keys().len(), 1);
}

/// Whatever call of a sweep fails, and whether it took effect or not: the next sweeps remove everything, and the MOC
/// stays.
#[test]
fn faults_lose_nothing_and_the_next_sweep_goes_on() {
    let prepare = || {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        stage.part(&file, 1, &BYTES[..8]).unwrap();
        let cancelled = stage.uploaded();
        stage.bucket_faults.before("delete", 1..=3, unavailable());
        assert!(stage.cancel(cancelled.id).is_err());
        let moc = stage.pictured("Castle");
        let key = format!("{}old/castle.pdf", session_prefix(&stage.user, moc.session_id));
        run(stage.memory.put(&key, "application/pdf", BYTES)).unwrap();
        let_end(&stage);
        // Another instance has no faults planned.
        (stage.another(), moc)
    };
    let (stage, _) = prepare();
    sweep_up(&stage);
    let (statements, requests) = (stage.store_faults.calls().len(), stage.bucket_faults.calls().len());
    assert!(statements >= 20 && requests >= 10, "{statements} statements, {requests} requests");
    for number in 1..=u32::try_from(statements.max(requests)).unwrap() {
        for is_effective in [false, true] {
            for of_store in [false, true] {
                let (stage, moc) = prepare();
                let case = format!("call {number}, effective: {is_effective}, of the store: {of_store}");
                match (of_store, is_effective) {
                    (false, false) => stage.bucket_faults.before("", number..=number + 2, unavailable()),
                    (false, true) => stage.bucket_faults.after("", number..=number + 2, unavailable()),
                    (true, false) => {
                        stage.store_faults.before("", number..=number + 2, SqlError::unavailable("broken"))
                    }
                    (true, true) => stage.store_faults.after("", number..=number + 2, SqlError::unavailable("broken")),
                }
                let failed = stage.sweep_up(100, None);
                assert!(matches!(failed, Ok(_) | Err(Error { kind: ErrorKind::StoreUnavailable, .. })), "{case}");
                stage.platform.advance(SWEEP_PAUSE_MS.max(SWEEP_LEASE_MS));
                let other = stage.another();
                assert_eq!(sweep_up(&other).left, Backlog::default(), "{case}");
                let expected: Vec<String> = moc.files.iter().map(|file| file.key.clone()).collect();
                let mut keys = stage.memory.keys();
                keys.retain(|key| !expected.contains(key));
                assert_eq!((keys, stage.memory.uploads()), (Vec::new(), Vec::new()), "{case}");
                assert_eq!((rows(&stage)[0], stage.rows("moc_files")), (1, 2), "{case}");
                assert!(expected.iter().all(|key| stage.memory.exists(key)), "{case}");
            }
        }
    }
}

#[test]
fn a_sweep_is_bounded_and_says_what_is_left() {
    let stage = Stage::default();
    for _ in 0..7 {
        let _ = stage.registered("castle.pdf", BYTES);
    }
    let_end(&stage);
    let swept = stage.sweep_up(2, None).unwrap();
    assert_eq!((swept.removed, swept.left.sessions), (2, 5));
    stage.bucket_faults.before("abort_upload", 1..=99, unavailable());
    let swept = stage.sweep_up(100, None).unwrap();
    assert_eq!((swept.removed, swept.postponed, swept.left.sessions), (0, SWEEP_FAILURES_MAX, 0));
}

/// The host ends the request: what is cleared is recorded, and the next sweep goes on at once.
#[test]
fn a_sweep_ends_in_time_and_the_next_one_goes_on() {
    let stage = Stage::default();
    let session = stage.session();
    for name in ["castle.pdf", "tower.pdf"] {
        stage.register(session.id, Stage::declaration(name, BYTES), 10).unwrap();
    }
    let_end(&stage);
    let hung = stage.another();
    hung.platform.end_after(5_000);
    hung.bucket_faults.hang("abort_upload", 2..=2);
    let swept = hung.sweep_up(1, None).unwrap();
    assert_eq!((swept.removed, swept.postponed, swept.left.sessions), (0, 1, 1));
    hung.platform.end_after(5_000);
    let other = stage.another();
    assert_eq!(sweep_up(&other).removed, 1);
    assert_eq!(other.bucket_faults.count("abort_upload"), 1, "the other file is cleared");
    is_empty(&stage);
}

#[test]
fn removes_old_counts_and_records_of_delivered_webhooks() {
    let stage = Stage::default();
    stage.create_session(Some(10)).unwrap();
    let moc = stage.pictured("Castle");
    assert_eq!(stage.sweep(&MemoryReceiver::default()).unwrap().delivered, 1);
    stage.platform.advance(SESSION_COUNTS_KEPT_MS);
    let swept = sweep_up(&stage);
    assert_eq!((swept.counts, swept.deliveries, stage.rows("session_counts")), (1, 0, 0));
    stage.platform.advance(WEBHOOK_DELIVERED_KEPT_MS);
    assert_eq!(sweep_up(&stage).deliveries, 1);
    assert_eq!((stage.rows("webhook_deliveries"), stage.rows("mocs")), (0, 1));
    // The webhook is not sent again.
    stage.finalize(moc.session_id, "Castle").unwrap();
    assert_eq!(stage.rows("webhook_deliveries"), 0);
}

/// A claim that its sweep has left by a crash ends with its lease.
#[test]
fn a_crashed_sweep_delays_a_session_by_its_lease() {
    let stage = Stage::default();
    let _ = stage.registered("castle.pdf", BYTES);
    let_end(&stage);
    let due = moc_application::port::Due::at(stage.platform.now(), None);
    assert!(run(stage.store.claim_ended(&due)).unwrap().is_some());
    stage.platform.advance(SWEEP_LEASE_MS - 1);
    assert_eq!(sweep_up(&stage).removed, 0);
    stage.platform.advance(1);
    assert_eq!(sweep_up(&stage).removed, 1);
    is_empty(&stage);
}

/// The bucket is cleared of it, and the record of that fails.
#[test]
fn a_file_that_was_taken_out_keeps_no_row_of_its_session() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let file = stage.register(session.id, Stage::declaration("tower.pdf", BYTES), 10).unwrap();
    stage.bucket_faults.before("abort_upload", 1..=3, unavailable());
    assert!(stage.remove(&file).is_err());
    stage.finalize(session.id, "Castle").unwrap();
    let_end(&stage);
    stage.store_faults.before("DELETE FROM removed_files", 1..=1, SqlError::permanent("broken"));
    assert_eq!(sweep_up(&stage).cleared, 1);
    assert_eq!((stage.memory.uploads(), stage.rows("removed_files")), (Vec::new(), 1));
    stage.platform.advance(DAY_MS);
    let swept = stage.sweep_up(100, Some(DAY_MS)).unwrap();
    assert_eq!((swept.removed, swept.postponed, swept.left), (1, 0, Backlog::default()));
    assert_eq!((stage.rows("sessions"), stage.rows("removed_files"), stage.rows("mocs")), (0, 0, 1));
}
