//! What one user may have and register.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{BucketError, Platform as _, Sessions as _};
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::file::{Declaration, File};
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::{OPEN_UPLOADS_PAUSE_MS, QUOTA_DAY_MS, SESSION_COUNTS_KEPT_MS, SESSION_LIFETIME_MS};
use moc_domain::quota::{FileQuotas, Quota, SessionQuotas};
use moc_domain::session::Session;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle";
const LENGTH: u64 = BYTES.len() as u64;

fn two_open(stage: &Stage) -> Result<Session, Error> {
    stage.create_session_within(0, SessionQuotas { open: Some(2), ..SessionQuotas::default() })
}

fn pdf(name: &str) -> Declaration {
    Stage::declaration(name, BYTES)
}

/// When the next is allowed, from now on, in milliseconds.
fn next_in_ms<T: std::fmt::Debug>(stage: &Stage, rejected: Result<T, Error>, of: Quota) -> i64 {
    match rejected.unwrap_err().kind {
        ErrorKind::RateLimitExceeded { quota, next_allowed_at, .. } if quota == of => {
            next_allowed_at.millis_since(stage.platform.now())
        }
        other => panic!("{other:?}"),
    }
}

fn day_bytes(stage: &Stage) -> u64 {
    run(stage.store.usage(&stage.user, stage.platform.now())).unwrap().day_bytes
}

#[test]
fn open_sessions_are_those_that_may_still_become_a_moc() {
    let stage = Stage::default();
    two_open(&stage).unwrap();
    stage.platform.advance(60_000);
    let second = two_open(&stage).unwrap();
    let next_ms = next_in_ms(&stage, two_open(&stage), Quota::OpenSessions);
    assert_eq!(next_ms, SESSION_LIFETIME_MS - 60_000);
    // Another user is not concerned.
    let other = Stage { user: UserId::parse("bob").unwrap(), ..stage.clone() };
    two_open(&other).unwrap();
    // Each end allows one more: the expiry that nobody sweeps, a cancellation, a MOC.
    stage.platform.advance(next_ms);
    two_open(&stage).unwrap();
    assert!(two_open(&stage).is_err());
    stage.cancel(second.id).unwrap();
    let third = two_open(&stage).unwrap();
    stage.upload(third.id, pdf("castle.pdf"), BYTES);
    assert!(two_open(&stage).is_err());
    stage.finalize(third.id, "Castle").unwrap();
    two_open(&stage).unwrap();
}

#[test]
fn a_session_that_is_not_created_costs_nothing() {
    let stage = Stage::default();
    let quotas = SessionQuotas { per_hour: Some(3), open: Some(1), bytes: Some(100) };
    let create = |bytes| stage.create_session_within(bytes, quotas);
    let session = create(100).unwrap();
    for _ in 0..5 {
        next_in_ms(&stage, create(100), Quota::OpenSessions);
        assert_eq!(create(101).unwrap_err().kind, ErrorKind::QuotaExceeded { limit_bytes: 100 });
    }
    for _ in 0..2 {
        run(stage.store.cancel_session(session.id)).unwrap();
        let session = create(1).unwrap();
        run(stage.store.cancel_session(session.id)).unwrap();
    }
    next_in_ms(&stage, create(1), Quota::SessionsPerHour);
}

#[test]
fn a_session_whose_insertion_had_no_response_is_there_once() {
    let stage = Stage::default();
    stage.store_faults.after("INSERT INTO sessions", 1..=2, SqlError::unavailable("broken"));
    two_open(&stage).unwrap();
    two_open(&stage).unwrap();
    next_in_ms(&stage, two_open(&stage), Quota::OpenSessions);
}

const ALL: FileQuotas =
    FileQuotas { open_uploads: Some(2), session_bytes: Some(4 * LENGTH), day_bytes: Some(5 * LENGTH) };

fn register(stage: &Stage, id: SessionId, name: &str, quotas: FileQuotas) -> Result<File, Error> {
    stage.register_within(id, pdf(name), 10, quotas)
}

#[test]
fn without_quotas_nothing_more_is_asked() {
    let stage = Stage::default();
    let id = stage.session().id;
    let migrated = stage.store_faults.count("user_quotas");
    register(&stage, id, "castle.pdf", FileQuotas::default()).unwrap();
    assert_eq!(stage.store_faults.count("user_quotas"), migrated);
}

#[test]
fn an_upload_is_open_until_it_is_complete_or_its_session_over() {
    let stage = Stage::default();
    let quotas = FileQuotas { open_uploads: Some(2), ..FileQuotas::default() };
    let (first, second) = (stage.session().id, stage.session().id);
    let castle = register(&stage, first, "castle.pdf", quotas).unwrap();
    register(&stage, second, "tower.pdf", quotas).unwrap();
    let rejected = register(&stage, first, "gate.pdf", quotas);
    assert_eq!(next_in_ms(&stage, rejected, Quota::OpenUploads), OPEN_UPLOADS_PAUSE_MS);
    stage.send(&castle, BYTES);
    stage.complete(&castle, None).unwrap();
    register(&stage, first, "gate.pdf", quotas).unwrap();
    next_in_ms(&stage, register(&stage, first, "wall.pdf", quotas), Quota::OpenUploads);
    stage.cancel(second).unwrap();
    register(&stage, first, "wall.pdf", quotas).unwrap();
    stage.platform.advance(SESSION_LIFETIME_MS);
    register(&stage, stage.session().id, "castle.pdf", quotas).unwrap();
}

