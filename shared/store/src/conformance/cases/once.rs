//! The cases of what is done once: checks of a file, its removal from the bucket, and thumbnails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use moc_application::port::{Files, Inserted, Mocs, Platform, Sessions, ThumbnailQueue};
use moc_domain::content::Content;
use moc_domain::limits::THUMBNAIL_LEASE_MS;
use moc_domain::moc::Moc;
use moc_domain::thumbnail::LastAttempt;

use super::{CLIENTS, Database, FILES_MAX, NO_QUOTAS, after, etag_of, file, locked, moc, now, registered, token};
use crate::{SqlExecutor, SqlStore};

pub async fn keeps_what_was_verified_of_completed_files(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    let verified = async || store.file(session.id, file.id).await.unwrap().expect("the file").1.verified_etag;
    let etag = etag_of("whole-1");
    store.verify_file(file.id, &etag).await.unwrap();
    assert_eq!(verified().await, None);
    assert!(store.complete_file(&file, &etag, now()).await.unwrap().is_some());
    store.verify_file(file.id, &etag).await.unwrap();
    assert_eq!(verified().await, Some(etag));
}

pub async fn publishes_a_file_as_what_its_bytes_are(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    let (first, second) = (etag_of("whole-1"), etag_of("copy"));
    let now_is = async || {
        let (_, file) = store.file(session.id, file.id).await.unwrap().expect("the file");
        (file.content, file.etag)
    };
    store.retype_file(file.id, Content::WebP, &second).await.unwrap();
    assert_eq!(now_is().await, (file.content, None));
    assert!(store.complete_file(&file, &first, now()).await.unwrap().is_some());
    store.retype_file(file.id, Content::WebP, &second).await.unwrap();
    store.retype_file(file.id, Content::WebP, &second).await.unwrap();
    assert_eq!(now_is().await, (Content::WebP, Some(second.clone())));
    let holder = token();
    assert!(store.lock_session(session.id, holder, now(), after(-1)).await.unwrap());
    let moc = moc(&session, "retyped");
    assert_eq!(store.insert_moc(&moc, holder, false).await.unwrap(), Inserted::Done);
    let moc = store.complete_moc(moc.id, session.id).await.unwrap().expect("the MOC").moc;
    assert_eq!((moc.files[0].content, &moc.files[0].etag), (Content::WebP, &second));
}

pub async fn clears_files_of_cancelled_sessions_only(database: &impl Database) {
    let store = &database.store().await;
    let (session, first) = registered(store, 1).await;
    let second = file(&session, "second.pdf", 1);
    assert!(store.insert_file(&second, FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    let (_, other) = registered(store, 1).await;
    let uncleared = async || {
        let files = store.uncleared_files(session.id).await.unwrap();
        files.into_iter().map(|file| file.id).collect::<BTreeSet<_>>()
    };
    store.clear_files(session.id, &[first.id]).await.unwrap();
    assert_eq!(uncleared().await, BTreeSet::from([first.id, second.id]));
    assert!(store.cancel_session(session.id).await.unwrap());
    store.clear_files(session.id, &[first.id, other.id]).await.unwrap();
    assert_eq!(uncleared().await, BTreeSet::from([second.id]));
    store.clear_files(session.id, &[first.id, second.id]).await.unwrap();
    assert!(uncleared().await.is_empty());
    assert_eq!(store.session_with_files(session.id).await.unwrap().expect("the session").1.len(), 2);
    assert_eq!(store.uncleared_files(other.session_id).await.unwrap().len(), 1);
}

pub async fn lets_one_request_clear_a_cancelled_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, _) = registered(store, 1).await;
    assert!(!store.lock_clearing(session.id, token(), now(), now()).await.unwrap());
    assert!(store.cancel_session(session.id).await.unwrap());
    let locked = database
        .concurrently(CLIENTS, async |store, _| {
            let token = token();
            store.lock_clearing(session.id, token, now(), after(-1)).await.unwrap().then_some(token)
        })
        .await;
    let holders: Vec<_> = locked.into_iter().flatten().collect();
    let [first] = holders[..] else { panic!("{} have the lock", holders.len()) };
    let second = token();
    store.unlock_clearing(session.id, second).await.unwrap();
    assert!(!store.lock_clearing(session.id, second, after(10), after(-1)).await.unwrap());
    // The result of the first attempt may have been lost; the lock of a crashed request goes stale.
    assert!(store.lock_clearing(session.id, first, now(), after(-1)).await.unwrap());
    assert!(store.lock_clearing(session.id, second, after(10), now()).await.unwrap());
    store.unlock_clearing(session.id, second).await.unwrap();
    assert!(store.lock_clearing(session.id, first, after(20), after(-1)).await.unwrap());
}

/// A MOC that is published.
async fn published(store: &SqlStore<impl SqlExecutor, impl Platform>) -> Moc {
    let (session, _, token) = locked(store).await;
    let moc = moc(&session, "A");
    assert_eq!(store.insert_moc(&moc, token, false).await.unwrap(), Inserted::Done);
    moc
}

