//! The cases.

mod once;

use std::sync::atomic::{AtomicU64, Ordering};

use moc_application::port::{Files, Inserted, Mocs, Outbox, Platform, Registered, Sessions, Settled};
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::error::FileFault;
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, Rejection, StoredPart};
use moc_domain::id::{FileId, LockToken, MocId, SessionId, UserId};
use moc_domain::limits::WEBHOOK_LEASE_MS;
use moc_domain::moc::{Description, Moc};
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::quota::FileQuotas;
use moc_domain::session::{FIRST_SEQUENCE, Session, Status};
use moc_domain::time::Timestamp;

pub use once::*;

use super::Database;
use crate::{Dialect, SqlExecutor, SqlStore, Statement, Value, version};

pub(super) const PART_BYTES: u64 = 5 << 20;
pub(super) const FILES_MAX: u64 = 3;
pub(super) const NO_QUOTAS: FileQuotas = FileQuotas { open_uploads: None, session_bytes: None, day_bytes: None };
/// Clients of the concurrent cases.
pub(super) const CLIENTS: usize = 8;

/// The time of every case.
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// Random bytes that never repeat within a process.
pub fn random() -> [u8; 10] {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    // Multiplying by an odd number spreads the counter over all bits.
    let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&drawn.to_be_bytes());
    bytes
}

pub(super) fn after(millis: i64) -> Timestamp {
    now().plus_millis(millis)
}

pub(super) fn token() -> LockToken {
    LockToken::new(now(), random())
}

pub(super) fn user() -> UserId {
    UserId::parse(&FileId::new(now(), random()).to_string()).expect("a user")
}

pub(super) fn session() -> Session {
    Session {
        id: SessionId::new(now(), random()),
        user: user(),
        status: Status::Active,
        part_size_bytes: PART_BYTES,
        created_at: now(),
        expires_at: after(60_000),
        finalizing_at: None,
        moc_id: None,
        sequence: FIRST_SEQUENCE,
    }
}

/// A file of `parts` parts, the last of one byte.
pub(super) fn file(session: &Session, name: &str, parts: u64) -> File {
    let id = FileId::new(now(), random());
    let size_bytes = (parts - 1) * PART_BYTES + 1;
    File {
        id,
        session_id: session.id,
        category: Category::Instruction,
        name: name.to_owned(),
        content: Content::from_media_type("application/pdf").expect("a media type"),
        key: format!("uploads/{id}/{name}"),
        upload_id: format!("upload-{id}"),
        size_bytes,
        plan: PartPlan::new(size_bytes, PART_BYTES).expect("a plan"),
        parts_completed: 0,
        bytes_completed: 0,
        etag: None,
        checksums: Checksums { md5: Some([1; 16]), sha256: None },
        last_part_sha256: None,
        rejected: false,
        rejection: None,
        verified_etag: None,
        completing_at: None,
        has_claims: false,
        created_at: now(),
    }
}

pub(super) fn part(number: u64, size_bytes: u64, etag: &str) -> StoredPart {
    let number = PartNumber::new(number).expect("a part number");
    StoredPart { number, etag: etag_of(etag), size_bytes, uploaded_at: now() }
}

pub(super) fn etag_of(text: &str) -> ETag {
    ETag::parse(text).expect("an ETag")
}

pub(super) fn moc(session: &Session, title: &str) -> Moc {
    let description = Description::parse(title, Some("text"), &["tag".to_owned()], None).expect("a description");
    Moc {
        id: MocId::new(now(), random()),
        session_id: session.id,
        user: session.user.clone(),
        slug: description.slug(),
        description,
        files: Vec::new(),
        thumbnail_key: None,
        thumbnail_given_up: false,
        created_at: now(),
    }
}

/// A session with one file of this many parts.
pub(super) async fn registered(store: &SqlStore<impl SqlExecutor, impl Platform>, parts: u64) -> (Session, File) {
    let session = session();
    store.insert_session(&session).await.unwrap();
    let file = file(&session, "a.pdf", parts);
    let registered = store.insert_file(&file, FILES_MAX, &NO_QUOTAS).await.unwrap();
    let Registered::Done { sequence } = registered else { panic!("{registered:?}") };
    (Session { sequence, ..session }, file)
}

