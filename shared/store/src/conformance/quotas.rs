//! Cases of leases and of quotas.

use moc_application::port::{Files, Mocs, Opened, Platform, Registered, Sessions};
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::file::{File, Rejection};
use moc_domain::id::UserId;
use moc_domain::limits::QUOTA_DAY_MS;
use moc_domain::part::PartPlan;
use moc_domain::quota::{FileQuotas, Quota, SessionQuotas};
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

use super::Database;
use super::cases::{
    CLIENTS, FILES_MAX, NO_QUOTAS, PART_BYTES, after, etag_of, file, locked, moc, now, session, token, user,
};
use crate::{SqlExecutor, SqlStore};

/// As many as may be open.
const OPEN: SessionQuotas = SessionQuotas { per_hour: None, open: Some(2), bytes: None };

pub async fn renews_a_lock_for_its_holder_only(database: &impl Database) {
    let store = &database.store().await;
    let (session, _, holder) = locked(store).await;
    let locked_at = async || store.session(session.id).await.unwrap().expect("the session").locked_at();
    assert!(!store.renew_lock(session.id, token(), after(5)).await.unwrap());
    assert_eq!(locked_at().await, now());
    assert!(store.renew_lock(session.id, holder, after(5)).await.unwrap());
    assert_eq!(locked_at().await, after(5));
    // Whatever the clock shows, a renewal is seen.
    assert!(store.renew_lock(session.id, holder, after(-100)).await.unwrap());
    assert_eq!(locked_at().await, after(6));
    assert!(!store.lock_session(session.id, token(), after(100), after(5)).await.unwrap());
    let next = token();
    assert!(store.lock_session(session.id, next, after(100), after(6)).await.unwrap());
    assert!(!store.renew_lock(session.id, holder, after(101)).await.unwrap());
    store.unlock_session(session.id, next).await.unwrap();
    assert!(!store.renew_lock(session.id, next, after(102)).await.unwrap());
    // A session that is cleared is renewed likewise.
    assert!(store.cancel_session(session.id).await.unwrap());
    assert!(store.lock_clearing(session.id, next, after(103), after(-1)).await.unwrap());
    assert!(!store.renew_lock(session.id, holder, after(104)).await.unwrap());
    assert!(store.renew_lock(session.id, next, after(104)).await.unwrap());
    assert!(!store.lock_clearing(session.id, holder, after(200), after(103)).await.unwrap());
}

fn session_of(user: &UserId) -> Session {
    Session { user: user.clone(), ..session() }
}

/// A file of so many whole parts.
fn sized(session: &Session, name: &str, parts: u64) -> File {
    let size_bytes = parts * PART_BYTES;
    let plan = PartPlan::new(size_bytes, PART_BYTES).expect("a plan");
    File { size_bytes, plan, ..file(session, name, parts) }
}

fn is_over(opened: &Opened) -> bool {
    matches!(opened, Opened::OverQuota(ErrorKind::RateLimitExceeded { quota: Quota::OpenSessions, limit: 2, .. }))
}

pub async fn opens_no_more_sessions_than_allowed_at_once(database: &impl Database) {
    for _ in 0..8 {
        let user = user();
        let opened = database
            .concurrently(CLIENTS, async |store, _| store.open_session(&session_of(&user), &OPEN).await.unwrap())
            .await;
        let done = opened.iter().filter(|opened| **opened == Opened::Done).count();
        assert_eq!(done, 2, "{opened:?}");
        assert!(opened.iter().all(|opened| *opened == Opened::Done || is_over(opened)), "{opened:?}");
        let usage = database.store().await.usage(&user, now()).await.unwrap();
        assert_eq!(usage.open_sessions, 2);
    }
}

