//! Cases of records that are deleted or replaced while others change them.

use moc_application::port::{Completing, Files, Platform, Registered, Sessions};
use moc_domain::checksum::Checksums;
use moc_domain::error::FileFault;
use moc_domain::file::{File, Rejection};
use moc_domain::session::Session;

use super::Database;
use super::cases::{CLIENTS, FILES_MAX, NO_QUOTAS, PART_BYTES, after, etag_of, file, now, part, registered, token};
use crate::{SqlExecutor, SqlStore};

const REJECTION: Rejection = Rejection::Fault(FileFault::ContentMismatch);

/// Rejects a file as a finalize does, under the session's lock.
async fn rejects(store: &SqlStore<impl SqlExecutor, impl Platform>, file: &File) -> bool {
    let token = token();
    assert!(store.lock_session(file.session_id, token, now(), after(-1_000)).await.unwrap());
    let is_rejected = store.reject_file(file.id, &REJECTION, token).await.unwrap();
    store.unlock_session(file.session_id, token).await.unwrap();
    is_rejected
}

/// A session with one rejected file of two parts.
async fn rejected(store: &SqlStore<impl SqlExecutor, impl Platform>) -> (Session, File) {
    let (session, file) = registered(store, 2).await;
    for part in [part(1, PART_BYTES, "one"), part(2, 1, "two")] {
        store.record_part(file.id, &part, Some([7; 32])).await.unwrap();
    }
    store.begin_completion(file.id, now(), after(-1)).await.unwrap();
    assert!(store.complete_file(&file, &etag_of("whole-2"), now()).await.unwrap().is_some());
    assert!(rejects(store, &file).await);
    (session, file)
}

pub async fn counts_completions_that_may_still_run(database: &impl Database) {
    let (_, file) = registered(&database.store().await, 1).await;
    let begun = database
        .concurrently(CLIENTS, async |store, _| {
            store.begin_completion(file.id, now(), after(-10)).await.unwrap().expect("a pending file")
        })
        .await;
    let mut at: Vec<i64> = begun.iter().map(|begun| begun.at.as_millis()).collect();
    let mut requests: Vec<u64> = begun.iter().map(|begun| begun.requests).collect();
    at.sort_unstable();
    requests.sort_unstable();
    let clients = CLIENTS as i64;
    assert_eq!(at, (0..clients).map(|number| now().as_millis() + number).collect::<Vec<_>>());
    assert_eq!(requests, (1..=CLIENTS as u64).collect::<Vec<_>>());
    let store = &database.store().await;
    let begin = async |now, over_before| store.begin_completion(file.id, now, over_before).await.unwrap();
    // The last one began so many milliseconds after the first.
    let last = after(clients - 1);
    let completing = |at, requests| Some(Completing { at, requests });
    assert_eq!(begin(after(20), last.plus_millis(-1)).await, completing(after(20), CLIENTS as u64 + 1));
    assert_eq!(begin(after(40), after(20)).await, completing(after(40), 1));
    // The clock of another instance is behind.
    assert_eq!(begin(after(30), after(10)).await, completing(after(41), 2));
    store.end_completion(file.id).await.unwrap();
    assert_eq!(begin(after(30), after(10)).await, completing(after(30), 1));
    assert!(store.complete_file(&file, &etag_of("whole-1"), now()).await.unwrap().is_some());
    assert_eq!(begin(after(50), after(10)).await, None);
}

pub async fn completes_with_the_checksum_that_the_caller_has_seen(database: &impl Database) {
    let store = &database.store().await;
    for seen in [Some([7; 32]), None] {
        let (session, file) = registered(store, 1).await;
        store.record_part(file.id, &part(1, 1, "a"), Some([7; 32])).await.unwrap();
        store.record_part(file.id, &part(1, 1, "late"), Some([8; 32])).await.unwrap();
        let file = File { last_part_sha256: seen, ..file };
        assert!(store.complete_file(&file, &etag_of("whole-1"), now()).await.unwrap().is_some());
        let (_, completed) = store.file(session.id, file.id).await.unwrap().expect("the file");
        assert_eq!(completed.last_part_sha256, seen);
    }
}