/// A locked session with one completed file.
pub(super) async fn locked(store: &SqlStore<impl SqlExecutor, impl Platform>) -> (Session, File, LockToken) {
    let (session, file) = registered(store, 1).await;
    assert!(store.complete_file(&file, &etag_of("whole-1"), now()).await.unwrap().is_some());
    let token = token();
    assert!(store.lock_session(session.id, token, now(), after(-1_000)).await.unwrap());
    (session, file, token)
}

pub async fn keeps_sessions_files_and_parts(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 2).await;
    // Its result may have been lost.
    store.insert_session(&session).await.unwrap();
    let again = store.insert_file(&file, FILES_MAX, &NO_QUOTAS).await.unwrap();
    let Registered::Done { sequence } = again else { panic!("{again:?}") };
    assert!(sequence >= session.sequence);
    let session = Session { sequence, ..session };
    assert_eq!(store.session(session.id).await.unwrap().as_ref(), Some(&session));
    assert_eq!(store.session(SessionId::new(now(), [0; 10])).await.unwrap(), None);
    assert_eq!(store.file(session.id, file.id).await.unwrap(), Some((session.clone(), file.clone())));
    let other = SessionId::new(now(), [1; 10]);
    assert_eq!(store.file(other, file.id).await.unwrap(), None);

    let parts = [part(1, PART_BYTES, "one"), part(2, 1, "two")];
    store.record_part(file.id, &parts[1], Some([7; 32])).await.unwrap();
    store.record_part(file.id, &parts[0], None).await.unwrap();
    let session = Session { sequence: session.sequence + 2, ..session };
    let stored = File { parts_completed: 2, bytes_completed: file.size_bytes, ..file.clone() };
    let found = store.file_with_parts(session.id, file.id).await.unwrap();
    assert_eq!(found, Some((session.clone(), stored.clone(), parts.to_vec())));
    let with_files = store.session_with_files(session.id).await.unwrap();
    assert_eq!(with_files, Some((session.clone(), vec![stored])));

    store.extend_session(session.id, after(90_000)).await.unwrap();
    store.extend_session(session.id, after(80_000)).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap().map(|found| found.expires_at), Some(after(90_000)));
}

pub async fn counts_sessions_per_window(database: &impl Database) {
    let user = user();
    let counts =
        database.concurrently(CLIENTS, async |store, _| store.count_session(&user, now()).await.unwrap()).await;
    let mut sorted = counts;
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=CLIENTS as u64).collect::<Vec<_>>());
    let store = &database.store().await;
    assert_eq!(store.count_session(&user, after(1)).await.unwrap(), 1);
    assert_eq!(store.count_session(&user, after(1)).await.unwrap(), 2);
}

pub async fn rejects_files_of_full_inactive_and_unknown_sessions(database: &impl Database) {
    let store = &database.store().await;
    let (session, first) = registered(store, 1).await;
    let again = file(&session, "a.pdf", 1);
    assert_eq!(store.insert_file(&again, FILES_MAX, &NO_QUOTAS).await.unwrap(), Registered::Duplicate(first.id));
    for name in ["b.pdf", "c.pdf"] {
        assert!(store.insert_file(&file(&session, name, 1), FILES_MAX, &NO_QUOTAS).await.unwrap().is_done());
    }
    let fourth = file(&session, "d.pdf", 1);
    assert_eq!(store.insert_file(&fourth, FILES_MAX, &NO_QUOTAS).await.unwrap(), Registered::Full);
    assert!(store.cancel_session(session.id).await.unwrap());
    assert!(!store.cancel_session(session.id).await.unwrap());
    assert_eq!(store.insert_file(&fourth, FILES_MAX + 1, &NO_QUOTAS).await.unwrap(), Registered::NotActive);
    let unknown = file(&self::session(), "a.pdf", 1);
    assert_eq!(store.insert_file(&unknown, FILES_MAX, &NO_QUOTAS).await.unwrap(), Registered::NotActive);
}

