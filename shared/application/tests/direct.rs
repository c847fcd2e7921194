//! Parts that clients put straight into the bucket, and claims that are false.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::BucketError;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, Declaration, File, Progress};
use moc_domain::id::UserId;
use moc_domain::part::PartNumber;
use moc_domain::session::Status;
use moc_fakes::stage::{SESSION_LIFETIME_MAX_MS, STARTED_AT_MS};
use moc_fakes::{BucketOptions, SecondCompletion, Stage};
use moc_store::SqlError;

/// Four parts, the last of one byte.
const BYTES: &[u8] = b"%PDF-1.7 castle of bricks";
const NO_PART: &str = "00000000000000000000000000000000";

fn number(number: u64) -> PartNumber {
    PartNumber::new(number).unwrap()
}

/// A file whose parts are all in the bucket, and recorded in one request.
fn direct(stage: &Stage) -> File {
    let file = stage.registered("castle.pdf", BYTES);
    let etags: Vec<String> =
        (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part).etag.to_string()).collect();
    let parts: Vec<(u16, &str, u64)> =
        (1..).zip(etags.iter().zip(BYTES.chunks(8))).map(|(n, (etag, part))| (n, &**etag, part.len() as u64)).collect();
    stage.claim(&file, &parts).unwrap();
    file
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.kind,
    }
}

fn missing(parts: &[u16]) -> ErrorKind {
    ErrorKind::PartCountMismatch { missing: parts.to_vec() }
}

fn counted(stage: &Stage, file: &File) -> (u16, u64) {
    let file = stage.file_now(file).unwrap();
    (file.parts_completed, file.bytes_completed)
}

fn is_whole(stage: &Stage, file: &File) {
    let completed = stage.complete(file, None).unwrap();
    assert!(completed.file.is_completed() || !completed.idempotent);
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
    assert_eq!(stage.memory.uploads(), []);
}

#[test]
fn completes_a_file_of_recorded_parts() {
    for page_parts in [1, 1_000] {
        let stage = Stage::new(BucketOptions { page_parts, ..BucketOptions::default() });
        let file = direct(&stage);
        assert_eq!(counted(&stage, &file), (4, 25));
        is_whole(&stage, &file);
        stage.finalize(file.session_id, "Castle").unwrap();
    }
}

#[test]
fn counts_recorded_parts_like_parts_that_came_through() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.part(&file, 2, &BYTES[8..16]).unwrap();
    let counts = |progress: &Progress| (progress.parts_completed, progress.bytes_completed);
    let claims = [(1, "a", 8), (2, "b", 8), (4, "d", 1)];
    let claimed = stage.claim(&file, &claims).unwrap();
    assert_eq!(claimed.file.parts_completed, 1);
    assert!(claimed.progress.iter().map(counts).eq([(2, 16), (2, 16), (3, 17)]), "{claimed:?}");
    assert!(stage.claim(&file, &claims).unwrap().progress.iter().map(counts).eq([(3, 17); 3]));
    let parts = [(1, "a"), (2, "b"), (4, "d")].map(|(number, etag)| (number, etag.to_owned()));
    assert_eq!(stage.recorded(&file), parts);
    assert_eq!(counts(&stage.part(&file, 3, &BYTES[16..24]).unwrap().progress), (4, 25));
}

/// One read and one write, whatever the number of parts; the bucket is not asked.
#[test]
fn records_many_parts_by_one_statement() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", &[b'x'; 800]);
    let before = stage.store_faults.count("execute");
    let claims: Vec<(u16, &str, u64)> = (1..=100).map(|number| (number, NO_PART, 8)).collect();
    let progress = stage.claim(&file, &claims).unwrap().progress;
    assert_eq!(stage.store_faults.count("execute") - before, 2);
    assert!((1..).zip(&progress).all(|(number, after)| after.parts_completed == number));
    assert_eq!(stage.bucket_faults.count("list_parts"), 0);
}

