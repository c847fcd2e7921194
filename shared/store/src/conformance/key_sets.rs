//! The cases of issuers' key sets.

use moc_application::port::{FetchState, KeySetRecord, KeySets};
use moc_domain::id::FileId;
use moc_domain::limits::{KEY_SET_CLOCK_ERROR_MS, KEY_SET_PAUSE_MS};
use moc_domain::time::Timestamp;

use super::{Database, now, random};

/// Servers that claim at once.
const SERVERS: usize = 8;

fn after(millis: i64) -> Timestamp {
    now().plus_millis(millis)
}

/// The URL of a key set that no other case uses.
fn url() -> String {
    format!("https://id.example/{}", FileId::new(now(), random()))
}

pub async fn fetches_a_key_set_once_among_servers(database: &impl Database) {
    let store = &database.store().await;
    let url = url();
    assert_eq!(store.key_set(&url).await.unwrap(), None);
    let claims = async |now: Timestamp| {
        let lease = now.plus_millis(KEY_SET_PAUSE_MS);
        let claimed =
            database.concurrently(SERVERS, async |store, _| store.claim_fetch(&url, now, lease).await.unwrap()).await;
        claimed.into_iter().filter(|claimed| *claimed).count()
    };
    assert_eq!(claims(now()).await, 1);
    assert_eq!(claims(after(KEY_SET_PAUSE_MS - 1)).await, 0);
    assert_eq!(claims(after(KEY_SET_PAUSE_MS)).await, 1);
    // The clock of the server that claimed it was wrong.
    assert_eq!(claims(after(KEY_SET_PAUSE_MS - KEY_SET_CLOCK_ERROR_MS)).await, 0);
    assert_eq!(claims(after(KEY_SET_PAUSE_MS - KEY_SET_CLOCK_ERROR_MS - 1)).await, 1);
}

pub async fn claims_no_fetch_late(database: &impl Database) {
    let store = &database.store().await;
    let url = url();
    let lease = after(KEY_SET_PAUSE_MS);
    assert!(store.claim_fetch(&url, now(), lease).await.unwrap());
    // It fails a moment before its lease ends, and a pause follows.
    store.end_fetch(&url, lease, None, after(2 * KEY_SET_PAUSE_MS - 1)).await.unwrap();
    // A claim of before reaches the store only now.
    assert!(!store.claim_fetch(&url, after(1), after(1 + KEY_SET_PAUSE_MS)).await.unwrap());
}

pub async fn ends_only_the_fetch_that_was_claimed(database: &impl Database) {
    let store = &database.store().await;
    let url = url();
    let record = async || store.key_set(&url).await.unwrap().expect("a record");
    let (first, second) = (after(KEY_SET_PAUSE_MS), after(2 * KEY_SET_PAUSE_MS));
    assert!(store.claim_fetch(&url, now(), first).await.unwrap());
    assert_eq!((record().await.document.as_str(), record().await.state), ("", FetchState::Running));
    assert!(store.claim_fetch(&url, first, second).await.unwrap());
    store.end_fetch(&url, first, Some(("late", first)), first).await.unwrap();
    assert_eq!((record().await.state, record().await.next_fetch_at), (FetchState::Running, second));

    let document = r#"{"keys":["é",'$1',null]}"#;
    for _ in 0..2 {
        store.end_fetch(&url, second, Some((document, first)), after(1)).await.unwrap();
        let done = KeySetRecord {
            document: document.into(),
            fetched_at: first,
            next_fetch_at: after(1),
            state: FetchState::Done,
        };
        assert_eq!(record().await, done);
    }
    // One that fails keeps the keys.
    assert!(store.claim_fetch(&url, second, after(3 * KEY_SET_PAUSE_MS)).await.unwrap());
    store.end_fetch(&url, after(3 * KEY_SET_PAUSE_MS), None, after(2)).await.unwrap();
    let KeySetRecord { document: kept, fetched_at, next_fetch_at, state } = record().await;
    assert_eq!((kept.as_str(), fetched_at), (document, first));
    assert_eq!((next_fetch_at, state), (after(2), FetchState::Failed));
}
