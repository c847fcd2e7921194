//! Hosts that end a request after some time, and the work after a response at once.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::deliver_webhook::{self, DeliveryOutcome, Swept};
use moc_application::make_thumbnail::{self, Share, Turn};
use moc_application::port::{
    Bucket as _, Outbox as _, Platform as _, Sessions as _, ThumbnailError, ThumbnailQueue as _,
};
use moc_domain::error::ErrorKind;
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{
    LOOK_PAUSE_MS, READ_ALONE_BELOW_MS, THUMBNAIL_ATTEMPTS_MAX, THUMBNAIL_LEASE_MS, THUMBNAIL_LOST_AFTER_MS,
    THUMBNAIL_MAX_MS, THUMBNAIL_MIN_MS, THUMBNAIL_OVERDUE_MAX_MS, THUMBNAIL_PAUSES_MS, WEBHOOK_ATTEMPT_TIMEOUT_MS,
    WEBHOOK_LEASE_MS, WEBHOOK_SWEEP_MAX,
};
use moc_domain::moc::Moc;
use moc_domain::session::Status;
use moc_domain::time::Timestamp;
use moc_fakes::stage::run;
use moc_fakes::{MemoryReceiver, MemoryThumbnails, Stage};

const CASTLE: &[u8] = b"%PDF-1.7 castle";
const TOWER: &[u8] = b"%PDF-1.7 a tall tower";
/// What a host of 30 seconds leaves to a use case.
const REQUEST_MS: i64 = 25_000;
/// The statement that looks whether a thumbnail is to be made.
const LOOK: &str = "FROM thumbnail_slots s LEFT JOIN thumbnails";

/// Uploads a file whose announced checksum only a read of the whole object can verify.
fn announced(stage: &Stage, id: SessionId, name: &str, bytes: &[u8]) {
    let mut declared = Stage::declaration(name, bytes);
    declared.checksums = moc_fakes::checksums(bytes, false, true);
    stage.upload(id, declared, bytes);
}

#[test]
fn a_finalize_that_runs_out_of_time_keeps_what_it_verified_and_gives_its_lock_back() {
    let stage = Stage::default();
    let id = stage.session().id;
    // Registered first, and read last: small objects come first.
    announced(&stage, id, "tower.pdf", TOWER);
    announced(&stage, id, "castle.pdf", CASTLE);
    let platform = stage.platform.clone();
    stage.bucket_faults.meanwhile("scan", 1, move || platform.advance(20_000));
    stage.bucket_faults.hang("scan", 2..=2);
    let began = stage.platform.now();
    stage.platform.end_after(REQUEST_MS);
    assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(stage.platform.now().millis_since(began), REQUEST_MS);
    assert_eq!(stage.session_now(id).status, Status::Active);

    stage.platform.end_after(REQUEST_MS);
    assert_eq!(stage.finalize(id, "Castle").unwrap().moc.files.len(), 2);
    let scans = |name: &str| {
        let key = stage.files(id).into_iter().find(|file| file.name == name).unwrap().key;
        let calls = stage.bucket_faults.calls();
        calls.iter().filter(|call| call.operation == "scan" && call.target == key).count()
    };
    assert_eq!((scans("castle.pdf"), scans("tower.pdf")), (1, 2));
}

/// Side by side all reads may be interrupted, each time; with enough time they are faster so.
#[test]
fn files_are_read_one_after_the_other_only_if_little_time_is_left() {
    for (left_ms, read) in [(READ_ALONE_BELOW_MS - 1, 1), (READ_ALONE_BELOW_MS, 2)] {
        let stage = Stage::default();
        let id = stage.session().id;
        announced(&stage, id, "tower.pdf", TOWER);
        announced(&stage, id, "castle.pdf", CASTLE);
        stage.bucket_faults.hang("scan", 1..=1);
        stage.platform.end_after(i64::try_from(left_ms).unwrap());
        assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::Busy);
        assert_eq!(stage.bucket_faults.count("scan"), read, "{left_ms} ms");
    }
}

#[test]
fn a_finalize_waits_for_another_one_as_long_as_its_request_may_last() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    let now = stage.platform.now();
    let token = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.lock_session(id, token, now, Timestamp::from_millis(0))).unwrap());
    stage.platform.end_after(4_000);
    assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::FinalizeInProgress);
    assert_eq!(stage.platform.now().millis_since(now), 4_000);
}

#[test]
fn a_cancellation_that_runs_out_of_time_goes_on_with_the_next_call() {
    let stage = Stage::default();
    let session = stage.uploaded();
    let file = stage.register(session.id, Stage::declaration("parts.csv", b"3001,4"), 10).unwrap();
    stage.bucket_faults.hang("abort_upload", 1..=1);
    stage.platform.end_after(REQUEST_MS);
    assert_eq!(stage.cancel(session.id).unwrap_err().kind, ErrorKind::Busy);
    let another = stage.another();
    another.cancel(session.id).unwrap();
    let calls = another.bucket_faults.calls();
    assert!(calls.iter().all(|call| call.target == file.key), "{calls:?}");
    assert_eq!((stage.memory.keys(), stage.memory.uploads()), (vec![], vec![]));
}