pub async fn registers_no_more_files_than_allowed_at_once(database: &impl Database) {
    let store = &database.store().await;
    // Again and again, so that two clients come at the same moment.
    for _ in 0..20 {
        let session = session();
        store.insert_session(&session).await.unwrap();
        let register = async |store: &SqlStore<_, _>, client| {
            store.insert_file(&file(&session, &format!("{client}.pdf"), 1), FILES_MAX, &NO_QUOTAS).await.unwrap()
        };
        let outcomes = database.concurrently(CLIENTS, register).await;
        let done = outcomes.iter().filter(|outcome| outcome.is_done()).count();
        assert_eq!(done as u64, FILES_MAX, "{outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Registered::Done { .. } | Registered::Full)),
            "{outcomes:?}"
        );
    }
}

pub async fn counts_a_part_once_however_often_it_is_stored(database: &impl Database) {
    let store = &database.store().await;
    let (session, file) = registered(store, 3).await;
    let record = async |part: &StoredPart| store.record_part(file.id, part, None).await.unwrap();
    let progress = |change, parts_completed, bytes_completed| {
        Some(Progress { parts_completed, bytes_completed, sequence: session.sequence + change })
    };
    assert_eq!(record(&part(1, PART_BYTES, "a")).await, progress(1, 1, PART_BYTES));
    assert_eq!(record(&part(1, PART_BYTES, "b")).await, progress(2, 1, PART_BYTES));
    assert_eq!(record(&part(3, 1, "c")).await, progress(3, 2, PART_BYTES + 1));
    assert_eq!(record(&part(1, PART_BYTES, "a")).await, progress(4, 2, PART_BYTES + 1));
    let (_, _, parts) = store.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
    assert_eq!(parts, [part(1, PART_BYTES, "a"), part(3, 1, "c")]);
}

pub async fn counts_parts_that_are_stored_at_once(database: &impl Database) {
    const PARTS: u64 = 12;
    let (session, file) = registered(&database.store().await, PARTS).await;
    // Every client stores every part, in an order of its own.
    database
        .concurrently(CLIENTS, async |store, client| {
            for step in 0..PARTS {
                let number = (step + client as u64) % PARTS + 1;
                let bytes = if number == PARTS { 1 } else { PART_BYTES };
                let progress =
                    store.record_part(file.id, &part(number, bytes, &format!("{client}")), None).await.unwrap();
                assert!(progress.is_some_and(|progress| u64::from(progress.parts_completed) <= PARTS));
            }
        })
        .await;
    let store = &database.store().await;
    let (_, counted, parts) = store.file_with_parts(session.id, file.id).await.unwrap().expect("the file");
    assert_eq!((u64::from(counted.parts_completed), counted.bytes_completed), (PARTS, file.size_bytes));
    assert_eq!(parts.len() as u64, PARTS);
}

pub async fn stores_no_part_after_completion_or_cancellation(database: &impl Database) {
    let store = &database.store().await;
    let (_, completed) = registered(store, 1).await;
    assert!(store.complete_file(&completed, &etag_of("whole-1"), now()).await.unwrap().is_some());
    assert_eq!(store.record_part(completed.id, &part(1, 1, "a"), None).await.unwrap(), None);
    let (session, pending) = registered(store, 1).await;
    assert!(store.cancel_session(session.id).await.unwrap());
    assert_eq!(store.record_part(pending.id, &part(1, 1, "a"), None).await.unwrap(), None);
    assert_eq!(store.complete_file(&pending, &etag_of("whole-1"), now()).await.unwrap(), None);
    let (_, _, parts) = store.file_with_parts(session.id, pending.id).await.unwrap().expect("the file");
    assert!(parts.is_empty());
}

