//! Parts that are sent together.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::BucketError;
use moc_domain::error::ErrorKind;
use moc_domain::part::PartNumber;
use moc_fakes::{MemoryForm, Stage};
use moc_store::SqlError;

const BYTES: &[u8] = b"%PDF-1.7 castle of bricks and towers";

/// A body with these parts of the file.
fn form(numbers: &[u64]) -> MemoryForm {
    let part = |number: &u64| {
        let index = usize::try_from(*number).unwrap() - 1;
        (PartNumber::new(*number).unwrap(), BYTES.chunks(8).nth(index).unwrap_or(b"x").to_vec())
    };
    MemoryForm::new(numbers.iter().map(part))
}

#[test]
fn stores_parts_in_any_order() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let (taken, emitted) = stage.batch(&file, form(&[3, 1, 5, 2, 4]));
    let taken = taken.unwrap();
    assert_eq!(taken.error(), None);
    let numbers: Vec<u16> = taken.stored().map(|stored| stored.part.number.get()).collect();
    assert_eq!((numbers, emitted.len()), (vec![1, 2, 3, 4, 5], 5));
    stage.complete(&file, None).unwrap();
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(BYTES));
}

/// The bytes are kept until the bucket has them.
#[test]
fn sends_bytes_again_if_the_bucket_is_unavailable() {
    for is_after in [false, true] {
        let stage = Stage::default();
        let file = stage.registered("castle.pdf", BYTES);
        let error = BucketError::Unavailable("503".into());
        if is_after {
            stage.bucket_faults.after("#2", 1..=2, error);
        } else {
            stage.bucket_faults.before("#2", 1..=2, error);
        }
        let (taken, _) = stage.batch(&file, form(&[1, 2, 3]));
        assert_eq!(taken.unwrap().error(), None);
        assert_eq!(stage.bucket_faults.count("#2"), 3);
        assert_eq!(stage.file_now(&file).map(|file| file.parts_completed), Some(3));
    }
}

#[test]
fn a_bucket_that_stays_unavailable_ends_the_batch_and_keeps_the_rest() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.bucket_faults.before("#2", 1..=3, BucketError::Unavailable("503".into()));
    let (taken, emitted) = stage.batch(&file, form(&[1, 2, 3, 4, 5]));
    let taken = taken.unwrap();
    assert_eq!(taken.error().map(|error| &error.kind), Some(&ErrorKind::BucketUnavailable));
    assert_eq!(emitted[0], 1);
    assert!(taken.outcomes.iter().all(|outcome| outcome.stored.is_ok() == (outcome.number.get() != 2)));
    assert_eq!(usize::from(stage.file_now(&file).unwrap().parts_completed), emitted.len());
}

#[test]
fn a_part_of_another_size_fails_alone() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let parts = [(1, b"%PDF-1.7".to_vec()), (2, b"short".to_vec()), (6, b"beyond".to_vec()), (3, b"f bricks".to_vec())];
    let parts = parts.map(|(number, bytes)| (PartNumber::new(number).unwrap(), bytes));
    let (taken, emitted) = stage.batch(&file, MemoryForm::new(parts));
    let taken = taken.unwrap();
    let kinds: Vec<Option<&ErrorKind>> =
        taken.outcomes.iter().map(|outcome| outcome.stored.as_ref().err().map(|error| &error.kind)).collect();
    let number = PartNumber::new(2).unwrap();
    let mismatch = ErrorKind::PartSizeMismatch { number, expected_bytes: 8, actual_bytes: 5 };
    let beyond = ErrorKind::InvalidPartNumber { last: 5 };
    assert_eq!(kinds, [None, Some(&mismatch), None, Some(&beyond)]);
    assert_eq!(emitted, [1, 3]);
}

#[test]
fn a_body_that_breaks_keeps_the_parts_before() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    let (taken, emitted) = stage.batch(&file, form(&[1, 2, 3]).broken_in(1));
    let taken = taken.unwrap();
    assert!(matches!(taken.error().unwrap().kind, ErrorKind::MalformedBody { .. }));
    assert_eq!((taken.outcomes.len(), emitted), (2, vec![1]));
    let (taken, _) = stage.batch(&file, form(&[2, 2]));
    assert!(matches!(taken.unwrap().error().unwrap().kind, ErrorKind::MalformedBody { .. }));
}

#[test]
fn a_batch_without_parts_is_an_error() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    assert_eq!(stage.batch(&file, form(&[])).0.unwrap_err().kind, ErrorKind::BatchEmpty);
}

/// Every part after it would fail as well.
#[test]
fn a_store_that_is_unavailable_ends_the_batch() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.store_faults.before("UPDATE files SET\n      parts_completed", 1..=1_000, SqlError::permanent("broken"));
    let (taken, emitted) = stage.batch(&file, form(&[1, 2, 3, 4, 5]));
    let taken = taken.unwrap();
    assert_eq!(taken.error().unwrap().kind, ErrorKind::StoreUnavailable);
    assert!(taken.outcomes.len() < 5 && emitted.is_empty());
}

#[test]
fn a_completed_file_takes_no_batch() {
    let stage = Stage::default();
    let file = stage.registered("castle.pdf", BYTES);
    stage.send(&file, BYTES);
    stage.complete(&file, None).unwrap();
    assert_eq!(stage.batch(&file, form(&[1])).0.unwrap_err().kind, ErrorKind::FileAlreadyCompleted);
}
