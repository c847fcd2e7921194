//! Cases of sweeps.

use std::collections::BTreeSet;

use moc_application::port::{Due, Files, Inserted, Mocs, Outbox, Platform, Resend, Sessions, Settled, Sweeps};
use moc_domain::id::{MocId, SessionId};
use moc_domain::limits::{
    QUOTA_DAY_MS, SESSION_COUNTS_KEPT_MS, SWEEP_AFTER_MS, SWEEP_LEASE_MS, SWEEP_ROWS_MAX, WEBHOOK_DELIVERED_KEPT_MS,
    WEBHOOK_LEASE_MS,
};
use moc_domain::quota::{FileQuotas, window_start};
use moc_domain::session::Status;
use moc_domain::time::Timestamp;

use super::Database;
use super::cases::{CLIENTS, FILES_MAX, NO_QUOTAS, after, due, etag_of, file, locked, moc, now, part, registered};
use crate::{SqlExecutor, SqlStore};

/// What is due so many milliseconds after the end of a case's sessions.
fn due_after(millis: i64) -> Due {
    Due::at(after(60_000 + millis), Some(millis))
}

/// What is due when a case's sessions are swept.
fn due_now() -> Due {
    due_after(SWEEP_AFTER_MS)
}

async fn status(store: &SqlStore<impl SqlExecutor, impl Platform>, id: SessionId) -> Option<Status> {
    store.session(id).await.unwrap().map(|session| session.status)
}

/// A session with a MOC.
async fn published(store: &SqlStore<impl SqlExecutor, impl Platform>) -> (SessionId, MocId) {
    let (session, _, token) = locked(store).await;
    let moc = moc(&session, "A");
    assert_eq!(store.insert_moc(&moc, token, false).await.unwrap(), Inserted::Done);
    assert!(store.complete_moc(moc.id, session.id).await.unwrap().is_some());
    (session.id, moc.id)
}

pub async fn claims_each_ended_session_once_among_sweeps(database: &impl Database) {
    let store = &database.store().await;
    let mut expected = BTreeSet::new();
    for _ in 0..10 {
        expected.insert(registered(store, 1).await.0.id);
    }
    let (finalized, _) = published(store).await;
    let (finalizing, ..) = locked(store).await;
    let (cancelled, _) = registered(store, 1).await;
    assert!(store.cancel_session(cancelled.id).await.unwrap());
    let (extended, _) = registered(store, 1).await;
    store.extend_session(extended.id, after(60_001)).await.unwrap();
    let expired = expected.clone();
    expected.extend([finalized, finalizing.id, cancelled.id]);
    assert!(!store.has_ended_sessions(&due_after(SWEEP_AFTER_MS - 1)).await.unwrap());
    assert_eq!(store.claim_ended(&due_after(SWEEP_AFTER_MS - 1)).await.unwrap(), None);
    assert_eq!(store.backlog(&due_now()).await.unwrap().sessions, expected.len() as u64);
    let claimed = database
        .concurrently(CLIENTS, async |store, _| {
            let mut claimed = Vec::new();
            while let Some(claim) = store.claim_ended(&due_now()).await.unwrap() {
                claimed.push(claim.session);
            }
            claimed
        })
        .await;
    let claimed = claimed.concat();
    assert_eq!(claimed.len(), expected.len());
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(!store.has_ended_sessions(&due_now()).await.unwrap());
    for id in expired {
        assert_eq!(status(store, id).await, Some(Status::Cancelled));
    }
    assert_eq!(status(store, finalized).await, Some(Status::Finalized));
    assert_eq!(status(store, finalizing.id).await, Some(Status::Finalizing));
    assert_eq!(status(store, extended.id).await, Some(Status::Active));
}

