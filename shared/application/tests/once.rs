//! What one cheap request can make the bucket do, however often it is sent.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use futures::future::{join, join_all};
use moc_application::finalize::Finalized;
use moc_application::port::{
    BucketError, Files as _, Platform as _, Sessions as _, ThumbnailError, ThumbnailQueue as _,
};
use moc_domain::error::{Error, ErrorKind, FileFault};
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{
    FINALIZE_WAIT_MS, LEASE_MS, THUMBNAIL_ATTEMPTS_MAX, THUMBNAIL_LEASE_MS, THUMBNAIL_PAUSES_MS,
    THUMBNAILS_AFTER_RESPONSE_MAX,
};
use moc_domain::moc::Moc;
use moc_domain::time::Timestamp;
use moc_fakes::stage::run;
use moc_fakes::{FailedThumbnail, MemoryThumbnails, Stage};

const CASTLE: &[u8] = b"%PDF-1.7 castle";
const TOWER: &[u8] = b"%PDF-1.7 a tower";

/// All requests that this instance has sent to the bucket.
fn calls(stage: &Stage) -> usize {
    stage.bucket_faults.count("")
}

fn kind(finalized: Result<Finalized, Error>) -> ErrorKind {
    finalized.unwrap_err().kind
}

/// Uploads a file of several parts whose announced checksum only a read of the whole object can verify.
fn announced(stage: &Stage, id: SessionId, name: &str, bytes: &[u8], of: &[u8]) {
    let mut declared = Stage::declaration(name, bytes);
    declared.checksums = moc_fakes::checksums(of, false, true);
    stage.upload(id, declared, bytes);
}

#[test]
fn a_file_that_was_rejected_is_not_asked_about_again() {
    // Each with the bytes that its checksum is of.
    for (name, bytes, of) in [
        ("no-pdf.pdf", b"no PDF at all".as_slice(), b"no PDF at all".as_slice()),
        ("sum.pdf", CASTLE, TOWER),
        ("cut.png", b"\x89PNG", b"\x89PNG"),
    ] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        announced(&stage, id, name, bytes, of);
        let first = kind(stage.finalize(id, "Castle"));
        let another = stage.another();
        for _ in 0..20 {
            assert_eq!(kind(another.finalize(id, "Castle")), first, "{name}");
        }
        assert_eq!(calls(&another), 0, "{name}");
        // What replaces it is looked at.
        let replacement: &[u8] = if name.ends_with("png") { b"\x89PNG\r\n\x1a\nthe pixels" } else { CASTLE };
        announced(&stage, id, name, replacement, replacement);
        stage.finalize(id, "Castle").unwrap();
    }
}

#[test]
fn a_missing_object_is_waited_for_once() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    let key = stage.files(id)[0].key.clone();
    run(moc_application::port::Bucket::delete(&stage.memory, &key)).unwrap();
    let missing = |stage: &Stage| match kind(stage.finalize(id, "Castle")) {
        ErrorKind::FileValidationFailed { failures } => assert_eq!(failures[0].reason, FileFault::ObjectMissing),
        other => panic!("{other:?}"),
    };
    missing(&stage);
    let waited = stage.platform.slept().len();
    missing(&stage);
    assert_eq!(stage.platform.slept().len(), waited);
    // The bucket shows it after all.
    run(moc_application::port::Bucket::put(&stage.memory, &key, "application/pdf", CASTLE)).unwrap();
    stage.finalize(id, "Castle").unwrap();
}

#[test]
fn every_file_is_looked_at_before_one_is_read_whole() {
    let stage = Stage::default();
    let id = stage.session().id;
    announced(&stage, id, "castle.pdf", CASTLE, CASTLE);
    announced(&stage, id, "tower.pdf", TOWER, TOWER);
    let pdf = b"%PDF-1 in a PNG";
    stage.upload(id, Stage::declaration("wrong.png", pdf), pdf);
    assert!(stage.finalize(id, "Castle").is_err());
    assert_eq!(stage.bucket_faults.count("scan"), 0);
    // What the store knows comes before everything that the bucket is asked for.
    let pending = stage.session().id;
    announced(&stage, pending, "castle.pdf", CASTLE, CASTLE);
    stage.register(pending, Stage::declaration("parts.csv", b"3001,4"), 10).unwrap();
    let before = calls(&stage);
    assert!(stage.finalize(pending, "Castle").is_err());
    assert_eq!(calls(&stage), before);
}

