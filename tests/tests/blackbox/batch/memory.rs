//! What batches take of the host's memory.

use futures::future::join_all;
use moc_tests::content::{MIB, PART_BYTES, md5_hex, pdf};
use moc_tests::{Stack, own_stack, unlimited_requests};
use serde_json::json;

use super::{form, form_of, post, stored};

const BATCHES: usize = 10;
/// A batch of 50 MiB with its frame.
const FILE_BYTES: usize = 50 * MIB - 4096;
/// What the host may grow by, its S3 included, even where it gives each batch an instance of its own: four parts
/// a batch, what an instance takes besides, and what is on its way.
const GROWTH_MAX_BYTES: u64 = (BATCHES * (4 * PART_BYTES + 8 * MIB) + 32 * MIB) as u64;

#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
#[tokio::test]
async fn ten_batches_of_50_mib_at_once_take_a_bounded_amount() {
    own_stack!();
    unlimited_requests!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let bytes = pdf(FILE_BYTES);
    let numbers: Vec<usize> = (1..=FILE_BYTES.div_ceil(PART_BYTES)).collect();
    // One copy for all of them: what is measured is the host, but the machine is one.
    let body: &[u8] = Box::leak(form_of(&bytes, &numbers).into_boxed_slice());
    // One that is small, so that what every request takes is there already.
    let session = client.create_session().await;
    let small = client.register(&session, "small.pdf", "instruction", "application/pdf", 10).await;
    let _ = post(&client, &session, &small, form_of(&pdf(10), &[1])).await.success(200);

    let before = stack.reset_memory_peak();
    let batches = (0..BATCHES).map(async |_| {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, FILE_BYTES).await;
        post(&client, &session, &file, body).await
    });
    let replies = join_all(batches).await;
    let growth = stack.memory_peak() - before;
    let expected = stored(&bytes, &numbers);
    for reply in replies {
        assert_eq!(reply.success(200), expected);
    }
    println!("{BATCHES} batches of 50 MiB: {} MiB more than the {} MiB before", growth >> 20, before >> 20);
    assert!(growth < GROWTH_MAX_BYTES, "{} MiB", growth >> 20);
}

/// A part may be as large as a batch: those that are larger than the room of an instance have it one by one.
#[tokio::test]
async fn parts_as_large_as_a_batch_wait_for_each_other() {
    own_stack!();
    unlimited_requests!();
    let stack = Stack::start(&[("multipart_part_size_mb", "100")]);
    let client = stack.client();
    let bytes = pdf(FILE_BYTES);
    let body: &[u8] = Box::leak(form(&[("part1", &bytes)]).into_boxed_slice());
    let batches = (0..3).map(async |_| {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, FILE_BYTES).await;
        post(&client, &session, &file, body).await
    });
    let etag = format!("\"{}\"", md5_hex(&bytes));
    for reply in join_all(batches).await {
        assert_eq!(reply.success(200), json!([{ "partNumber": 1, "etag": etag }]));
    }
}