pub async fn makes_one_thumbnail_at_a_time(database: &impl Database) {
    let mut expected = {
        let store = &database.store().await;
        let mut ids = Vec::new();
        for _ in 0..CLIENTS {
            ids.push(published(store).await.id);
        }
        ids
    };
    let (mocs, working) = (expected.clone(), &AtomicU64::new(0));
    let made = database
        .concurrently(CLIENTS, async |store, client| {
            let (holder, mut made) = (token(), Vec::new());
            store.want_thumbnail(mocs[client], now()).await.unwrap();
            loop {
                while let Some(claim) = store.claim_thumbnail(holder, mocs[client], now()).await.unwrap() {
                    assert_eq!((working.fetch_add(1, Ordering::SeqCst), claim.attempt), (0, 1));
                    store.set_thumbnail(claim.moc, "thumbnail.jpg").await.unwrap();
                    made.push(claim.moc);
                    working.fetch_sub(1, Ordering::SeqCst);
                }
                if !store.leave_thumbnails(holder, now()).await.unwrap() {
                    return made;
                }
            }
        })
        .await;
    let mut made = made.concat();
    made.sort_unstable();
    expected.sort_unstable();
    assert_eq!(made, expected);
}

pub async fn attempts_a_thumbnail_again_when_it_is_due(database: &impl Database) {
    let store = &database.store().await;
    let moc = published(store).await.id;
    let [first, second] = [token(), token()];
    assert_eq!(store.claim_thumbnail(first, moc, now()).await.unwrap(), None);
    // Nobody has made it due, but whoever looks at the MOC can.
    assert_eq!(store.can_make_thumbnail(moc, now()).await.unwrap(), Some(LastAttempt::Unknown));
    store.want_thumbnail(moc, now()).await.unwrap();
    assert_eq!(store.can_make_thumbnail(moc, now()).await.unwrap(), Some(LastAttempt::Unknown));
    let claim = store.claim_thumbnail(first, moc, now()).await.unwrap().expect("a claim");
    assert_eq!((claim.moc, claim.attempt), (moc, 1));
    assert_eq!(store.can_make_thumbnail(moc, now()).await.unwrap(), None);
    // No slot is free for another one.
    let waiting = published(store).await.id;
    assert_eq!(store.can_make_thumbnail(waiting, now()).await.unwrap(), None);
    // The lease of the thumbnail, and that of the slot.
    assert_eq!(store.claim_thumbnail(first, moc, after(THUMBNAIL_LEASE_MS - 1)).await.unwrap(), None);
    assert_eq!(store.claim_thumbnail(second, moc, after(THUMBNAIL_LEASE_MS - 1)).await.unwrap(), None);
    let ended = after(THUMBNAIL_LEASE_MS);
    assert_eq!(store.can_make_thumbnail(moc, ended).await.unwrap(), Some(LastAttempt::Unknown));
    let again = store.claim_thumbnail(second, moc, ended).await.unwrap().expect("a claim");
    assert_eq!(again.attempt, 2);
    // The first one's lease has ended: it has no slot, and changes nothing.
    store.end_thumbnail(claim, None, "late").await.unwrap();
    assert!(!store.leave_thumbnails(first, ended).await.unwrap());
    let due = ended.plus_millis(5_000);
    store.end_thumbnail(again, Some(due), "503").await.unwrap();
    assert!(!store.leave_thumbnails(second, ended).await.unwrap());
    store.want_thumbnail(moc, ended).await.unwrap();
    assert_eq!(store.can_make_thumbnail(moc, due.plus_millis(-1)).await.unwrap(), None);
    assert_eq!(store.can_make_thumbnail(moc, due).await.unwrap(), Some(LastAttempt::Failed));
    assert_eq!(store.claim_thumbnail(first, moc, due.plus_millis(-1)).await.unwrap(), None);
    let last = store.claim_thumbnail(first, moc, due).await.unwrap().expect("a claim");
    assert_eq!(last.attempt, 3);
    // It was interrupted: that an earlier one has failed says nothing of it.
    let lost = due.plus_millis(THUMBNAIL_LEASE_MS);
    assert_eq!(store.can_make_thumbnail(moc, lost).await.unwrap(), Some(LastAttempt::Unknown));
    assert!(!store.moc(moc).await.unwrap().expect("the MOC").thumbnail_given_up);
    store.end_thumbnail(last, None, "no PNG").await.unwrap();
    assert!(store.moc(moc).await.unwrap().expect("the MOC").thumbnail_given_up);
    let later = due.plus_millis(THUMBNAIL_LEASE_MS);
    assert_eq!(store.can_make_thumbnail(moc, later).await.unwrap(), None);
    store.want_thumbnail(moc, later).await.unwrap();
    assert_eq!(store.claim_thumbnail(second, moc, later).await.unwrap(), None);
    // A MOC that has a thumbnail wants no other one.
    let other = published(store).await.id;
    store.set_thumbnail(other, "thumbnail.jpg").await.unwrap();
    store.want_thumbnail(other, later).await.unwrap();
    assert_eq!(store.claim_thumbnail(second, moc, later).await.unwrap(), None);
}

pub async fn claims_the_wanted_thumbnail_before_those_due_longer(database: &impl Database) {
    let store = &database.store().await;
    let mut mocs = Vec::new();
    for due in [-20, -10, 0] {
        let moc = published(store).await.id;
        store.want_thumbnail(moc, after(due)).await.unwrap();
        mocs.push(moc);
    }
    let holder = token();
    // The last one, and once it is not due, the others as they became due.
    for expected in [2, 0, 1] {
        let claim = store.claim_thumbnail(holder, mocs[2], now()).await.unwrap().expect("a claim");
        assert_eq!((claim.moc, claim.attempt), (mocs[expected], 1));
    }
    assert_eq!(store.claim_thumbnail(holder, mocs[2], now()).await.unwrap(), None);
}