#[test]
fn a_file_that_was_verified_is_not_read_whole_again() {
    let stage = Stage::default();
    let id = stage.session().id;
    announced(&stage, id, "castle.pdf", CASTLE, CASTLE);
    announced(&stage, id, "tower.pdf", TOWER, TOWER);
    announced(&stage, id, "wrong.pdf", CASTLE, TOWER);
    assert!(matches!(kind(stage.finalize(id, "Castle")), ErrorKind::ChecksumMismatch { .. }));
    announced(&stage, id, "wrong.pdf", TOWER, TOWER);
    stage.store_faults.before("INSERT INTO mocs", 1..=3, moc_store::SqlError::unavailable("broken"));
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
    let read = stage.bucket_faults.count("scan");
    stage.store_faults.before("INSERT INTO mocs", 1..=3, moc_store::SqlError::unavailable("broken"));
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
    assert_eq!(stage.bucket_faults.count("scan"), read);
    assert_eq!(stage.finalize(id, "Castle").unwrap().moc.files.len(), 3);
}

/// An object under another ETag is other bytes.
#[test]
fn what_was_verified_counts_for_its_etag() {
    let stage = Stage::default();
    let id = stage.session().id;
    announced(&stage, id, "castle.pdf", CASTLE, CASTLE);
    stage.store_faults.before("INSERT INTO mocs", 1..=3, moc_store::SqlError::unavailable("broken"));
    assert_eq!(kind(stage.finalize(id, "Castle")), ErrorKind::StoreUnavailable);
    let key = &stage.files(id)[0].key;
    let other = b"%PDF-1.7 CASTLE";
    run(moc_application::port::Bucket::put(&stage.memory, key, "application/pdf", other)).unwrap();
    assert!(matches!(kind(stage.finalize(id, "Castle")), ErrorKind::ChecksumMismatch { .. }));
}

#[test]
fn a_session_is_cleared_once() {
    let stage = Stage::default();
    let session = stage.uploaded();
    stage.register(session.id, Stage::declaration("parts.csv", b"3001,4"), 10).unwrap();
    stage.cancel(session.id).unwrap();
    let another = stage.another();
    for _ in 0..20 {
        another.cancel(session.id).unwrap();
    }
    assert_eq!(calls(&another), 0);
    assert_eq!(stage.files(session.id).len(), 2);
}

#[test]
fn a_cancellation_goes_on_with_what_is_not_clear() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let file = stage.register(session.id, Stage::declaration("parts.csv", b"3001,4"), 10).unwrap();
    stage.bucket_faults.before("abort_upload", 1..=3, BucketError::Unavailable("503".into()));
    assert_eq!(stage.cancel(session.id).unwrap_err().kind, ErrorKind::BucketUnavailable);
    let another = stage.another();
    another.cancel(session.id).unwrap();
    assert_eq!((calls(&another), another.bucket_faults.count(&file.key)), (2, 2));
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![], vec![]));
}

/// Nothing may be left behind because its record could not be written.
#[test]
fn a_file_counts_as_cleared_only_if_the_store_says_so() {
    let stage = Stage::default();
    let session = stage.uploaded();
    stage.store_faults.before("cleared = 1", 1..=3, moc_store::SqlError::unavailable("broken"));
    stage.cancel(session.id).unwrap();
    let another = stage.another();
    another.cancel(session.id).unwrap();
    assert_eq!(another.bucket_faults.count("delete"), 1);
}

#[test]
fn a_finalize_that_waits_looks_at_the_store_a_few_times() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.bucket_faults.slow("head", 1..=1, &stage.platform, 2 * FINALIZE_WAIT_MS);
    let (began, another) = (stage.platform.now(), stage.another());
    let waiting = async {
        let rejected = another.finalizing(id, "Castle").await;
        (kind(rejected), another.platform.now().millis_since(began).unsigned_abs())
    };
    let (first, waited) = run(join(stage.finalizing(id, "Castle"), waiting));
    assert_eq!(waited, (ErrorKind::FinalizeInProgress, FINALIZE_WAIT_MS));
    assert!(first.is_ok());
    let looks = another.store_faults.count("SELECT");
    assert!(looks <= 50, "{looks}");
}

fn undecodable() -> ThumbnailError {
    ThumbnailError::Undecodable("no PNG".into())
}

fn failed() -> ThumbnailError {
    ThumbnailError::Failed("503".into())
}

