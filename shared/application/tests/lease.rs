//! The lock of a session is a lease: its holder renews it, and whoever waits takes it over when it is over.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use futures::future::join;
use moc_application::finalize::FinalizeOutcome;
use moc_application::port::{Platform as _, Sessions as _};
use moc_domain::error::ErrorKind;
use moc_domain::file::Declaration;
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{FINALIZE_WAIT_MS, LEASE_MS, LEASE_RENEW_MS};
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::{SqlError, SqlExecutor as _, Statement};

const HOUR_MS: u64 = 3_600_000;
const RENEWAL: &str = "finalizing_at = CASE";
const CASTLE: &[u8] = b"%PDF-1.7 castle";

/// A session with a file that a finalize has to read as a whole.
fn announced(stage: &Stage) -> SessionId {
    let id = stage.session().id;
    let checksums = moc_fakes::checksums(CASTLE, true, true);
    stage.upload(id, Declaration { checksums, ..Stage::declaration("castle.pdf", CASTLE) }, CASTLE);
    id
}

/// Takes the lock of a session, as a finalize that dies does.
fn lock(stage: &Stage, id: SessionId) {
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_session(id, token, now, Timestamp::from_millis(0))).unwrap());
}

fn execute(stage: &Stage, sql: &str) {
    run(stage.database.execute_all(&[Statement::new(sql, [])])).unwrap();
}

/// How much time passes.
fn elapsed_ms(stage: &Stage, work: impl FnOnce()) -> i64 {
    let began = stage.platform.now();
    work();
    stage.platform.now().millis_since(began)
}

#[test]
fn a_short_finalize_and_a_short_cancellation_renew_nothing() {
    let stage = Stage::default();
    let id = announced(&stage);
    stage.bucket_faults.slow("scan", 1..=1, &stage.platform, LEASE_RENEW_MS.unsigned_abs() - 1);
    stage.finalize(id, "Castle").unwrap();
    stage.cancel(stage.uploaded().id).unwrap();
    assert_eq!(stage.store_faults.count(RENEWAL), 0);
}

#[test]
fn a_read_of_an_hour_keeps_its_lock() {
    let stage = Stage::default();
    let id = announced(&stage);
    stage.bucket_faults.slow("scan", 1..=1, &stage.platform, HOUR_MS);
    let other = stage.another();
    let second = async {
        other.platform.sleep(HOUR_MS / 2).await;
        let began = other.platform.now();
        let rejected = other.finalizing(id, "Second").await.unwrap_err().kind;
        (rejected, other.platform.now().millis_since(began).unsigned_abs())
    };
    let (first, rejected) = run(join(stage.finalizing(id, "First"), second));
    assert_eq!(rejected, (ErrorKind::FinalizeInProgress, FINALIZE_WAIT_MS));
    assert_eq!(first.unwrap().outcome, FinalizeOutcome::Created);
    assert_eq!(stage.store_faults.count(RENEWAL) as u64, HOUR_MS / LEASE_RENEW_MS.unsigned_abs() - 1);
}

#[test]
fn a_clearing_of_an_hour_keeps_its_lock() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.bucket_faults.slow("delete", 1..=1, &stage.platform, HOUR_MS);
    let other = stage.another();
    let second = async {
        other.platform.sleep(HOUR_MS / 2).await;
        other.cancelling(id).await.unwrap_err().kind
    };
    let (first, rejected) = run(join(stage.cancelling(id), second));
    first.unwrap();
    assert_eq!(rejected, ErrorKind::BucketUnavailable);
    assert_eq!(other.bucket_faults.calls(), []);
}

/// Whoever waits has the lock at the moment at which the lease of the dead ends.
#[test]
fn a_lock_of_the_dead_is_taken_over_at_once_when_its_lease_is_over() {
    for held_ms in [0, 1, 4_321, LEASE_MS - 1] {
        let stage = Stage::default();
        let id = announced(&stage);
        lock(&stage, id);
        stage.platform.advance(held_ms);
        let waited_ms = elapsed_ms(&stage, || {
            assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
        });
        assert_eq!(waited_ms, LEASE_MS - held_ms);
    }
}

#[test]
fn a_cancellation_takes_the_lock_of_a_dead_one_over() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    assert!(run(stage.store.cancel_session(id)).unwrap());
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_clearing(id, token, now, Timestamp::from_millis(0))).unwrap());
    let waited_ms = elapsed_ms(&stage, || stage.cancel(id).unwrap());
    assert!((LEASE_MS..LEASE_MS + 1_000).contains(&waited_ms), "{waited_ms}");
    assert_eq!(stage.memory.keys(), [""; 0]);
}