pub async fn counts_sessions_that_are_open_only(database: &impl Database) {
    let store = &database.store().await;
    let user = user();
    let open = async |session: &Session| store.open_session(session, &OPEN).await.unwrap();
    let first = Session { expires_at: after(1_000), ..session_of(&user) };
    let second = Session { expires_at: after(2_000), ..session_of(&user) };
    assert_eq!((open(&first).await, open(&second).await), (Opened::Done, Opened::Done));
    // A session whose insertion had no response is there once.
    assert_eq!(open(&second).await, Opened::Done);
    let third = session_of(&user);
    let expected = Quota::OpenSessions.used_up(2, first.expires_at, now());
    assert_eq!(open(&third).await, Opened::OverQuota(expected));
    assert_eq!(open(&session()).await, Opened::Done);
    // The first one expires, whether anybody sweeps it or not; the second is cancelled.
    let later = Session { created_at: after(1_000), expires_at: after(9_000), ..session_of(&user) };
    assert_eq!(open(&later).await, Opened::Done);
    assert!(is_over(&open(&Session { created_at: after(1_000), ..third.clone() }).await));
    assert!(store.cancel_session(second.id).await.unwrap());
    assert_eq!(open(&Session { created_at: after(1_000), ..third }).await, Opened::Done);
    let usage = store.usage(&user, after(1_000)).await.unwrap();
    assert_eq!((usage.open_sessions, store.usage(&user, after(1 << 40)).await.unwrap().open_sessions), (2, 0));
    // One that is being finalized is open, and one that is finalized is not.
    let lock = token();
    assert!(store.lock_session(later.id, lock, after(1_000), after(-1)).await.unwrap());
    assert_eq!(store.usage(&user, after(1_000)).await.unwrap().open_sessions, 2);
    let moc = moc(&later, "A");
    store.insert_moc(&moc, lock, false).await.unwrap();
    store.complete_moc(moc.id, later.id).await.unwrap();
    assert_eq!(store.usage(&user, after(1_000)).await.unwrap().open_sessions, 1);
}

/// Registers files of two sessions of a user at once, and checks that exactly `expected` of them fit.
async fn registers_at_once(database: &impl Database, quotas: FileQuotas, expected: usize, sessions: usize) {
    for _ in 0..8 {
        let user = user();
        let sessions: Vec<Session> = (0..sessions).map(|_| session_of(&user)).collect();
        for session in &sessions {
            database.store().await.insert_session(session).await.unwrap();
        }
        let outcomes = database
            .concurrently(CLIENTS, async |store, client| {
                let session = sessions.get(client % sessions.len()).expect("a session");
                let file = sized(session, &format!("{client}.pdf"), 1);
                store.insert_file(&file, 1_000, &quotas).await.unwrap()
            })
            .await;
        let done = outcomes.iter().filter(|outcome| outcome.is_done()).count();
        assert_eq!(done, expected, "{outcomes:?}");
        let is_known = |outcome: &Registered| matches!(outcome, Registered::Done { .. } | Registered::OverQuota(_));
        assert!(outcomes.iter().all(is_known), "{outcomes:?}");
        let usage = database.store().await.usage(&user, now()).await.unwrap();
        assert_eq!(usage.open_uploads, expected as u64);
        if quotas.day_bytes.is_some() {
            assert_eq!(usage.day_bytes, expected as u64 * PART_BYTES);
        }
    }
}

pub async fn registers_no_more_uploads_than_allowed_at_once(database: &impl Database) {
    registers_at_once(database, FileQuotas { open_uploads: Some(3), ..NO_QUOTAS }, 3, 2).await;
}

pub async fn registers_no_more_bytes_of_a_session_than_allowed_at_once(database: &impl Database) {
    let quotas = FileQuotas { session_bytes: Some(3 * PART_BYTES + 1), ..NO_QUOTAS };
    registers_at_once(database, quotas, 3, 1).await;
}

pub async fn registers_no_more_bytes_of_a_day_than_allowed_at_once(database: &impl Database) {
    let quotas = FileQuotas { day_bytes: Some(5 * PART_BYTES), ..NO_QUOTAS };
    registers_at_once(database, quotas, 5, 2).await;
}