#[test]
fn a_picture_that_cannot_be_decoded_is_decoded_once() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    thumbnails.fail(std::iter::repeat_n(undecodable(), 120));
    for _ in 0..120 {
        let _ = stage.thumbnail(&thumbnails, &stage.finalize(moc.session_id, "Castle").unwrap().moc);
        stage.platform.advance(THUMBNAIL_LEASE_MS);
    }
    assert_eq!(thumbnails.pictures().len(), 1);
    let failed = FailedThumbnail { moc: moc.id, cause: "no PNG".into(), is_retried: false };
    assert_eq!(thumbnails.failed_attempts(), [failed]);
}

#[test]
fn of_finalizes_at_once_one_decodes() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    let (others, made, found) = (stage.another(), thumbnails.clone(), moc.clone());
    thumbnails.meanwhile(move || {
        for _ in 0..20 {
            others.thumbnail(&made, &found).unwrap();
        }
    });
    stage.thumbnail(&thumbnails, &moc).unwrap();
    assert_eq!((thumbnails.pictures().len(), stage.has_thumbnail(&moc)), (1, true));
    // A MOC with a thumbnail gets no other one.
    stage.thumbnail(&thumbnails, &moc).unwrap();
    assert_eq!(thumbnails.pictures().len(), 1);
}

/// Whoever finds no room leaves its picture, and the one at work goes on with it.
#[test]
fn one_picture_is_decoded_at_a_time() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let mocs: Vec<Moc> = (0..5).map(|number| stage.pictured(&format!("Castle {number}"))).collect();
    let (another, made, rest) = (stage.another(), thumbnails.clone(), mocs[1..].to_vec());
    thumbnails.meanwhile(move || {
        for moc in &rest {
            another.thumbnail(&made, moc).unwrap();
        }
        assert_eq!(made.pictures().len(), 1);
    });
    stage.thumbnail(&thumbnails, &mocs[0]).unwrap();
    assert_eq!(thumbnails.pictures().len(), 5);
    assert!(mocs.iter().all(|moc| stage.has_thumbnail(moc)));
}

/// Between the last claim of the one at work and its leave, another one finds no room.
#[test]
fn no_picture_is_left_behind_by_the_one_that_leaves() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let mocs = [stage.pictured("Castle"), stage.pictured("Tower")];
    let (another, made, second) = (stage.another(), thumbnails.clone(), mocs[1].clone());
    stage.store_faults.meanwhile("UPDATE thumbnail_slots SET holder = NULL", 1, move || {
        another.thumbnail(&made, &second).unwrap();
        assert_eq!(made.pictures().len(), 1);
    });
    stage.thumbnail(&thumbnails, &mocs[0]).unwrap();
    assert!(mocs.iter().all(|moc| stage.has_thumbnail(moc)));
}

#[test]
fn a_thumbnail_that_fails_is_attempted_three_times() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    thumbnails.fail(std::iter::repeat_n(failed(), 10));
    assert!(stage.thumbnail(&thumbnails, &moc).is_err());
    for pause_ms in THUMBNAIL_PAUSES_MS {
        let before = thumbnails.pictures().len();
        stage.platform.advance(pause_ms - 1);
        stage.thumbnail(&thumbnails, &moc).unwrap();
        assert_eq!(thumbnails.pictures().len(), before);
        stage.platform.advance(1);
        assert!(stage.thumbnail(&thumbnails, &moc).is_err());
        assert_eq!(thumbnails.pictures().len(), before + 1);
    }
    stage.platform.advance(24 * 3_600_000);
    stage.thumbnail(&thumbnails, &moc).unwrap();
    let retried: Vec<bool> = thumbnails.failed_attempts().into_iter().map(|failed| failed.is_retried).collect();
    assert_eq!(retried, [true, true, false]);
}

/// Another session's finalize retries: nobody has to ask again.
#[test]
fn an_interrupted_thumbnail_is_made_when_its_lease_has_ended() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    let now = stage.platform.now();
    run(stage.store.want_thumbnail(moc.id, now)).unwrap();
    let crashed = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.claim_thumbnail(crashed, moc.id, now)).unwrap().is_some());
    let other = stage.finalize(stage.uploaded().id, "Tower").unwrap().moc;
    stage.platform.advance(THUMBNAIL_LEASE_MS - 1);
    stage.thumbnail(&thumbnails, &other).unwrap();
    assert_eq!(thumbnails.pictures().len(), 0);
    stage.platform.advance(1);
    stage.thumbnail(&thumbnails, &other).unwrap();
    assert!(stage.has_thumbnail(&moc));
}

