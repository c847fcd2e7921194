//! The cases of parts that are recorded at a client's word.

use moc_application::port::{Files, Sessions};
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::part::PartNumber;
use moc_domain::session::Session;

use super::Database;
use super::cases::{CLIENTS, PART_BYTES, after, etag_of, now, part, registered};

const PARTS: u64 = 12;

fn numbered(number: u64) -> PartNumber {
    PartNumber::new(number).expect("a part number")
}

pub async fn counts_claimed_parts_in_their_order(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 4).await;
    let progress = |change, parts_completed, bytes_completed| {
        let sequence = session.sequence + change;
        Progress { parts_completed, bytes_completed, sequence }
    };
    let claim = async |parts: &[StoredPart]| store.claim_parts(file.id, parts).await.unwrap();
    store.record_part(file.id, &part(2, PART_BYTES, "through"), None).await.unwrap();
    let claims = [part(1, PART_BYTES, "a"), part(2, PART_BYTES, "b"), part(4, 1, "d")];
    let counted = [progress(2, 2, 2 * PART_BYTES), progress(3, 2, 2 * PART_BYTES), progress(4, 3, 2 * PART_BYTES + 1)];
    assert_eq!(claim(&claims).await.as_deref(), Some(&counted[..]));
    // The result may have been lost.
    let unchanged = [5, 6, 7].map(|change| progress(change, 3, 2 * PART_BYTES + 1));
    assert_eq!(claim(&claims).await.as_deref(), Some(&unchanged[..]));
    assert_eq!(claim(&[]).await.as_deref(), Some(&[][..]));
    let last = store.record_part(file.id, &part(3, PART_BYTES, "through"), None).await.unwrap();
    assert_eq!(last, Some(progress(8, 4, file.size_bytes)));
    let sequence = session.sequence + 8;
    let found = store.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
    let whole = File { parts_completed: 4, bytes_completed: file.size_bytes, has_claims: true, ..file };
    let [first, second, fourth] = claims;
    assert_eq!(
        found,
        (Session { sequence, ..session }, whole, vec![first, second, part(3, PART_BYTES, "through"), fourth])
    );
}

pub async fn keeps_a_part_that_is_claimed_under_its_etag(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 1).await;
    let first = part(1, 1, "a");
    store.record_part(file.id, &first, Some([7; 32])).await.unwrap();
    let claim = async |etag: &str| {
        let part = StoredPart { uploaded_at: after(1), ..part(1, 1, etag) };
        store.claim_parts(file.id, std::slice::from_ref(&part)).await.unwrap().expect("a pending file");
        let (_, file, parts) = store.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
        (file.last_part_sha256, parts, part)
    };
    let (sha256, parts, _) = claim("a").await;
    assert_eq!((sha256, parts), (Some([7; 32]), vec![first]));
    // Nothing is known of other bytes.
    let (sha256, parts, claimed) = claim("b").await;
    assert_eq!((sha256, parts), (None, vec![claimed]));
}

pub async fn claims_no_part_after_completion_or_cancellation(database: &impl Database) {
    let store = &database.store().await;
    let (_, completed) = registered(store, 1).await;
    assert!(store.complete_file(&completed, &etag_of("whole-1"), now()).await.unwrap().is_some());
    assert_eq!(store.claim_parts(completed.id, &[part(1, 1, "a")]).await.unwrap(), None);
    let (session, pending) = registered(store, 1).await;
    assert!(store.cancel_session(session.id).await.unwrap());
    assert_eq!(store.claim_parts(pending.id, &[part(1, 1, "a")]).await.unwrap(), None);
    let (_, file, parts) = store.file_with_parts(session.id, pending.id).await.unwrap().expect("the file");
    assert_eq!((file, parts), (pending, Vec::new()));
}

pub async fn counts_parts_that_are_claimed_and_sent_at_once(database: &impl Database) {
    let (session, file) = registered(&database.store().await, PARTS).await;
    let bytes = |number| if number == PARTS { 1 } else { PART_BYTES };
    // Every client stores every part: some of them all together, others one after the other.
    database
        .concurrently(CLIENTS, async |store, client| {
            let parts: Vec<StoredPart> =
                (1..=PARTS).map(|number| part(number, bytes(number), &format!("{client}"))).collect();
            if client % 2 == 0 {
                let progress = store.claim_parts(file.id, &parts).await.unwrap().expect("a pending file");
                assert!(progress.is_sorted_by_key(|progress| progress.parts_completed));
                assert_eq!(progress.last().map(|progress| u64::from(progress.parts_completed)), Some(PARTS));
            } else {
                for part in &parts {
                    store.record_part(file.id, part, None).await.unwrap();
                }
            }
        })
        .await;
    let (_, counted, parts) =
        database.store().await.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
    assert_eq!((u64::from(counted.parts_completed), counted.bytes_completed), (PARTS, file.size_bytes));
    assert_eq!(parts.len() as u64, PARTS);
}

pub async fn takes_back_parts_under_their_etags_only(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 3).await;
    let claims = [part(1, PART_BYTES, "a"), part(2, PART_BYTES, "b"), part(3, 1, "c")];
    store.claim_parts(file.id, &claims).await.unwrap().expect("a pending file");
    // It was sent again meanwhile.
    store.record_part(file.id, &part(2, PART_BYTES, "new"), Some([7; 32])).await.unwrap();
    let false_claims = [(numbered(1), etag_of("a")), (numbered(2), etag_of("b"))];
    let left = async || {
        let (_, file, parts) = store.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
        (file.parts_completed, file.bytes_completed, file.last_part_sha256, parts)
    };
    let rest = vec![part(2, PART_BYTES, "new"), part(3, 1, "c")];
    for _ in 0..2 {
        store.take_back_parts(file.id, &false_claims).await.unwrap();
        assert_eq!(left().await, (2, PART_BYTES + 1, None, rest.clone()));
    }
    // What was taken back is new again.
    let progress = store.claim_parts(file.id, &claims[..1]).await.unwrap().expect("a pending file");
    let counts = progress.iter().map(|progress| (progress.parts_completed, progress.bytes_completed));
    assert!(counts.eq([(3, file.size_bytes)]), "{progress:?}");
    assert!(store.complete_file(&file, &etag_of("whole-3"), now()).await.unwrap().is_some());
    store.take_back_parts(file.id, &false_claims).await.unwrap();
    assert_eq!(left().await.0, 3);
}

pub async fn takes_each_part_back_once_of_several_at_once(database: &impl Database) {
    let (session, file) = registered(&database.store().await, PARTS).await;
    let parts: Vec<StoredPart> = (1..PARTS).map(|number| part(number, PART_BYTES, "a")).collect();
    database.store().await.claim_parts(file.id, &parts).await.unwrap().expect("a pending file");
    let claims: Vec<_> = parts.iter().map(|part| (part.number, part.etag.clone())).collect();
    database
        .concurrently(CLIENTS, async |store, client| {
            if client % 2 == 0 {
                store.take_back_parts(file.id, &claims).await.unwrap();
            } else {
                store.record_part(file.id, &part(PARTS, 1, "last"), None).await.unwrap();
            }
        })
        .await;
    let (_, counted, parts) =
        database.store().await.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
    assert_eq!((counted.parts_completed, counted.bytes_completed, parts), (1, 1, vec![part(PARTS, 1, "last")]));
}