pub async fn completes_once_beside_late_parts(database: &impl Database) {
    let (session, file) = registered(&database.store().await, 2).await;
    let outcomes = database
        .concurrently(CLIENTS, async |store, client| {
            if client % 2 == 0 {
                store.complete_file(&file, &etag_of(&format!("whole-{client}")), now()).await.unwrap().is_some()
            } else {
                store.record_part(file.id, &part(1, PART_BYTES, "late"), None).await.unwrap();
                false
            }
        })
        .await;
    assert_eq!(outcomes.iter().filter(|completed| **completed).count(), 1);
    let store = &database.store().await;
    let (_, completed) = store.file(session.id, file.id).await.unwrap().expect("the file");
    let winner = outcomes.iter().position(|completed| *completed).expect("one that completed");
    assert_eq!(completed.etag, Some(etag_of(&format!("whole-{winner}"))));
    assert_eq!((completed.parts_completed, completed.bytes_completed), (2, file.size_bytes));
}

/// Whoever rejects a file deletes its object, so only the finalize that would publish it may.
pub async fn rejects_for_the_holder_only_and_before_the_moc(database: &impl Database) {
    let store = &database.store().await;
    let (session, file, late) = locked(store).await;
    let rejection = Rejection::Fault(FileFault::SizeMismatch);
    let rejects = async |token| store.reject_file(file.id, &rejection, token).await.unwrap();
    let holder = token();
    assert!(store.lock_session(session.id, holder, after(1), now()).await.unwrap());
    assert!(!rejects(late).await);
    // A result that was lost is asked for again.
    assert!(rejects(holder).await && rejects(holder).await);
    assert_eq!(store.insert_moc(&moc(&session, "rejected"), holder, false).await.unwrap(), Inserted::Done);
    assert!(!rejects(holder).await);
}

pub async fn locks_once_and_unlocks_for_the_holder_only(database: &impl Database) {
    let session = session();
    database.store().await.insert_session(&session).await.unwrap();
    let won = database
        .concurrently(CLIENTS, async |store, _| {
            let token = token();
            let locked = store.lock_session(session.id, token, now(), after(-1_000)).await.unwrap();
            locked.then_some(token.to_string())
        })
        .await;
    assert_eq!(won.iter().flatten().count(), 1);
    let store = &database.store().await;
    let session_now = async || store.session(session.id).await.unwrap().expect("the session");
    store.unlock_session(session.id, token()).await.unwrap();
    assert_eq!(session_now().await.status, Status::Finalizing);
    assert_eq!(session_now().await.finalizing_at, Some(now()));
    // A lock is stale from the moment on that it was taken at.
    let second = token();
    assert!(!store.lock_session(session.id, second, after(10), after(-1)).await.unwrap());
    assert!(store.lock_session(session.id, second, after(10), now()).await.unwrap());
    // The result of the first attempt may have been lost.
    assert!(store.lock_session(session.id, second, after(20), after(-1)).await.unwrap());
    store.unlock_session(session.id, second).await.unwrap();
    let unlocked = session_now().await;
    assert_eq!(unlocked, Session { sequence: unlocked.sequence, ..session.clone() });
    // A session that has expired cannot be locked.
    assert!(!store.lock_session(session.id, token(), session.expires_at, now()).await.unwrap());
}

