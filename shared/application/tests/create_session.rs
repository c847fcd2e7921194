//! The rate limit of sessions.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_domain::error::ErrorKind;
use moc_domain::id::UserId;
use moc_domain::limits::RATE_WINDOW_MS;
use moc_domain::quota::Quota;
use moc_fakes::Stage;
use moc_fakes::stage::STARTED_AT_MS;
use moc_store::SqlError;

#[test]
fn a_user_creates_so_many_sessions_in_an_hour() {
    let stage = Stage::default();
    for _ in 0..2 {
        stage.create_session(Some(2)).unwrap();
    }
    let rejected = stage.create_session(Some(2)).unwrap_err().kind;
    let ErrorKind::RateLimitExceeded { quota: Quota::SessionsPerHour, limit: 2, retry_after_seconds, next_allowed_at } =
        rejected
    else {
        panic!("{rejected:?}");
    };
    let wait_ms = RATE_WINDOW_MS - STARTED_AT_MS % RATE_WINDOW_MS;
    assert_eq!(next_allowed_at.as_millis(), STARTED_AT_MS + wait_ms);
    assert_eq!(retry_after_seconds, wait_ms.unsigned_abs().div_ceil(1_000));
    let bob = Stage { user: UserId::parse("bob").unwrap(), ..stage.another() };
    assert!(bob.create_session(Some(2)).is_ok());
    stage.platform.advance(wait_ms - 1);
    assert!(stage.create_session(Some(2)).is_err());
    stage.platform.advance(1);
    assert!(stage.create_session(Some(2)).is_ok());
    assert!(stage.create_session(None).is_ok());
}

#[test]
fn a_session_whose_result_was_lost_is_one() {
    let stage = Stage::default();
    stage.store_faults.after("INSERT INTO sessions", 1..=2, SqlError::unavailable("broken"));
    let session = stage.create_session(Some(1)).unwrap();
    assert_eq!(stage.session_now(session.id), session);
    // Where the count's result is lost, it counts twice: the limit errs on the safe side.
    let stage = Stage::default();
    let _ = stage.session();
    stage.store_faults.after("INSERT INTO session_counts", 1..=1, SqlError::unavailable("broken"));
    assert!(matches!(stage.create_session(Some(1)).unwrap_err().kind, ErrorKind::RateLimitExceeded { .. }));
}