pub async fn forgets_pending_files_only(database: &impl Database) {
    let store = &database.store().await;
    let (session, pending) = registered(store, 1).await;
    store.record_part(pending.id, &part(1, 1, "a"), None).await.unwrap();
    assert!(store.forget_file(pending.id, None).await.unwrap());
    assert!(!store.forget_file(pending.id, None).await.unwrap());
    // The same id, so that parts that were left behind would be found again.
    assert!(store.insert_file(&pending, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    let (_, _, parts) = store.file_with_parts(session.id, pending.id).await.unwrap().expect("the file");
    assert!(parts.is_empty());

    assert!(!rejects(store, &pending).await);
    assert!(!store.file(session.id, pending.id).await.unwrap().expect("the file").1.rejected);
    assert!(store.complete_file(&pending, &etag_of("whole-1"), now()).await.unwrap().is_some());
    assert!(!store.forget_file(pending.id, None).await.unwrap());
    assert!(rejects(store, &pending).await);
    let (_, rejected) = store.file(session.id, pending.id).await.unwrap().expect("the file");
    assert_eq!((rejected.rejected, rejected.rejection), (true, Some(REJECTION)));
    assert!(!store.forget_file(pending.id, None).await.unwrap());
}

pub async fn forgets_no_file_whose_completion_has_begun_since(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    let begin = async || store.begin_completion(file.id, now(), after(-1)).await.unwrap().expect("a pending file");
    let first = begin().await;
    assert!(!store.forget_file(file.id, None).await.unwrap());
    // In the same millisecond.
    let second = begin().await;
    assert!(!store.forget_file(file.id, Some(first.at)).await.unwrap());
    let (_, found) = store.file(session.id, file.id).await.unwrap().expect("the file");
    assert_eq!(found.completing_at, Some(second.at));
    assert!(store.forget_file(file.id, Some(second.at)).await.unwrap());
    assert_eq!(store.file(session.id, file.id).await.unwrap(), None);
}

pub async fn replaces_a_rejected_file(database: &impl Database) {
    let store = &database.store().await;
    let (session, old) = rejected(store).await;
    let new = File { checksums: Checksums::default(), ..file(&session, &old.name, 3) };
    let files = async || store.session_with_files(session.id).await.unwrap().expect("the session").1;
    // Its result may have been lost.
    for _ in 0..2 {
        assert!(store.replace_file(old.id, &new, &NO_QUOTAS).await.unwrap().is_done());
        assert_eq!(files().await, std::slice::from_ref(&new));
    }
    assert_eq!(store.begin_completion(new.id, now(), after(-1)).await.unwrap().map(|begun| begun.requests), Some(1));
    store.end_completion(new.id).await.unwrap();
    // It is like any other, and so is its id.
    let third = file(&session, &old.name, 1);
    assert_eq!(store.replace_file(new.id, &third, &NO_QUOTAS).await.unwrap(), Registered::NotActive);
    assert_eq!(store.replace_file(old.id, &third, &NO_QUOTAS).await.unwrap(), Registered::Duplicate(new.id));
    assert_eq!(files().await, std::slice::from_ref(&new));
    assert!(store.forget_file(new.id, None).await.unwrap());
    assert!(store.insert_file(&old, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    let (_, _, parts) = store.file_with_parts(session.id, old.id).await.unwrap().expect("the file");
    assert!(parts.is_empty());
}

pub async fn replaces_no_file_of_a_session_that_is_not_active(database: &impl Database) {
    let store = &database.store().await;
    let (session, old) = rejected(store).await;
    let new = file(&session, &old.name, 1);
    let token = token();
    assert!(store.lock_session(session.id, token, now(), after(-1_000)).await.unwrap());
    assert_eq!(store.replace_file(old.id, &new, &NO_QUOTAS).await.unwrap(), Registered::NotActive);
    assert!(store.file(session.id, old.id).await.unwrap().expect("the file").1.is_completed());
    store.unlock_session(session.id, token).await.unwrap();
    assert!(store.replace_file(old.id, &new, &NO_QUOTAS).await.unwrap().is_done());
}

/// Every client replaces the file, and one of them locks the session and reads its files: they stay.
pub async fn replaces_once_and_not_under_a_lock(database: &impl Database) {
    for _ in 0..CLIENTS {
        let (session, old) = rejected(&database.store().await).await;
        let outcomes = database
            .concurrently(CLIENTS, async |store, client| {
                if client > 0 {
                    let new = file(&session, &old.name, 1);
                    return (Some(store.replace_file(old.id, &new, &NO_QUOTAS).await.unwrap()), Vec::new());
                }
                assert!(store.lock_session(session.id, token(), now(), after(-1_000)).await.unwrap());
                (None, store.session_with_files(session.id).await.unwrap().expect("the session").1)
            })
            .await;
        let files = database.store().await.session_with_files(session.id).await.unwrap().expect("the session").1;
        assert_eq!(files.len(), 1);
        let (replaced, locked): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(outcome, _)| outcome.is_some());
        assert_eq!(locked[0].1, files);
        let done = replaced.iter().filter(|(outcome, _)| outcome.as_ref().is_some_and(Registered::is_done)).count();
        assert_eq!(done, usize::from(files[0].id != old.id));
    }
}