pub async fn publishes_one_moc_per_session_and_slug(database: &impl Database) {
    let store = &database.store().await;
    let (session, file, token) = locked(store).await;
    let first = moc(&session, "My castle");
    assert_eq!(store.insert_moc(&first, token, false).await.unwrap(), Inserted::Done);
    assert_eq!(store.insert_moc(&first, token, false).await.unwrap(), Inserted::Done);
    assert_eq!(store.insert_moc(&moc(&session, "Another"), token, false).await.unwrap(), Inserted::SessionTaken);
    // The session has a MOC, so its lock is not released.
    store.unlock_session(session.id, token).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap().expect("the session").status, Status::Finalizing);

    let published = store.complete_moc(first.id, session.id).await.unwrap().expect("the MOC");
    let completed = published.moc.clone();
    assert_eq!(completed.files.iter().map(|file| file.id).collect::<Vec<_>>(), [file.id]);
    assert_eq!(completed.files[0].etag, etag_of("whole-1"));
    assert_eq!(Moc { files: Vec::new(), ..completed.clone() }, first);
    assert_eq!(store.complete_moc(first.id, session.id).await.unwrap().as_ref(), Some(&published));
    assert_eq!(store.moc(first.id).await.unwrap().as_ref(), Some(&completed));
    assert_eq!(store.moc_of_session(session.id).await.unwrap().as_ref(), Some(&completed));
    let ended = store.session(session.id).await.unwrap().expect("the session");
    assert_eq!((ended.status, ended.moc_id), (Status::Finalized, Some(first.id)));
    assert_eq!(published.sequence, ended.sequence);

    store.set_thumbnail(first.id, "thumbnail.jpg").await.unwrap();
    let with_thumbnail = store.moc(first.id).await.unwrap().expect("the MOC");
    assert_eq!(with_thumbnail.thumbnail_key.as_deref(), Some("thumbnail.jpg"));

    let slugs: Vec<String> = (1..=20).map(|number| format!("my-castle-{number}")).chain(["my-castle".into()]).collect();
    assert_eq!(store.taken_slugs(&session.user, &slugs).await.unwrap(), ["my-castle"]);
    assert_eq!(store.taken_slugs(&user(), &slugs).await.unwrap(), [""; 0]);
    let (mut other, _, token) = locked(store).await;
    other.user = session.user.clone();
    assert_eq!(store.insert_moc(&moc(&other, "My castle"), token, false).await.unwrap(), Inserted::SlugTaken);
}

pub async fn inserts_no_moc_after_the_lock_was_lost(database: &impl Database) {
    let store = &database.store().await;
    let (session, _, first) = locked(store).await;
    assert!(store.lock_session(session.id, token(), after(10), now()).await.unwrap());
    assert_eq!(store.insert_moc(&moc(&session, "A"), first, true).await.unwrap(), Inserted::LockLost);
    assert_eq!(store.moc_of_session(session.id).await.unwrap(), None);
    assert_eq!(store.pending().await.unwrap(), 0);
}

pub async fn finalizes_once_of_two_at_once(database: &impl Database) {
    let (session, _, token) = locked(&database.store().await).await;
    let inserted = database
        .concurrently(CLIENTS, async |store, client| {
            store.insert_moc(&moc(&session, &format!("Title {client}")), token, true).await.unwrap()
        })
        .await;
    assert_eq!(inserted.iter().filter(|inserted| **inserted == Inserted::Done).count(), 1);
    assert_eq!(inserted.iter().filter(|inserted| **inserted == Inserted::SessionTaken).count(), CLIENTS - 1);
    assert_eq!(database.store().await.pending().await.unwrap(), 1);
}

pub async fn gives_a_slug_to_one_of_two_sessions_at_once(database: &impl Database) {
    let user = user();
    let inserted = database
        .concurrently(CLIENTS, async |store, _| {
            let (mut session, _, token) = locked(store).await;
            session.user = user.clone();
            store.insert_moc(&moc(&session, "One title"), token, false).await.unwrap()
        })
        .await;
    assert_eq!(inserted.iter().filter(|inserted| **inserted == Inserted::Done).count(), 1);
    assert_eq!(inserted.iter().filter(|inserted| **inserted == Inserted::SlugTaken).count(), CLIENTS - 1);
}

/// Publishes a MOC whose webhook is due.
pub(super) async fn due(store: &SqlStore<impl SqlExecutor, impl Platform>) -> Moc {
    let (session, _, token) = locked(store).await;
    let moc = moc(&session, "A");
    assert_eq!(store.insert_moc(&moc, token, true).await.unwrap(), Inserted::Done);
    store.complete_moc(moc.id, session.id).await.unwrap().expect("the MOC").moc
}