/// The object may yet appear: a file is given up only after all looks.
#[test]
fn nothing_follows_from_looks_that_are_interrupted() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", CASTLE);
    stage.send(&file, CASTLE);
    run(stage.memory.abort_upload(&file.key, &file.upload_id)).unwrap();
    stage.platform.end_after(2 * i64::try_from(LOOK_PAUSE_MS).unwrap());
    assert_eq!(stage.complete(&file, None).unwrap_err().kind, ErrorKind::Busy);
    assert!(stage.file_now(&file).is_some());
}

#[test]
fn an_attempt_ends_before_its_request_and_a_short_one_is_not_begun() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    let min_ms = i64::try_from(THUMBNAIL_MIN_MS).unwrap();
    stage.platform.end_after(min_ms - 1);
    stage.thumbnail(&thumbnails, &moc).unwrap();
    assert_eq!(thumbnails.limits_ms(), [0; 0]);
    // The slot is free, and the thumbnail due.
    thumbnails.fail([ThumbnailError::Failed("503".into())]);
    stage.platform.end_after(REQUEST_MS);
    assert!(stage.thumbnail(&thumbnails, &moc).is_err());
    stage.platform.advance(THUMBNAIL_PAUSES_MS[0]);
    stage.platform.end_after(24 * 3_600_000);
    stage.thumbnail(&thumbnails, &moc).unwrap();
    assert_eq!(thumbnails.limits_ms(), [REQUEST_MS.unsigned_abs(), THUMBNAIL_MAX_MS]);
    assert!(stage.has_thumbnail(&moc));
}

#[test]
fn a_picture_that_does_not_fit_into_a_request_is_given_up() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    thumbnails.limit_source(20);
    assert!(stage.thumbnail(&thumbnails, &moc).is_err());
    let failed = &thumbnails.failed_attempts()[0];
    assert_eq!((failed.cause.as_str(), failed.is_retried), ("its picture has more than 20 bytes", false));
    assert_eq!(thumbnails.pictures(), [""; 0]);
}

#[test]
fn a_missing_thumbnail_is_made_by_the_next_request_for_its_moc() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    assert_eq!(stage.look(&thumbnails, moc.id).unwrap(), Turn::Ours { is_overdue: false });
    assert!(stage.has_thumbnail(&moc));
    // From then on requests cost no statement more.
    let another = stage.another();
    assert_eq!(another.look(&thumbnails, moc.id).unwrap(), Turn::Nobodys);
    assert_eq!((another.store_faults.count(LOOK), another.store_faults.count("")), (0, 1));
    assert_eq!(thumbnails.pictures().len(), 1);
}

fn turn(stage: &Stage, moc: &Moc) -> Turn {
    run(make_thumbnail::turn(&*stage.store, &stage.platform, moc)).unwrap()
}

/// Where no work after a response gets done, a response has to wait for it.
#[test]
fn a_thumbnail_that_nobody_has_made_for_long_is_overdue() {
    let stage = Stage::default();
    let moc = stage.pictured("Castle");
    stage.platform.advance(THUMBNAIL_LOST_AFTER_MS - 1);
    assert_eq!(turn(&stage, &moc), Turn::Ours { is_overdue: false });
    stage.platform.advance(1);
    assert_eq!(turn(&stage, &moc), Turn::Ours { is_overdue: true });
    run(stage.store.want_thumbnail(moc.id, stage.platform.now())).unwrap();
    assert_eq!(turn(&stage, &moc), Turn::Ours { is_overdue: true });
}

/// Work after responses gets done there.
#[test]
fn a_thumbnail_whose_attempt_has_failed_is_not_overdue() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    thumbnails.fail([ThumbnailError::Failed("503".into())]);
    assert!(stage.thumbnail(&thumbnails, &moc).is_err());
    stage.platform.advance(THUMBNAIL_PAUSES_MS[0].max(THUMBNAIL_LOST_AFTER_MS));
    assert_eq!(turn(&stage, &moc), Turn::Ours { is_overdue: false });
    // The next attempt is interrupted.
    let now = stage.platform.now();
    let holder = LockToken::new(now, stage.platform.random());
    assert!(run(stage.store.claim_thumbnail(holder, moc.id, now)).unwrap().is_some());
    stage.platform.advance(THUMBNAIL_LEASE_MS);
    assert_eq!(turn(&stage, &moc), Turn::Ours { is_overdue: true });
}

#[test]
fn a_response_waits_for_its_own_thumbnail_alone() {
    for (share, limit_ms) in [(Share::OVERDUE, THUMBNAIL_OVERDUE_MAX_MS), (Share::INLINE, THUMBNAIL_MAX_MS)] {
        let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
        let [castle, tower, gate] = ["Castle", "Tower", "Gate"].map(|title| stage.pictured(title));
        for other in [&castle, &tower] {
            run(stage.store.want_thumbnail(other.id, stage.platform.now())).unwrap();
            stage.platform.advance(THUMBNAIL_LOST_AFTER_MS);
        }
        run(make_thumbnail::run(&*stage.store, &thumbnails, &stage.platform, &gate, share)).unwrap();
        assert_eq!([&castle, &tower, &gate].map(|moc| stage.has_thumbnail(moc)), [false, false, true]);
        assert_eq!(thumbnails.limits_ms(), [limit_ms]);
        // The slot is free, and the others are due.
        assert_eq!(turn(&stage, &castle), Turn::Ours { is_overdue: true });
    }
}