pub async fn puts_back_only_the_last_claim_of_a_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, _) = registered(store, 1).await;
    let first = store.claim_ended(&due_now()).await.unwrap().expect("a session");
    let later = |millis| due_after(SWEEP_AFTER_MS + millis);
    assert_eq!(store.claim_ended(&later(SWEEP_LEASE_MS - 1)).await.unwrap(), None);
    let second = store.claim_ended(&later(SWEEP_LEASE_MS)).await.unwrap().expect("the lease has ended");
    assert_eq!((first.session, second.session), (session.id, session.id));
    // The result of the first attempt may have been lost.
    for _ in 0..2 {
        store.put_back(&first, after(0)).await.unwrap();
    }
    assert_eq!(store.claim_ended(&later(SWEEP_LEASE_MS)).await.unwrap(), None);
    store.put_back(&second, second.leased.plus_millis(-1)).await.unwrap();
    assert!(store.has_ended_sessions(&later(2 * SWEEP_LEASE_MS - 1)).await.unwrap());
    assert!(store.claim_ended(&later(2 * SWEEP_LEASE_MS - 1)).await.unwrap().is_some());
}

pub async fn removes_only_sessions_that_are_over_and_cleared(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, SWEEP_ROWS_MAX + 1).await;
    for number in 1..=SWEEP_ROWS_MAX + 1 {
        let size_bytes = file.plan.bytes_of(part(number, 1, "a").number).unwrap();
        store.record_part(file.id, &part(number, size_bytes, "a"), None).await.unwrap().expect("a pending file");
    }
    let (other, _) = registered(store, 1).await;
    let parts = async || store.file_with_parts(session.id, file.id).await.unwrap().map(|(_, _, parts)| parts.len());
    assert!(!store.remove_session(session.id).await.unwrap());
    assert_eq!(parts().await, Some(SWEEP_ROWS_MAX as usize + 1), "an active session stays");
    assert!(store.cancel_session(session.id).await.unwrap());
    // Its parts go, and it stays as long as a file is not cleared.
    assert!(!store.remove_session(session.id).await.unwrap());
    assert_eq!(parts().await, Some(1));
    assert!(!store.remove_session(session.id).await.unwrap());
    assert_eq!(parts().await, Some(0));
    store.clear_files(session.id, &[file.id]).await.unwrap();
    for _ in 0..2 {
        assert!(store.remove_session(session.id).await.unwrap());
    }
    assert_eq!(status(store, session.id).await, None);
    assert_eq!(store.session_with_files(other.id).await.unwrap().expect("another session").1.len(), 1);
}

pub async fn removes_finalized_sessions_without_their_mocs(database: &impl Database) {
    let store = &database.store().await;
    let (session, id) = published(store).await;
    let retired = async |due: Due| store.retired_sessions(&due, 10).await.unwrap();
    assert!(!store.remove_session(session).await.unwrap());
    assert_eq!(retired(due_now()).await, []);
    let (active, _) = registered(store, 1).await;
    for id in [session, active.id] {
        store.mark_swept(id).await.unwrap();
    }
    assert!(!store.remove_session(active.id).await.unwrap());
    assert_eq!(retired(due_now()).await, [session]);
    assert_eq!(store.backlog(&due_now()).await.unwrap().retired, 1);
    assert_eq!(retired(Due::at(after(60_000 + SWEEP_AFTER_MS), Some(SWEEP_AFTER_MS + 1))).await, []);
    let kept = Due::at(after(60_000 + SWEEP_AFTER_MS), None);
    assert_eq!((retired(kept).await, store.backlog(&kept).await.unwrap().retired), (Vec::new(), 0));
    assert!(store.remove_session(session).await.unwrap());
    assert_eq!(status(store, session).await, None);
    assert_eq!(store.moc(id).await.unwrap().expect("the MOC").files.len(), 1);
}