#[test]
fn what_a_quota_rejects_does_not_reach_the_bucket() {
    let stage = Stage::default();
    let id = stage.session().id;
    for name in ["a.pdf", "b.pdf"] {
        register(&stage, id, name, ALL).unwrap();
    }
    let calls = stage.bucket_faults.count("");
    next_in_ms(&stage, register(&stage, id, "c.pdf", ALL), Quota::OpenUploads);
    let total = FileQuotas { session_bytes: Some(3 * LENGTH - 1), ..FileQuotas::default() };
    let limit_bytes = 3 * LENGTH - 1;
    let rejected = register(&stage, id, "c.pdf", total).unwrap_err().kind;
    assert_eq!(rejected, ErrorKind::QuotaExceeded { limit_bytes });
    assert_eq!(stage.bucket_faults.count(""), calls);
    assert_eq!(day_bytes(&stage), 2 * LENGTH);
}

/// Between the look and the insertion another registration takes what is left.
#[test]
fn the_insertion_decides_and_its_upload_is_aborted() {
    let stage = Stage::default();
    let (id, other) = (stage.session().id, stage.another());
    let only = FileQuotas { day_bytes: Some(LENGTH), ..FileQuotas::default() };
    stage.bucket_faults.meanwhile("create_upload", 1, move || {
        register(&other, id, "tower.pdf", only).unwrap();
    });
    next_in_ms(&stage, register(&stage, id, "castle.pdf", only), Quota::BytesPerDay);
    assert_eq!((stage.memory.uploads().len(), stage.files(id).len(), day_bytes(&stage)), (1, 1, LENGTH));
}

#[test]
fn a_registration_that_fails_counts_nothing() {
    let stage = Stage::default();
    let id = stage.session().id;
    stage.bucket_faults.before("create_upload", 1..=3, BucketError::Unavailable("503".into()));
    assert!(register(&stage, id, "castle.pdf", ALL).is_err());
    stage.store_faults.before("INSERT INTO files", 1..=3, SqlError::unavailable("broken"));
    assert!(register(&stage, id, "castle.pdf", ALL).is_err());
    assert_eq!(day_bytes(&stage), 0);
    // The result was lost: the file is there, and counted once.
    stage.store_faults.after("INSERT INTO files", 4..=5, SqlError::unavailable("broken"));
    register(&stage, id, "castle.pdf", ALL).unwrap();
    assert!(matches!(register(&stage, id, "castle.pdf", ALL).unwrap_err().kind, ErrorKind::DuplicateFile { .. }));
    assert_eq!(day_bytes(&stage), LENGTH);
}

#[test]
fn a_file_that_replaces_a_rejected_one_counts_what_it_has_more() {
    let stage = Stage::default();
    let id = stage.session().id;
    let wrong = b"no PDF at all";
    let quotas = FileQuotas { day_bytes: Some(LENGTH), session_bytes: Some(LENGTH), ..FileQuotas::default() };
    let file = stage.register_within(id, Stage::declaration("castle.pdf", wrong), 10, quotas).unwrap();
    stage.send(&file, wrong);
    stage.complete(&file, None).unwrap();
    let Err(Error { kind: ErrorKind::FileValidationFailed { failures }, .. }) = stage.finalize(id, "Castle") else {
        panic!("it is no PDF")
    };
    assert_eq!(failures[0].reason, FileFault::ContentMismatch);
    assert_eq!(day_bytes(&stage), wrong.len() as u64);
    stage.store_faults.after("UPDATE files SET id", 1..=2, SqlError::unavailable("broken"));
    register(&stage, id, "castle.pdf", quotas).unwrap();
    assert_eq!(day_bytes(&stage), LENGTH);
}

#[test]
fn a_day_begins_at_midnight() {
    let stage = Stage::default();
    let quotas = FileQuotas { day_bytes: Some(LENGTH), ..FileQuotas::default() };
    register(&stage, stage.session().id, "castle.pdf", quotas).unwrap();
    let rejected = register(&stage, stage.session().id, "castle.pdf", quotas);
    let next_ms = next_in_ms(&stage, rejected, Quota::BytesPerDay);
    stage.platform.advance(next_ms);
    assert_eq!(stage.platform.now().as_millis() % QUOTA_DAY_MS, 0);
    register(&stage, stage.session().id, "castle.pdf", quotas).unwrap();
    // A whole day's quota is smaller.
    let two = [BYTES, BYTES].concat();
    let large = stage.register_within(stage.session().id, Stage::declaration("two.pdf", &two), 10, quotas);
    assert_eq!(large.unwrap_err().kind, ErrorKind::QuotaExceeded { limit_bytes: LENGTH });
}

/// A sweep that comes between the user's row and the file.
#[test]
fn a_file_is_counted_although_a_sweep_deletes_the_count() {
    let stage = Stage::default();
    let quotas = FileQuotas { day_bytes: Some(LENGTH), ..FileQuotas::default() };
    register(&stage, stage.session().id, "castle.pdf", quotas).unwrap();
    stage.platform.advance(SESSION_COUNTS_KEPT_MS + QUOTA_DAY_MS);
    let session = stage.session();
    let other = stage.another();
    stage.store_faults.meanwhile("INSERT INTO files", 1, move || {
        assert_eq!(other.sweep_up(100, None).unwrap().counts, 1);
    });
    register(&stage, session.id, "castle.pdf", quotas).unwrap();
    assert_eq!((day_bytes(&stage), stage.rows("user_quotas")), (LENGTH, 1));
}
