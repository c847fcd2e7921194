//! Cases of the numbers that the changes of a session have.

use std::collections::BTreeMap;

use moc_application::port::{Files, Inserted, Mocs, Platform, Registered, Sessions};
use moc_domain::content::Content;
use moc_domain::error::FileFault;
use moc_domain::file::{File, Progress, Rejection};
use moc_domain::id::SessionId;
use moc_domain::session::{FIRST_SEQUENCE, Session, SessionProgress, Status};

use super::Database;
use super::cases::{
    CLIENTS, FILES_MAX, NO_QUOTAS, PART_BYTES, after, etag_of, file, locked, moc, now, part, registered, session, token,
};
use crate::{SqlExecutor, SqlStore};

async fn sequence(store: &SqlStore<impl SqlExecutor, impl Platform>, id: SessionId) -> u64 {
    store.progress(id).await.unwrap().expect("the session").sequence
}

/// Fails unless a step has taken a number since `before`; returns the session's number.
async fn changed(store: &SqlStore<impl SqlExecutor, impl Platform>, id: SessionId, before: &mut u64) -> u64 {
    let sequence = sequence(store, id).await;
    assert!(sequence > *before, "{sequence} after {before}");
    *before = sequence;
    sequence
}

pub async fn shows_whether_a_session_has_changed(database: &impl Database) {
    let store = &database.store().await;
    let session = session();
    assert_eq!(store.progress(session.id).await.unwrap(), None);
    store.insert_session(&session).await.unwrap();
    let Session { status, expires_at, user, moc_id, .. } = session.clone();
    let progress = SessionProgress { sequence: FIRST_SEQUENCE, status, expires_at, user, moc_id };
    assert_eq!(store.progress(session.id).await.unwrap().as_ref(), Some(&progress));
    // An extension is seen, and takes no number.
    store.extend_session(session.id, after(90_000)).await.unwrap();
    let extended = SessionProgress { expires_at: after(90_000), ..progress.clone() };
    assert_eq!(store.progress(session.id).await.unwrap(), Some(extended));
    assert!(store.cancel_session(session.id).await.unwrap());
    let cancelled = store.progress(session.id).await.unwrap().expect("the session");
    assert_eq!(cancelled.status, Status::Cancelled);
    assert!(cancelled.sequence > progress.sequence);
}

pub async fn numbers_every_change_of_a_file(database: &impl Database) {
    let store = &database.store().await;
    let (session, first) = registered(store, 3).await;
    let id = session.id;
    let mut last = session.sequence;
    assert!(last > FIRST_SEQUENCE);
    assert_eq!(sequence(store, id).await, last);
    let recorded = store.record_part(first.id, &part(1, PART_BYTES, "a"), None).await.unwrap().expect("a part");
    assert_eq!(recorded.sequence, changed(store, id, &mut last).await);
    let parts = [part(2, PART_BYTES, "b"), part(3, 1, "c")];
    let claimed = store.claim_parts(first.id, &parts).await.unwrap().expect("two parts");
    let numbers: Vec<u64> = claimed.iter().map(|progress| progress.sequence).collect();
    assert_eq!(numbers, [last + 1, last + 2]);
    assert_eq!(numbers[1], changed(store, id, &mut last).await);
    store.take_back_parts(first.id, &[(parts[1].number, parts[1].etag.clone())]).await.unwrap();
    changed(store, id, &mut last).await;
    // Nobody sees that a completion is requested.
    store.begin_completion(first.id, now(), after(-1)).await.unwrap().expect("a pending file");
    store.end_completion(first.id).await.unwrap();
    assert_eq!(sequence(store, id).await, last);
    let completed = store.complete_file(&first, &etag_of("whole"), now()).await.unwrap();
    assert_eq!(completed, Some(changed(store, id, &mut last).await));
    store.verify_file(first.id, &etag_of("whole")).await.unwrap();
    assert_eq!(sequence(store, id).await, last);
    store.retype_file(first.id, Content::WebP, &etag_of("copy")).await.unwrap();
    changed(store, id, &mut last).await;

    let holder = token();
    assert!(store.lock_session(id, holder, now(), after(-1)).await.unwrap());
    changed(store, id, &mut last).await;
    assert!(store.renew_lock(id, holder, after(1)).await.unwrap());
    assert_eq!(sequence(store, id).await, last);
    assert!(store.reject_file(first.id, &Rejection::Fault(FileFault::SizeMismatch), holder).await.unwrap());
    changed(store, id, &mut last).await;
    store.unlock_session(id, holder).await.unwrap();
    changed(store, id, &mut last).await;
    let second = file(&session, "a.pdf", 1);
    let replaced = store.replace_file(first.id, &second, &NO_QUOTAS).await.unwrap();
    assert_eq!(replaced, Registered::Done { sequence: changed(store, id, &mut last).await });
    assert!(store.forget_file(second.id, None).await.unwrap());
    changed(store, id, &mut last).await;
    let third = file(&session, "a.pdf", 1);
    let inserted = store.insert_file(&third, FILES_MAX, &NO_QUOTAS).await.unwrap();
    assert_eq!(inserted, Registered::Done { sequence: changed(store, id, &mut last).await });
    assert!(store.remove_file(id, third.id, FILES_MAX).await.unwrap().is_some());
    changed(store, id, &mut last).await;
    // What changes nothing takes no number.
    assert_eq!(store.record_part(third.id, &part(1, 1, "late"), None).await.unwrap(), None);
    assert_eq!(store.complete_file(&third, &etag_of("late"), now()).await.unwrap(), None);
    assert_eq!(sequence(store, id).await, last);
}