#[test]
fn a_lost_result_is_recorded_once() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.after("changed_parts = (SELECT", 1..=1, SqlError::unavailable("broken"));
    let claimed = stage.claim(&file, &[(1, "a", 8), (4, "d", 1)]).unwrap();
    let last = claimed.progress.last().unwrap();
    assert_eq!((last.parts_completed, last.bytes_completed), (2, 9));
    assert_eq!(counted(&stage, &file), (2, 9));
}

#[test]
fn records_all_parts_or_none() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let other_size = ErrorKind::PartSizeMismatch { number: number(4), expected_bytes: 1, actual_bytes: 8 };
    assert_eq!(kind(stage.claim(&file, &[(1, "a", 8), (4, "d", 8)])), other_size);
    assert_eq!(kind(stage.claim(&file, &[(1, "a", 8), (5, "e", 8)])), ErrorKind::InvalidPartNumber { last: 4 });
    assert_eq!(counted(&stage, &file), (0, 0));
}

#[test]
fn accepts_nothing_where_no_part_is_accepted() {
    let stage = Stage::default();
    let file = direct(&stage);
    let asks = |stage: &Stage, file: &File| {
        let recorded = kind(stage.claim(file, &[(1, "a", 8)]));
        assert_eq!(kind(stage.urls(file, &[(number(1), None)], 60)), recorded);
        recorded
    };
    let other = Stage { user: UserId::parse("bob").unwrap(), ..stage.clone() };
    assert_eq!(asks(&other, &file), ErrorKind::NotFound);
    stage.complete(&file, None).unwrap();
    assert_eq!(asks(&stage, &file), ErrorKind::FileAlreadyCompleted);
    let cancelled = stage.registered("castle.pdf", BYTES);
    stage.cancel(cancelled.session_id).unwrap();
    assert_eq!(asks(&stage, &cancelled), ErrorKind::SessionNotActive { status: Status::Cancelled });
    let expired = stage.registered("castle.pdf", BYTES);
    stage.platform.advance(3_600_000);
    assert!(matches!(asks(&stage, &expired), ErrorKind::SessionExpired { .. }));
}

#[test]
fn a_cancellation_in_between_is_told() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let (other, session) = (stage.another(), file.session_id);
    stage.store_faults.meanwhile("changed_parts = (SELECT", 1, move || other.cancel(session).unwrap());
    let rejected = kind(stage.claim(&file, &[(1, "a", 8)]));
    assert_eq!(rejected, ErrorKind::SessionNotActive { status: Status::Cancelled });
}

#[test]
fn recording_extends_the_session() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let before = stage.session_now(file.session_id).expires_at;
    stage.platform.advance(25 * 60_000);
    stage.claim(&file, &[(1, "a", 8)]).unwrap();
    assert!(stage.session_now(file.session_id).expires_at > before);
}

#[test]
fn urls_come_in_the_order_of_their_parts_and_sign_the_md5() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let parts = [(number(4), None), (number(1), Some([7; 16]))];
    let urls = stage.urls(&file, &parts, 60).unwrap();
    assert_eq!(urls.expire_at.as_millis(), STARTED_AT_MS + 60_000);
    assert!(urls.urls[0].contains("partNumber=4") && urls.urls[0].contains("size=1&"), "{:?}", urls.urls);
    assert!(urls.urls[1].contains("partNumber=1") && urls.urls[1].contains("content-md5"), "{:?}", urls.urls);
    let beyond = stage.urls(&file, &[(number(1), None), (number(5), None)], 60);
    assert_eq!(kind(beyond), ErrorKind::InvalidPartNumber { last: 4 });
}

#[test]
fn a_bucket_that_requires_checksums_gets_no_part_without_its_md5() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let parts = [(number(4), None), (number(1), Some([7; 16])), (number(2), None)];
    let ErrorKind::Invalid { errors } = kind(stage.urls_of(&file, &parts, 60, true)) else { panic!("it is rejected") };
    let pointers: Vec<&str> = errors.iter().map(|error| &*error.pointer).collect();
    assert_eq!(pointers, ["/contentMd5/4", "/contentMd5/2"]);
    assert_eq!(stage.urls_of(&file, &parts[1..2], 60, true), stage.urls(&file, &parts[1..2], 60));
}