/// The clock of the dead was wrong: what counts is that nobody renews the lock.
#[test]
fn a_lock_from_the_future_is_taken_over_too() {
    let stage = Stage::default();
    let id = announced(&stage);
    lock(&stage, id);
    let future = stage.platform.now().plus_millis(24 * 3_600_000).as_millis();
    execute(&stage, &format!("UPDATE sessions SET finalizing_at = {future}"));
    let waited_ms = elapsed_ms(&stage, || {
        assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
    });
    assert!((LEASE_MS..=LEASE_MS + 1_000).contains(&waited_ms), "{waited_ms}");
}

/// A holder whose clock is wrong or steps back still renews.
#[test]
fn a_holder_with_any_clock_is_seen_to_live() {
    let stage = Stage::default();
    let id = announced(&stage);
    stage.bucket_faults.slow("scan", 1..=1, &stage.platform, HOUR_MS);
    let other = stage.another();
    let future = stage.platform.now().plus_millis(24 * 3_600_000).as_millis();
    let second = async {
        other.platform.sleep(HOUR_MS / 2).await;
        execute(&other, &format!("UPDATE sessions SET finalizing_at = {future}"));
        other.finalizing(id, "Second").await.unwrap_err().kind
    };
    let (first, rejected) = run(join(stage.finalizing(id, "First"), second));
    assert_eq!(rejected, ErrorKind::FinalizeInProgress);
    assert_eq!(first.unwrap().outcome, FinalizeOutcome::Created);
}

#[test]
fn a_finalize_that_has_lost_its_lease_stops() {
    let stage = Stage::default();
    let id = announced(&stage);
    stage.bucket_faults.slow("scan", 1..=1, &stage.platform, HOUR_MS);
    let other = stage.another();
    stage.platform.after(60_000, move || execute(&other, "UPDATE sessions SET lock_token = 'another'"));
    let worked_ms = elapsed_ms(&stage, || {
        assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::FinalizeInProgress);
    });
    assert!((60_000..60_000 + LEASE_RENEW_MS).contains(&worked_ms), "{worked_ms}");
    // The lock is the other's, and there is no MOC.
    assert_eq!(stage.session_now(id).status, Status::Finalizing);
    assert_eq!(stage.store_faults.count("INSERT INTO mocs"), 0);
}

#[test]
fn a_cancellation_that_has_lost_its_lease_stops() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.bucket_faults.slow("delete", 1..=1, &stage.platform, HOUR_MS);
    let other = stage.another();
    stage.platform.after(60_000, move || execute(&other, "UPDATE sessions SET lock_token = 'another'"));
    let worked_ms = elapsed_ms(&stage, || {
        assert_eq!(stage.cancel(id).unwrap_err().kind, ErrorKind::BucketUnavailable);
    });
    assert!((60_000..60_000 + LEASE_RENEW_MS).contains(&worked_ms), "{worked_ms}");
}

#[test]
fn a_store_that_is_unavailable_for_less_than_a_lease_stops_nothing() {
    let stage = Stage::default();
    let id = announced(&stage);
    stage.bucket_faults.slow("scan", 1..=1, &stage.platform, HOUR_MS);
    // Each renewal is attempted three times by the store.
    stage.store_faults.before(RENEWAL, 4..=12, SqlError::unavailable("broken"));
    stage.store_faults.after(RENEWAL, 20..=21, SqlError::unavailable("broken"));
    assert_eq!(stage.finalize(id, "Castle").unwrap().outcome, FinalizeOutcome::Created);
}

#[test]
fn a_store_that_stays_unavailable_stops_its_holder_when_the_lease_is_over() {
    let unavailable: fn(&Stage) =
        |stage| stage.store_faults.before(RENEWAL, 4..=1_000, SqlError::unavailable("broken"));
    let silent: fn(&Stage) = |stage| stage.store_faults.hang(RENEWAL, 4..=4);
    for fail in [unavailable, silent] {
        let stage = Stage::default();
        let id = announced(&stage);
        stage.bucket_faults.slow("scan", 1..=1, &stage.platform, HOUR_MS);
        fail(&stage);
        let worked_ms = elapsed_ms(&stage, || {
            assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::StoreUnavailable);
        });
        let renewed_ms = 3 * LEASE_RENEW_MS;
        assert!((renewed_ms + LEASE_MS - 1_000..=renewed_ms + LEASE_MS).contains(&worked_ms), "{worked_ms}");
        assert_eq!(stage.session_now(id).status, Status::Active);
    }
}