pub async fn counts_bytes_once_and_only_of_what_was_registered(database: &impl Database) {
    let store = &database.store().await;
    let user = user();
    let session = session_of(&user);
    store.insert_session(&session).await.unwrap();
    let quotas = FileQuotas { day_bytes: Some(3 * PART_BYTES), ..NO_QUOTAS };
    let used = async |at: Timestamp| store.usage(&user, at).await.unwrap().day_bytes / PART_BYTES;
    let first = sized(&session, "first.pdf", 1);
    assert!(store.insert_file(&first, FILES_MAX, &quotas).await.unwrap().is_done());
    assert_eq!(used(now()).await, 1);
    // A result that was lost, a duplicate, and a session that is full.
    assert!(store.insert_file(&first, FILES_MAX, &quotas).await.unwrap().is_done());
    let again = sized(&session, "first.pdf", 1);
    assert_eq!(store.insert_file(&again, FILES_MAX, &quotas).await.unwrap(), Registered::Duplicate(first.id));
    assert_eq!(store.insert_file(&sized(&session, "b.pdf", 1), 1, &quotas).await.unwrap(), Registered::Full);
    assert_eq!(used(now()).await, 1);
    // A file that is too large today fits tomorrow, unless it is larger than a whole day's quota.
    let large = sized(&session, "large.pdf", 3);
    let Registered::OverQuota(ErrorKind::RateLimitExceeded { quota: Quota::BytesPerDay, next_allowed_at, .. }) =
        store.insert_file(&large, FILES_MAX, &quotas).await.unwrap()
    else {
        panic!("the quota of the day is not used up")
    };
    assert_eq!((next_allowed_at.as_millis() % QUOTA_DAY_MS, next_allowed_at > now()), (0, true));
    let huge = store.insert_file(&sized(&session, "huge.pdf", 4), FILES_MAX, &quotas).await.unwrap();
    let limit_bytes = 3 * PART_BYTES;
    assert_eq!(huge, Registered::OverQuota(ErrorKind::QuotaExceeded { limit_bytes }));
    let tomorrow = File { created_at: after(QUOTA_DAY_MS), ..large };
    assert!(store.insert_file(&tomorrow, FILES_MAX, &quotas).await.unwrap().is_done());
    assert_eq!(used(after(QUOTA_DAY_MS)).await, 3);
    // A clock that is late counts in the later day.
    let late = store.insert_file(&sized(&session, "late.pdf", 1), FILES_MAX, &quotas).await.unwrap();
    assert!(matches!(late, Registered::OverQuota(ErrorKind::RateLimitExceeded { .. })));
    // What is cancelled was registered nevertheless.
    assert!(store.cancel_session(session.id).await.unwrap());
    assert_eq!(used(after(QUOTA_DAY_MS)).await, 3);
}

/// A file that a finalize has rejected.
async fn rejected(store: &SqlStore<impl SqlExecutor, impl Platform>, session: &Session, name: &str) -> File {
    let file = sized(session, name, 2);
    assert!(store.insert_file(&file, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    assert!(store.complete_file(&file, &etag_of("whole"), now()).await.unwrap().is_some());
    let lock = token();
    assert!(store.lock_session(session.id, lock, now(), after(-1)).await.unwrap());
    let rejection = Rejection::Fault(FileFault::ContentMismatch);
    assert!(store.reject_file(file.id, &rejection, lock).await.unwrap());
    store.unlock_session(session.id, lock).await.unwrap();
    file
}

pub async fn replaces_within_the_quotas(database: &impl Database) {
    let store = &database.store().await;
    let user = user();
    let session = session_of(&user);
    store.insert_session(&session).await.unwrap();
    let mut old = rejected(store, &session, "a.pdf").await;
    let day = FileQuotas { day_bytes: Some(PART_BYTES), ..NO_QUOTAS };
    let total = FileQuotas { session_bytes: Some(3 * PART_BYTES), ..NO_QUOTAS };
    let open = FileQuotas { open_uploads: Some(1), ..NO_QUOTAS };
    let replace = async |old: &File, parts, quotas: &FileQuotas| {
        let new = sized(&session, "a.pdf", parts);
        (store.replace_file(old.id, &new, quotas).await.unwrap(), new)
    };
    // Four parts in place of two are two more, and four in the session.
    let limit_bytes = PART_BYTES;
    let rejection = Registered::OverQuota(ErrorKind::QuotaExceeded { limit_bytes });
    assert_eq!(replace(&old, 4, &day).await.0, rejection);
    let limit_bytes = 3 * PART_BYTES;
    assert_eq!(replace(&old, 4, &total).await.0, Registered::OverQuota(ErrorKind::QuotaExceeded { limit_bytes }));
    let (replaced, new) = replace(&old, 3, &FileQuotas { day_bytes: day.day_bytes, ..total }).await;
    assert!(replaced.is_done());
    assert_eq!(store.usage(&user, now()).await.unwrap().day_bytes, PART_BYTES);
    // Its result was lost: nothing is counted twice.
    assert!(store.replace_file(old.id, &new, &day).await.unwrap().is_done());
    assert_eq!(store.usage(&user, now()).await.unwrap().day_bytes, PART_BYTES);
    // The new one is open, so no other is.
    old = rejected(store, &session, "b.pdf").await;
    let other = sized(&session, "b.pdf", 1);
    let Registered::OverQuota(ErrorKind::RateLimitExceeded { quota: Quota::OpenUploads, .. }) =
        store.replace_file(old.id, &other, &open).await.unwrap()
    else {
        panic!("one is open")
    };
    assert!(store.complete_file(&new, &etag_of("whole"), now()).await.unwrap().is_some());
    let before = store.usage(&user, now()).await.unwrap().day_bytes;
    assert!(store.replace_file(old.id, &other, &open).await.unwrap().is_done());
    // A smaller one counts nothing.
    assert_eq!(store.usage(&user, now()).await.unwrap().day_bytes, before);
}