#[test]
fn no_url_outlives_the_session() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.platform.advance(60_000);
    let week_seconds = 7 * 24 * 3_600;
    let urls = stage.urls(&file, &[(number(1), None)], week_seconds).unwrap();
    assert_eq!(urls.expire_at.as_millis(), STARTED_AT_MS + SESSION_LIFETIME_MAX_MS);
}

#[test]
fn names_claims_of_parts_that_the_bucket_lacks_and_takes_them_back() {
    for page_parts in [1, 1_000] {
        let stage = Stage::new(BucketOptions { page_parts, ..BucketOptions::default() });
        let file = stage.registered("castle.pdf", BYTES);
        stage.direct(&file, 1, &BYTES[..8]).unwrap();
        stage.part(&file, 3, &BYTES[16..24]).unwrap();
        stage.claim(&file, &[(2, NO_PART, 8), (4, NO_PART, 1)]).unwrap();
        assert_eq!(counted(&stage, &file), (4, 25));
        assert_eq!(kind(stage.complete(&file, None)), missing(&[2, 4]));
        assert_eq!(counted(&stage, &file), (2, 16));
        assert_eq!(stage.recorded(&file).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
        // The bucket was never asked for an object, and is not looked at again.
        assert_eq!(stage.bucket_faults.count("complete_upload"), 0);
        let lists = stage.bucket_faults.count("list_parts");
        assert_eq!(kind(stage.complete(&file, None)), missing(&[2, 4]));
        assert_eq!(stage.bucket_faults.count("list_parts"), lists);
        // They can be sent again, either way.
        stage.direct(&file, 2, &BYTES[8..16]).unwrap();
        stage.part(&file, 4, &BYTES[24..]).unwrap();
        is_whole(&stage, &file);
    }
}

#[test]
fn names_claims_where_the_bucket_has_no_part_at_all() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.claim(&file, &[(1, NO_PART, 8), (2, NO_PART, 8), (3, NO_PART, 8), (4, NO_PART, 1)]).unwrap();
    assert_eq!(kind(stage.complete(&file, None)), missing(&[1, 2, 3, 4]));
    assert_eq!((counted(&stage, &file), stage.recorded(&file)), ((0, 0), Vec::new()));
    stage.send(&file, BYTES);
    is_whole(&stage, &file);
}

/// The bucket may not look at the size that its URL is signed for.
#[test]
fn names_parts_that_the_bucket_has_with_another_size() {
    for other in [&b"a"[..], b"more than it has"] {
        let stage = Stage::default();
        let file = direct(&stage);
        let etag = stage.presigned(&file, 2, other).etag;
        stage.claim(&file, &[(2, etag.as_str(), 8)]).unwrap();
        assert_eq!(kind(stage.complete(&file, None)), missing(&[2]));
        assert_eq!(counted(&stage, &file), (3, 17));
        stage.direct(&file, 2, &BYTES[8..16]).unwrap();
        is_whole(&stage, &file);
    }
}

/// A bucket that takes any ETag would make an object of the wrong parts.
#[test]
fn looks_before_a_bucket_that_does_not() {
    let stage = Stage::new(BucketOptions { checks_etags: false, ..BucketOptions::default() });
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.presigned(&file, 2, b"more than it has");
    stage.claim(&file, &[(2, NO_PART, 8)]).unwrap();
    assert_eq!(kind(stage.complete(&file, None)), missing(&[2]));
    stage.part(&file, 2, &BYTES[8..16]).unwrap();
    is_whole(&stage, &file);
}

/// The bucket has the last word.
#[test]
fn a_wrong_etag_is_corrected_unless_the_client_names_it() {
    let stage = Stage::default();
    let file = direct(&stage);
    stage.claim(&file, &[(2, NO_PART, 8)]).unwrap();
    let mut named: Vec<ClaimedPart> =
        (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part)).collect();
    let right = std::mem::replace(&mut named[1].etag, ETag::parse(NO_PART).unwrap());
    let ErrorKind::Invalid { errors } = kind(stage.complete(&file, Some(&named))) else { panic!("no field error") };
    assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/parts/1/etag"]);
    assert_eq!(stage.recorded(&file)[1], (2, right.to_string()));
    assert_eq!(counted(&stage, &file), (4, 25));
    stage.claim(&file, &[(2, NO_PART, 8)]).unwrap();
    is_whole(&stage, &file);
}

