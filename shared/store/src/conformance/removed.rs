//! Cases of files that are taken out of their session.

use moc_application::port::{Files, Platform, Registered, Sessions};
use moc_domain::file::File;

use super::Database;
use super::cases::{CLIENTS, FILES_MAX, NO_QUOTAS, PART_BYTES, after, etag_of, file, now, part, registered, token};
use crate::{SqlExecutor, SqlStore};

async fn left(store: &SqlStore<impl SqlExecutor, impl Platform>, of: &File) -> Vec<File> {
    store.uncleared_files(of.session_id).await.unwrap().into_iter().filter(|file| file.id == of.id).collect()
}

pub async fn takes_a_file_out_and_keeps_what_is_to_be_cleared(database: &impl Database) {
    let store = &database.store().await;
    for is_completed in [false, true] {
        let (session, old) = registered(store, 2).await;
        store.record_part(old.id, &part(1, PART_BYTES, "one"), None).await.unwrap();
        let begun = store.begin_completion(old.id, now(), after(-1)).await.unwrap().expect("a pending file");
        if is_completed {
            assert!(store.complete_file(&old, &etag_of("whole-2"), now()).await.unwrap().is_some());
        }
        let first = store.remove_file(session.id, old.id, FILES_MAX).await.unwrap().expect("the file");
        let File { key, upload_id, completing_at, .. } = &first.file;
        assert_eq!((first.file.id, key, upload_id), (old.id, &old.key, &old.upload_id));
        assert_eq!((first.file.is_completed(), *completing_at, first.again), (is_completed, Some(begun.at), false));
        assert_eq!(store.file(session.id, old.id).await.unwrap(), None);
        // Until the bucket is cleared, as often as it is asked for.
        let second = store.remove_file(session.id, old.id, FILES_MAX).await.unwrap().expect("the file");
        assert_eq!((second.again, &second.file), (true, &first.file));
        assert_eq!(left(store, &old).await, std::slice::from_ref(&first.file));
        // A registration whose result was lost does not bring it back; its name and its place are free.
        assert_eq!(store.insert_file(&old, 1, &NO_QUOTAS).await.unwrap(), Registered::NotActive);
        let other = file(&session, &old.name, 1);
        assert!(store.insert_file(&other, 1, &NO_QUOTAS).await.unwrap().is_done());
        assert!(store.forget_file(other.id, None).await.unwrap());
        store.clear_files(session.id, &[old.id]).await.unwrap();
        assert_eq!(store.remove_file(session.id, old.id, FILES_MAX).await.unwrap(), None);
        assert!(left(store, &old).await.is_empty());
        // Its parts do not come back with its id.
        assert!(store.insert_file(&old, 1, &NO_QUOTAS).await.unwrap().is_done());
        let (_, _, parts) = store.file_with_parts(session.id, old.id).await.unwrap().expect("the file");
        assert!(parts.is_empty());
    }
}

pub async fn takes_no_file_out_of_another_or_inactive_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    let (other, _) = registered(store, 1).await;
    assert_eq!(store.remove_file(other.id, file.id, FILES_MAX).await.unwrap(), None);
    let token = token();
    assert!(store.lock_session(session.id, token, now(), after(-1_000)).await.unwrap());
    assert_eq!(store.remove_file(session.id, file.id, FILES_MAX).await.unwrap(), None);
    store.unlock_session(session.id, token).await.unwrap();
    assert!(store.cancel_session(session.id).await.unwrap());
    assert_eq!(store.remove_file(session.id, file.id, FILES_MAX).await.unwrap(), None);
    assert!(store.file(session.id, file.id).await.unwrap().is_some());
    store.delete_session(session.id).await.unwrap();
}

pub async fn deletes_what_is_to_be_cleared_with_its_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    assert!(store.remove_file(session.id, file.id, FILES_MAX).await.unwrap().is_some());
    store.delete_session(session.id).await.unwrap();
    assert!(left(store, &file).await.is_empty());
}

pub async fn takes_no_more_files_out_than_may_be_uncleared(database: &impl Database) {
    let store = &database.store().await;
    let (session, first) = registered(store, 1).await;
    let second = file(&session, "second.pdf", 1);
    assert!(store.insert_file(&second, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    assert!(store.remove_file(session.id, first.id, 1).await.unwrap().is_some());
    assert_eq!(store.remove_file(session.id, second.id, 1).await.unwrap(), None);
    assert!(store.file(session.id, second.id).await.unwrap().is_some());
    assert!(store.remove_file(session.id, first.id, 1).await.unwrap().is_some_and(|removed| removed.again));
    store.clear_files(session.id, &[first.id]).await.unwrap();
    assert!(store.remove_file(session.id, second.id, 1).await.unwrap().is_some());
}

/// Every client takes the file out, and one of them locks the session and reads its files: they stay.
pub async fn takes_a_file_out_once_and_not_under_a_lock(database: &impl Database) {
    for _ in 0..CLIENTS {
        let (session, old) = registered(&database.store().await, 1).await;
        let outcomes = database
            .concurrently(CLIENTS, async |store, client| {
                if client > 0 {
                    return (store.remove_file(session.id, old.id, FILES_MAX).await.unwrap(), None);
                }
                assert!(store.lock_session(session.id, token(), now(), after(-1_000)).await.unwrap());
                (None, Some(store.session_with_files(session.id).await.unwrap().expect("the session").1))
            })
            .await;
        let files = database.store().await.session_with_files(session.id).await.unwrap().expect("the session").1;
        let locked = outcomes.iter().find_map(|(_, files)| files.as_ref());
        assert_eq!(locked, Some(&files));
        let removed: Vec<_> = outcomes.iter().filter_map(|(removed, _)| removed.as_ref()).collect();
        assert_eq!(removed.iter().filter(|removed| !removed.again).count(), usize::from(files.is_empty()));
        assert_eq!(removed.is_empty(), !files.is_empty());
    }
}

/// A part that is recorded while its file is taken out belongs to no file.
pub async fn records_no_part_of_a_file_that_is_taken_out(database: &impl Database) {
    for _ in 0..CLIENTS {
        let (session, old) = registered(&database.store().await, 2).await;
        database
            .concurrently(CLIENTS, async |store, client| {
                if client == 0 {
                    assert!(store.remove_file(session.id, old.id, FILES_MAX).await.unwrap().is_some());
                } else {
                    let part = part(1, PART_BYTES, &format!("part-{client}"));
                    let _ = store.record_part(old.id, &part, None).await.unwrap();
                }
            })
            .await;
        let store = &database.store().await;
        store.clear_files(session.id, &[old.id]).await.unwrap();
        let again = File { id: old.id, ..file(&session, "again.pdf", 2) };
        assert!(store.insert_file(&again, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
        let (_, found, parts) = store.file_with_parts(session.id, old.id).await.unwrap().expect("the file");
        assert_eq!((found.parts_completed, parts), (0, vec![]));
    }
}