pub async fn claims_each_delivery_once_among_sweeps(database: &impl Database) {
    const DELIVERIES: usize = 20;
    let mut expected = {
        let store = &database.store().await;
        let mut ids = Vec::new();
        for _ in 0..DELIVERIES {
            ids.push(due(store).await.id);
        }
        // The webhook of a MOC whose finalize was interrupted has to wait for it.
        let (session, _, token) = locked(store).await;
        assert_eq!(store.insert_moc(&moc(&session, "A"), token, true).await.unwrap(), Inserted::Done);
        ids
    };
    let claimed = database
        .concurrently(CLIENTS, async |store, _| {
            let mut claimed = Vec::new();
            while let Some(claim) = store.claim_next(now()).await.unwrap() {
                assert_eq!((claim.attempt, claim.leased_until), (1, after(WEBHOOK_LEASE_MS)));
                assert!(store.settle(&claim, Settled::Delivered, None).await.unwrap());
                claimed.push(claim.event.moc);
            }
            claimed
        })
        .await;
    let mut claimed = claimed.concat();
    claimed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert_eq!(database.store().await.pending().await.unwrap(), 1);
}

pub async fn ends_only_the_last_claim(database: &impl Database) {
    let store = &database.store().await;
    let moc = due(store).await;
    let first = store.claim(moc.id, now()).await.unwrap().expect("a claim");
    assert_eq!((first.event.user.as_str(), first.event.session), (moc.user.as_str(), moc.session_id));
    assert_eq!(store.claim(moc.id, now()).await.unwrap(), None);
    let second = store.claim(moc.id, first.leased_until).await.unwrap().expect("the lease has ended");
    assert_eq!(second.attempt, 2);
    assert!(!store.postpone(&first, after(1), "late").await.unwrap());
    assert!(!store.settle(&first, Settled::Delivered, None).await.unwrap());
    assert!(store.postpone(&second, after(5_000), "503").await.unwrap());
    assert_eq!(store.claim(moc.id, after(4_999)).await.unwrap(), None);
    let third = store.claim_next(after(5_000)).await.unwrap().expect("a claim");
    assert!(store.settle(&third, Settled::Failed, Some("503")).await.unwrap());
    // The result of the first attempt may have been lost.
    assert!(store.settle(&third, Settled::Failed, Some("503")).await.unwrap());
    assert!(!store.settle(&third, Settled::Delivered, None).await.unwrap());
    assert_eq!(store.pending().await.unwrap(), 0);
}

pub async fn migrates_once_of_several_starts_at_once(database: &impl Database) {
    database.concurrently(CLIENTS, async |store, _| store.insert_session(&session()).await.unwrap()).await;
    let store = &database.store().await;
    let executor = store.executor();
    let select = [Statement::new("SELECT version FROM schema_version ORDER BY 1", [])];
    let versions = executor.execute_all(&select).await.unwrap().remove(0);
    let current = version(executor).await.unwrap();
    let expected: Vec<_> = (1..=current).map(|number| vec![Value::from(number as u64)]).collect();
    assert_eq!(versions, expected);
    store.insert_session(&session()).await.unwrap();
}

/// A server of a later version has added what this one does not know.
pub async fn works_on_a_schema_with_later_additions(database: &impl Database) {
    let store = &database.store().await;
    let (session, _) = registered(store, 1).await;
    let executor = store.executor();
    let integer = match executor.dialect() {
        Dialect::Sqlite => "INTEGER",
        Dialect::Postgres => "BIGINT",
    };
    let tables =
        ["sessions", "files", "parts", "mocs", "moc_files", "webhook_deliveries", "thumbnails", "thumbnail_slots"];
    let mut statements: Vec<String> =
        tables.iter().map(|table| format!("ALTER TABLE {table} ADD COLUMN later {integer} DEFAULT 7")).collect();
    statements.push("INSERT INTO schema_version (version) VALUES (99)".into());
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    executor.transaction(&statements).await.unwrap();
    assert!(store.session_with_files(session.id).await.unwrap().is_some());
    due(&database.store().await).await;
}