#[test]
fn a_part_that_comes_while_the_bucket_is_asked_stays_recorded() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.memory.lose_part(&file.key, number(2));
    stage.claim(&file, &[(2, NO_PART, 8)]).unwrap();
    let (other, same) = (stage.another(), file.clone());
    stage.store_faults.meanwhile("WITH removed", 1, move || {
        other.part(&same, 2, &BYTES[8..16]).unwrap();
    });
    assert_eq!(kind(stage.complete(&file, None)), missing(&[2]));
    assert_eq!(counted(&stage, &file), (4, 25));
    is_whole(&stage, &file);
}

/// The bucket stores other bytes after it has listed the parts.
#[test]
fn a_part_that_changes_after_the_look_is_looked_at_again() {
    for (other, expected) in [(b" tower! ".as_slice(), None), (b"other size", Some(missing(&[2])))] {
        let stage = Stage::default();
        let file = direct(&stage);
        let (another, same) = (stage.another(), file.clone());
        stage.bucket_faults.meanwhile("complete_upload", 1, move || {
            another.presigned(&same, 2, other);
        });
        match expected {
            Some(expected) => assert_eq!(kind(stage.complete(&file, None)), expected),
            None => {
                assert!(!stage.complete(&file, None).unwrap().idempotent);
                let bytes = [&BYTES[..8], other, &BYTES[16..]].concat();
                assert_eq!(stage.memory.object(&file.key), Some(bytes));
            }
        }
    }
}

/// How a bucket that works on a completion shows no parts.
const SILENT_ON_PARTS: [SecondCompletion; 3] =
    [SecondCompletion::NoSuchUpload, SecondCompletion::InvalidPart { lists: false }, SecondCompletion::ListsNothing];

/// The bucket makes the next object so slowly that its client hears nothing.
fn completes_slowly(stage: &Stage) {
    stage.memory.complete_slowly(true);
    stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
}

/// What it has listed before is a part of what there is.
#[test]
fn parts_stay_if_the_bucket_begins_to_complete_them_between_two_pages() {
    for second_completion in SILENT_ON_PARTS {
        for has_claims in [true, false] {
            let options = BucketOptions { second_completion, page_parts: 1, ..BucketOptions::default() };
            let stage = Stage::new(options);
            let file = if has_claims { direct(&stage) } else { stage.registered("castle.pdf", BYTES) };
            if !has_claims {
                stage.send(&file, BYTES);
                // Then the parts are listed.
                stage.bucket_faults.before("complete_upload", 1..=1, BucketError::InvalidPart("InvalidPart".into()));
            }
            let (other, same) = (stage.another(), file.clone());
            stage.bucket_faults.meanwhile("list_parts", 3, move || {
                completes_slowly(&other);
                assert_eq!(kind(other.complete(&same, None)), ErrorKind::BucketUnavailable);
            });
            assert_eq!(kind(stage.complete(&file, None)), ErrorKind::BucketUnavailable, "{second_completion:?}");
            assert_eq!(counted(&stage, &file), (4, 25), "{second_completion:?}");
            stage.memory.reveal();
            is_whole(&stage, &file);
        }
    }
}

/// Then it lists no parts, and the object shows what is right.
#[test]
fn claims_stay_while_the_bucket_completes_them() {
    for second_completion in SILENT_ON_PARTS {
        let stage = Stage::new(BucketOptions { second_completion, ..BucketOptions::default() });
        let file = direct(&stage);
        completes_slowly(&stage);
        for _ in 0..2 {
            assert_eq!(kind(stage.complete(&file, None)), ErrorKind::BucketUnavailable);
            assert_eq!(counted(&stage, &file), (4, 25));
        }
        stage.memory.reveal();
        is_whole(&stage, &file);
    }
}