#[test]
fn an_overdue_thumbnail_takes_no_longer_than_its_request() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    stage.platform.end_after(i64::try_from(THUMBNAIL_MIN_MS).unwrap());
    run(make_thumbnail::run(&*stage.store, &thumbnails, &stage.platform, &moc, Share::OVERDUE)).unwrap();
    assert_eq!(thumbnails.limits_ms(), [THUMBNAIL_MIN_MS]);
}

#[test]
fn requests_for_a_moc_decode_as_often_as_finalizes_do() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let moc = stage.pictured("Castle");
    thumbnails.fail(std::iter::repeat_n(ThumbnailError::Failed("503".into()), 100));
    for _ in 0..100 {
        let _ = stage.look(&thumbnails, moc.id);
        stage.platform.advance(THUMBNAIL_LEASE_MS);
    }
    assert_eq!(thumbnails.pictures().len(), THUMBNAIL_ATTEMPTS_MAX as usize);
    // It was given up, and the MOC itself says so.
    let another = stage.another();
    assert_eq!(another.look(&thumbnails, moc.id).unwrap(), Turn::Nobodys);
    assert_eq!(another.store_faults.count(""), 1);
}

/// Nothing is to be done: another request makes it, or another thumbnail, or the pause after an attempt lasts.
#[test]
fn a_request_for_a_moc_that_has_nothing_to_do_costs_one_statement() {
    let (stage, thumbnails) = (Stage::default(), MemoryThumbnails::default());
    let mocs = [stage.pictured("Castle"), stage.pictured("Tower")];
    let now = stage.platform.now();
    let holder = LockToken::new(now, stage.platform.random());
    run(stage.store.want_thumbnail(mocs[0].id, now)).unwrap();
    let claim = run(stage.store.claim_thumbnail(holder, mocs[0].id, now)).unwrap().unwrap();
    let costs_one = |id| {
        let another = stage.another();
        assert_eq!(another.look(&thumbnails, id).unwrap(), Turn::Nobodys);
        assert_eq!((another.store_faults.count(LOOK), another.store_faults.count("")), (1, 2));
    };
    mocs.iter().for_each(|moc| costs_one(moc.id));
    run(stage.store.end_thumbnail(claim, Some(now.plus_millis(5_000)), "503")).unwrap();
    run(stage.store.leave_thumbnails(holder, now)).unwrap();
    costs_one(mocs[0].id);
    assert_eq!(stage.look(&thumbnails, mocs[1].id).unwrap(), Turn::Ours { is_overdue: false });
}

/// The webhook is a row that was inserted with the MOC: a sender that is never called loses none.
#[test]
fn every_webhook_is_delivered_where_nothing_follows_a_response() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let publish = |number: usize| stage.finalize(stage.uploaded().id, &format!("Castle {number}")).unwrap().moc.id;
    let mut mocs: Vec<_> = (0..20).map(publish).collect();
    // One was interrupted between its claim and its end.
    assert!(run(stage.store.claim(mocs[0], stage.platform.now())).unwrap().is_some());
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 19, failed: 0 });
    stage.platform.advance(WEBHOOK_LEASE_MS);
    // A later finalize has its own delivered, and the sender sweeps.
    let last = publish(20);
    let delivering = deliver_webhook::run(&*stage.store, &receiver, &stage.platform, last);
    assert_eq!(run(delivering).unwrap(), DeliveryOutcome::Delivered);
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 1, failed: 0 });
    mocs.push(last);
    mocs.sort_unstable();
    let mut received: Vec<_> = receiver.received().into_iter().map(|claim| claim.event.moc).collect();
    received.sort_unstable();
    assert_eq!(received, mocs);
    assert_eq!(run(stage.store.pending()).unwrap(), 0);
}

#[test]
fn a_delivery_leaves_attempts_that_do_not_fit_into_its_request() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = stage.finalize(stage.uploaded().id, "Castle").unwrap().moc.id;
    receiver.fail(2);
    // Time for one attempt, whatever the host says, and for none after its pause.
    stage.platform.end_after(1_000);
    let deliver = || run(deliver_webhook::run(&*stage.store, &receiver, &stage.platform, moc)).unwrap();
    assert_eq!(deliver(), DeliveryOutcome::Left);
    stage.platform.advance(1_000);
    // Time for one more after the pause of two seconds.
    stage.platform.end_after(WEBHOOK_ATTEMPT_TIMEOUT_MS + 2_000);
    assert_eq!(deliver(), DeliveryOutcome::Delivered);
    assert_eq!(stage.platform.slept(), [2_000]);
    let swept = deliver_webhook::sweep(&*stage.store, &receiver, &stage.platform, WEBHOOK_SWEEP_MAX);
    assert_eq!(run(swept).unwrap(), Swept::default());
}