pub async fn numbers_the_end_of_a_session(database: &impl Database) {
    let store = &database.store().await;
    let (session, _, holder) = locked(store).await;
    let mut last = sequence(store, session.id).await;
    let moc = moc(&session, "A");
    assert_eq!(store.insert_moc(&moc, holder, false).await.unwrap(), Inserted::Done);
    let published = store.complete_moc(moc.id, session.id).await.unwrap().expect("the MOC");
    assert_eq!(published.sequence, changed(store, session.id, &mut last).await);
    let ended = store.progress(session.id).await.unwrap().expect("the session");
    assert_eq!((ended.status, ended.moc_id), (Status::Finalized, Some(moc.id)));
    // Another call of the same finalize changes nothing.
    let again = store.complete_moc(moc.id, session.id).await.unwrap().expect("the MOC");
    assert_eq!((again.sequence, sequence(store, session.id).await), (last, last));
}

/// Each client stores the parts of a file of its own, and half of them those of one that they share.
pub async fn numbers_parts_of_several_files_in_their_order(database: &impl Database) {
    const PARTS: u64 = 8;
    let (session, shared) = registered(&database.store().await, PARTS).await;
    let mut files = vec![shared];
    for client in 0..CLIENTS {
        let own = file(&session, &format!("{client}.pdf"), PARTS);
        let store = &database.store().await;
        assert!(store.insert_file(&own, CLIENTS as u64 + 1, &NO_QUOTAS).await.unwrap().is_done());
        files.push(own);
    }
    let begun = sequence(&database.store().await, session.id).await;
    let bytes = |number| if number == PARTS { 1 } else { PART_BYTES };
    let recorded = database
        .concurrently(CLIENTS, async |store, client| {
            let mut recorded: Vec<(usize, Progress)> = Vec::new();
            for number in 1..=PARTS {
                // A part that was stored by another client already is stored again.
                for index in [client + 1].into_iter().chain((client % 2 == 0).then_some(0)) {
                    let part = part(number, bytes(number), &format!("{client}"));
                    let progress = store.record_part(files[index].id, &part, None).await.unwrap();
                    recorded.push((index, progress.expect("a pending file")));
                }
            }
            recorded
        })
        .await
        .concat();
    let mut by_number = BTreeMap::new();
    for (index, progress) in &recorded {
        let other = by_number.insert(progress.sequence, (*index, *progress));
        assert_eq!(other, None, "two parts have one number");
    }
    // No number is left out: each part took one.
    assert!(by_number.keys().copied().eq(begun + 1..=begun + recorded.len() as u64), "{:?}", by_number.keys());
    for (index, file) in files.iter().enumerate() {
        let counts = by_number.values().filter(|(other, _)| *other == index).map(|(_, progress)| progress);
        let counts: Vec<_> = counts.map(|progress| (progress.parts_completed, progress.bytes_completed)).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&(PARTS as u16, file.size_bytes)));
    }
}

/// While others change a session in every way, a reader sees its numbers grow, and one state for each of them.
pub async fn one_number_is_one_state(database: &impl Database) {
    const ROUNDS: u64 = 12;
    let (session, stays) = registered(&database.store().await, ROUNDS).await;
    database
        .concurrently(CLIENTS, async |store, client| match client {
            0 | 1 => {
                for _ in 0..ROUNDS {
                    let holder = token();
                    if store.lock_session(session.id, holder, now(), after(-1)).await.unwrap() {
                        store.unlock_session(session.id, holder).await.unwrap();
                    }
                }
            }
            2 | 3 => {
                let name = format!("{client}.pdf");
                for _ in 0..ROUNDS {
                    let other = file(&session, &name, 2);
                    // It gives up where others change the session all the time.
                    let registered = store.insert_file(&other, FILES_MAX, &NO_QUOTAS).await;
                    if registered.is_ok_and(|registered| registered.is_done()) {
                        store.record_part(other.id, &part(1, PART_BYTES, "a"), None).await.unwrap();
                        store.remove_file(session.id, other.id, u64::from(u32::MAX)).await.unwrap();
                    }
                }
            }
            4 | 5 => {
                for number in 1..=ROUNDS {
                    let bytes = if number == ROUNDS { 1 } else { PART_BYTES };
                    let part = part(number, bytes, &format!("{client}"));
                    if client == 4 {
                        store.record_part(stays.id, &part, None).await.unwrap();
                    } else if store.claim_parts(stays.id, std::slice::from_ref(&part)).await.unwrap().is_some() {
                        store.take_back_parts(stays.id, &[(part.number, part.etag)]).await.unwrap();
                    }
                }
            }
            _ => {
                let mut states: BTreeMap<u64, (Status, Vec<File>)> = BTreeMap::new();
                let mut last = 0;
                for _ in 0..4 * ROUNDS {
                    let (read, files) = store.session_with_files(session.id).await.unwrap().expect("the session");
                    assert!(read.sequence >= last, "{} after {last}", read.sequence);
                    last = sequence(store, session.id).await;
                    assert!(last >= read.sequence, "{last} after {}", read.sequence);
                    let state = (read.status, files);
                    let same = states.entry(read.sequence).or_insert_with(|| state.clone());
                    assert_eq!(*same, state, "{}", read.sequence);
                }
            }
        })
        .await;
    let store = &database.store().await;
    let mut last = sequence(store, session.id).await;
    store.unlock_session(session.id, token()).await.unwrap();
    assert!(store.cancel_session(session.id).await.unwrap());
    changed(store, session.id, &mut last).await;
}