/// Some parts came through the service; the others are known by the client's list alone.
#[test]
fn records_stay_while_the_bucket_completes_parts_that_are_not_recorded() {
    for second_completion in SILENT_ON_PARTS {
        let stage = Stage::new(BucketOptions { second_completion, ..BucketOptions::default() });
        let file = stage.registered("castle.pdf", BYTES);
        stage.part(&file, 1, &BYTES[..8]).unwrap();
        stage.part(&file, 2, &BYTES[8..16]).unwrap();
        let named: Vec<ClaimedPart> =
            (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part)).collect();
        completes_slowly(&stage);
        for _ in 0..2 {
            assert_eq!(
                kind(stage.complete(&file, Some(&named))),
                ErrorKind::BucketUnavailable,
                "{second_completion:?}"
            );
            assert_eq!(kind(stage.complete(&file, Some(&named[..3]))), missing(&[3, 4]), "{second_completion:?}");
            assert_eq!(counted(&stage, &file), (2, 16), "{second_completion:?}");
        }
        stage.memory.reveal();
        assert!(!stage.complete(&file, Some(&named)).unwrap().idempotent);
        assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
    }
}

#[test]
fn records_stay_if_a_client_names_a_wrong_etag_while_the_bucket_completes() {
    for second_completion in SILENT_ON_PARTS {
        let stage = Stage::new(BucketOptions { second_completion, ..BucketOptions::default() });
        let file = stage.registered("castle.pdf", BYTES);
        let mut named: Vec<ClaimedPart> =
            (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part)).collect();
        stage.send(&file, BYTES);
        named[1].etag = ETag::parse(NO_PART).unwrap();
        completes_slowly(&stage);
        assert_eq!(kind(stage.complete(&file, None)), ErrorKind::BucketUnavailable);
        let rejected = kind(stage.complete(&file, Some(&named)));
        assert!(matches!(rejected, ErrorKind::Invalid { .. }), "{second_completion:?}: {rejected:?}");
        assert_eq!(counted(&stage, &file), (4, 25), "{second_completion:?}");
        stage.memory.reveal();
        is_whole(&stage, &file);
    }
}

/// It was not under way when the file was read, and is when the bucket is asked for its parts.
#[test]
fn records_stay_while_the_bucket_works_on_a_completion_that_has_just_begun() {
    for second_completion in SILENT_ON_PARTS {
        for is_recorded in [true, false] {
            let stage = Stage::new(BucketOptions { second_completion, ..BucketOptions::default() });
            let file = if is_recorded { direct(&stage) } else { stage.registered("castle.pdf", BYTES) };
            let named: Vec<ClaimedPart> =
                (1..).zip(BYTES.chunks(8)).map(|(n, part)| stage.presigned(&file, n, part)).collect();
            let before = counted(&stage, &file);
            let (other, same, all) = (stage.another(), file.clone(), named.clone());
            stage.bucket_faults.meanwhile("list_parts", 1, move || {
                completes_slowly(&other);
                assert_eq!(kind(other.complete(&same, Some(&all))), ErrorKind::BucketUnavailable);
            });
            assert_eq!(
                kind(stage.complete(&file, Some(&named))),
                ErrorKind::BucketUnavailable,
                "{second_completion:?}"
            );
            assert_eq!(counted(&stage, &file), before, "{second_completion:?}");
            stage.memory.reveal();
            assert!(!stage.complete(&file, Some(&named)).unwrap().idempotent);
            assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
        }
    }
}

/// What was computed of a part that came through says nothing of one that a client claims.
#[test]
fn announced_checksums_are_those_of_the_bytes_in_the_bucket() {
    for (bytes, is_right) in [(b"%PDF-1.7", true), (b"%PDF-1.6", false)] {
        let stage = Stage::default();
        let session = stage.session().id;
        let checksums = moc_fakes::checksums(b"%PDF-1.7", false, true);
        let declared = Declaration { checksums, ..Stage::declaration("castle.pdf", b"%PDF-1.7") };
        let file = stage.register(session, declared, 10).unwrap();
        stage.part(&file, 1, b"%PDF-1.7").unwrap();
        stage.direct(&file, 1, bytes).unwrap();
        stage.complete(&file, None).unwrap();
        assert_eq!(stage.finalize(session, "Castle").is_ok(), is_right);
    }
}