pub async fn removes_old_counts_and_delivered_webhooks(database: &impl Database) {
    let store = &database.store().await;
    let user = registered(store, 1).await.0.user;
    store.count_session(&user, now()).await.unwrap();
    let (session, _) = registered(store, 1).await;
    let quotas = FileQuotas { day_bytes: Some(2), ..NO_QUOTAS };
    assert!(store.insert_file(&file(&session, "counted.pdf", 1), FILES_MAX, &quotas).await.unwrap().is_done());
    let day_bytes = async || store.usage(&session.user, now()).await.unwrap().day_bytes;
    let [delivered, pending] = [due(store).await.id, due(store).await.id];
    let claim = store.claim(delivered, now()).await.unwrap().expect("a claim");
    assert!(store.settle(&claim, Settled::Delivered, None).await.unwrap());
    let at = |millis: i64| Due::at(after(millis), None);
    let delivered_at = WEBHOOK_LEASE_MS + WEBHOOK_DELIVERED_KEPT_MS;
    for due in [at(SESSION_COUNTS_KEPT_MS - 1), at(delivered_at - 1)] {
        let backlog = store.backlog(&due).await.unwrap();
        let is_old = |number: u64, kept: i64| u64::from(due == at(delivered_at - 1) && kept < delivered_at) * number;
        // The day began earlier.
        let days = u64::from(due.counts >= window_start(now(), QUOTA_DAY_MS));
        assert_eq!((backlog.counts, backlog.deliveries), (is_old(1, SESSION_COUNTS_KEPT_MS) + days, 0));
    }
    let day_ms = now().millis_since(window_start(now(), QUOTA_DAY_MS));
    assert_eq!(store.remove_counts(&at(SESSION_COUNTS_KEPT_MS - day_ms - 1)).await.unwrap(), 0);
    assert_eq!((store.remove_counts(&at(SESSION_COUNTS_KEPT_MS - 1)).await.unwrap(), day_bytes().await), (1, 0));
    assert_eq!(store.remove_counts(&at(SESSION_COUNTS_KEPT_MS)).await.unwrap(), 1);
    assert_eq!(store.count_session(&user, now()).await.unwrap(), 1, "the count begins anew");
    assert_eq!(store.remove_deliveries(&at(delivered_at - 1)).await.unwrap(), 0);
    assert_eq!(store.backlog(&at(delivered_at)).await.unwrap().deliveries, 1);
    assert_eq!(store.remove_deliveries(&at(delivered_at)).await.unwrap(), 1);
    assert_eq!(store.pending().await.unwrap(), 1);
    assert!(store.claim(pending, after(delivered_at)).await.unwrap().is_some());
}

pub async fn resends_failed_deliveries_whose_lease_is_over(database: &impl Database) {
    let store = &database.store().await;
    let mut failed = Vec::new();
    for millis in 0..3 {
        let id = due(store).await.id;
        let claim = store.claim(id, after(millis)).await.unwrap().expect("a claim");
        assert!(store.settle(&claim, Settled::Failed, Some("503")).await.unwrap());
        failed.push((id, claim));
    }
    let pending = due(store).await.id;
    assert!(store.claim(pending, after(0)).await.unwrap().is_some());
    let over = after(WEBHOOK_LEASE_MS + 2);
    let resend = async |which: Resend, now: Timestamp| store.resend(&which, now).await.unwrap();
    let [(first, _), (second, _), (third, _)] = failed[..] else { panic!("three") };
    assert_eq!(store.backlog(&due_now()).await.unwrap().failed_deliveries, 3);
    assert_eq!(resend(Resend::Of(Vec::new()), over).await, 0);
    assert_eq!(resend(Resend::Of(vec![third, pending]), after(WEBHOOK_LEASE_MS + 1)).await, 0);
    assert_eq!(resend(Resend::Of(vec![third, pending]), over).await, 1);
    assert_eq!(resend(Resend::Oldest(1), over).await, 1);
    assert_eq!(store.claim(second, over).await.unwrap(), None);
    for id in [first, third] {
        let claim = store.claim(id, over).await.unwrap().expect("it is due");
        assert_eq!(claim.attempt, 1);
    }
    assert_eq!(resend(Resend::Oldest(10), over).await, 1);
    assert_eq!(store.backlog(&due_now()).await.unwrap().failed_deliveries, 0);
    // It is as one that was never attempted.
    let claim = store.claim(second, over).await.unwrap().expect("it is due");
    assert_eq!(claim.attempt, 1);
    assert!(store.settle(&claim, Settled::Delivered, None).await.unwrap());
}

/// A file that a client still completes belongs to a session that no sweep claims.
pub async fn completes_no_file_of_a_claimed_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    store.record_part(file.id, &part(1, 1, "a"), None).await.unwrap().expect("a pending file");
    assert!(store.claim_ended(&due_now()).await.unwrap().is_some());
    assert!(store.complete_file(&file, &etag_of("whole-1"), now()).await.unwrap().is_none());
    assert!(store.begin_completion(file.id, now(), after(-1)).await.unwrap().is_none());
    assert_eq!(status(store, session.id).await, Some(Status::Cancelled));
}
