//! The buckets in memory keep what every bucket promises.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use futures::FutureExt as _;
use moc_application::port::BucketError;
use moc_fakes::{BucketOptions, Faulty, MemoryBucket, Script, conformance};

#[test]
fn a_bucket_in_memory_is_one() {
    let bucket = MemoryBucket::default();
    conformance::all(&bucket, "cases").now_or_never().expect("nothing is waited for");
    assert_eq!(bucket.uploads(), []);
}

#[test]
fn short_pages_hide_nothing() {
    for page_parts in [1, 2, 5] {
        let bucket = MemoryBucket::new(BucketOptions { page_parts, ..BucketOptions::default() });
        conformance::lists_parts_after_any_number(&bucket, "cases").now_or_never().expect("nothing is waited for");
        conformance::lists_open_uploads_of_a_prefix(&bucket, "cases").now_or_never().expect("nothing is waited for");
        conformance::lists_keys_of_a_prefix_in_order(&bucket, "cases").now_or_never().expect("nothing is waited for");
    }
}

#[test]
fn under_kms_etags_are_opaque() {
    let bucket = MemoryBucket::new(BucketOptions { is_etag_of_bytes: false, ..BucketOptions::default() });
    conformance::all(&bucket, "cases").now_or_never().expect("nothing is waited for");
}

#[test]
fn a_script_without_faults_changes_nothing() {
    let bucket = Faulty::new(MemoryBucket::default(), Script::<BucketError>::default());
    conformance::all(&bucket, "cases").now_or_never().expect("nothing is waited for");
}