#[test]
fn a_thumbnail_whose_every_attempt_is_interrupted_is_given_up() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    run(stage.store.want_thumbnail(moc.id, stage.platform.now())).unwrap();
    for _ in 0..THUMBNAIL_ATTEMPTS_MAX {
        let now = stage.platform.now();
        let holder = LockToken::new(now, stage.platform.random());
        assert!(run(stage.store.claim_thumbnail(holder, moc.id, now)).unwrap().is_some());
        stage.platform.advance(THUMBNAIL_LEASE_MS);
    }
    assert!(stage.thumbnail(&thumbnails, &moc).is_err());
    stage.platform.advance(THUMBNAIL_LEASE_MS);
    stage.thumbnail(&thumbnails, &moc).unwrap();
    assert_eq!((thumbnails.pictures().len(), thumbnails.failed_attempts().len()), (0, 1));
}

#[test]
fn a_finalize_makes_no_more_than_its_share_of_thumbnails() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let count = THUMBNAILS_AFTER_RESPONSE_MAX as usize + 2;
    let mocs: Vec<Moc> = (0..count).map(|number| stage.pictured(&format!("Castle {number}"))).collect();
    for moc in &mocs {
        run(stage.store.want_thumbnail(moc.id, stage.platform.now())).unwrap();
    }
    stage.thumbnail(&thumbnails, &mocs[0]).unwrap();
    assert_eq!(thumbnails.pictures().len(), count - 2);
    // It has given its slot back.
    stage.another().thumbnail(&thumbnails, &mocs[0]).unwrap();
    assert_eq!(thumbnails.pictures().len(), count);
}

/// A store that fails does not keep the others out for the length of a lease.
#[test]
fn a_store_that_fails_gives_the_slot_back() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    stage.store_faults.before("FROM mocs m WHERE", 1..=3, moc_store::SqlError::unavailable("broken"));
    assert_eq!(stage.thumbnail(&thumbnails, &moc).unwrap_err().kind, ErrorKind::StoreUnavailable);
    let tower = stage.pictured("Tower");
    stage.thumbnail(&thumbnails, &tower).unwrap();
    assert!(stage.has_thumbnail(&tower));
}

#[test]
fn of_cancellations_at_once_one_clears_the_session() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let (id, others) = (session.id, (0..5).map(|_| stage.another()).collect::<Vec<_>>());
    // Longer than the others may wait.
    stage.bucket_faults.slow("delete", 1..=1, &stage.platform, 2 * FINALIZE_WAIT_MS);
    let waiting = join_all(others.iter().map(|other| other.cancelling(id)));
    let (first, rejected) = run(join(stage.cancelling(id), waiting));
    first.unwrap();
    for rejected in rejected {
        assert_eq!(rejected.unwrap_err().kind, ErrorKind::BucketUnavailable);
    }
    assert_eq!(others.iter().map(calls).sum::<usize>(), 0);
    others[0].cancel(id).unwrap();
}

#[test]
fn a_cancellation_waits_for_the_one_that_clears_the_session() {
    let stage = Stage::default();
    let session = stage.uploaded();
    assert!(run(stage.store.cancel_session(session.id)).unwrap());
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_clearing(session.id, token, now, Timestamp::from_millis(0))).unwrap());
    let (other, id) = (stage.another(), session.id);
    let files: Vec<_> = stage.files(id).into_iter().map(|file| file.id).collect();
    stage.platform.after(3_000, move || {
        run(other.store.clear_files(id, &files)).unwrap();
        run(other.store.unlock_clearing(id, token)).unwrap();
    });
    let before = calls(&stage);
    stage.cancel(id).unwrap();
    assert_eq!(calls(&stage), before);
}

#[test]
fn a_cancellation_that_has_crashed_is_taken_over() {
    let stage = Stage::default();
    let session = stage.uploaded();
    assert!(run(stage.store.cancel_session(session.id)).unwrap());
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_clearing(session.id, token, now, Timestamp::from_millis(0))).unwrap());
    stage.platform.advance(LEASE_MS);
    stage.cancel(session.id).unwrap();
    assert_eq!(stage.memory.keys(), [""; 0]);
}
