//! Hosts with small limits, and hosts that end an instance with its response.

use std::time::{Duration, Instant};

use moc_tests::content::{MIB, pdf};
use moc_tests::fault_proxy::{Fault, FaultProxy, Operation, Times};
use moc_tests::receiver::Receiver;
use moc_tests::{Client, Stack, own_database, own_stack, path, unique_title, wait_for};
use serde_json::{Value, json};

use crate::batch;

const THUMBNAILS: (&str, &str) = ("enable_thumbnail_generation", "true");
const INLINE: (&str, &str) = ("background_work", "inline");
/// Age of a MOC, in milliseconds, from which on the work after its finalize's response is taken for lost.
const LOST_AFTER_MS: i64 = 10_000;
const JPEG: &[u8] = include_bytes!("../../pictures/baseline.jpg");

/// A session with an instruction and a picture.
async fn pictured(client: &Client) -> String {
    let (session, _) = client.upload_pdf(1_000).await;
    let _ = client.upload(&session, "a.jpg", "image", "image/jpeg", JPEG).await;
    session
}

/// The URL of a MOC's thumbnail, if it has one.
async fn thumbnail_url(client: &Client, moc: &Value) -> Option<String> {
    let moc = client.get(&path::moc(moc["id"].as_str().expect("an id"))).await.success(200);
    moc["thumbnailUrl"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_missing_thumbnail_is_made_by_the_next_request_for_its_moc() {
    own_stack!();
    let before = Stack::start(&[]);
    let client = before.client();
    let moc = client.finalize(&pictured(&client).await, &unique_title()).await.success(201);
    assert_eq!(thumbnail_url(&client, &moc).await, None);
    let after = Stack::start_next_to_with(&before, &[THUMBNAILS]);
    let client = after.client();
    let ask = async || thumbnail_url(&client, &moc).await;
    let _ = wait_for("a thumbnail", Duration::from_secs(20), ask).await;
}

/// Where the work after the first response was lost, that after another one would be lost too.
#[tokio::test]
async fn a_response_waits_for_a_thumbnail_that_is_overdue() {
    own_database!();
    let before = Stack::start(&[]);
    let client = before.client();
    let moc = client.finalize(&pictured(&client).await, &unique_title()).await.success(201);
    let id = moc["id"].as_str().expect("an id");
    let aged = format!("UPDATE mocs SET created_at = created_at - {LOST_AFTER_MS} WHERE id = '{id}'");
    assert_eq!(before.database().execute(&aged), 1);
    let after = Stack::start_next_to_with(&before, &[THUMBNAILS]);
    assert!(thumbnail_url(&after.client(), &moc).await.is_some());
}

#[tokio::test]
async fn a_response_waits_for_what_would_follow_it() {
    own_stack!();
    let receiver = Receiver::start();
    let (url, origin) = (receiver.url("/hook"), receiver.origin());
    let hook = [("moc_finalize_webhook_url", url.as_str()), ("moc_finalize_webhook_origin", &origin)];
    let stack = Stack::start(&[&hook[..], &[THUMBNAILS, INLINE]].concat());
    let client = stack.client();
    let moc = client.finalize(&pictured(&client).await, &unique_title()).await.success(201);
    assert_eq!(receiver.received_of(moc["id"].as_str().expect("an id")).len(), 1);
    assert!(thumbnail_url(&client, &moc).await.is_some());
    // A request for a MOC waits, too, and knows the thumbnail.
    let without = Stack::start_next_to_with(&stack, &[]);
    let session = pictured(&without.client()).await;
    let moc = without.client().finalize(&session, &unique_title()).await.success(201);
    assert!(thumbnail_url(&client, &moc).await.is_some());
}

#[tokio::test]
async fn a_batch_that_the_host_does_not_let_through_is_rejected_with_its_limit() {
    own_stack!();
    let stack = Stack::start(&[("request_max_mb", "6")]);
    let client = stack.client();
    let session = client.create_session().await;
    let bytes = pdf(7 * MIB);
    let file = client.register_pdf(&session, bytes.len()).await;
    let fits = batch::post(&client, &session, &file, batch::form_of(&bytes, &[1])).await;
    assert_eq!(fits.success(200), batch::stored(&bytes, &[1]));
    let large = batch::post(&client, &session, &file, batch::form_of(&bytes, &[1, 2])).await;
    assert_eq!(large.problem(413, "PAYLOAD_TOO_LARGE")["limitBytes"], 6 * MIB);
}

/// A finalize that the host would end keeps no lock; any other request gets a response that says what to do.
#[tokio::test]
async fn a_request_ends_before_the_host_ends_it() {
    own_stack!();
    let proxy = FaultProxy::start(moc_tests::s3_url());
    let stack = Stack::start(&[("s3_endpoint", &proxy.endpoint()), ("request_max_seconds", "4")]);
    let client = stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let began = Instant::now();
    proxy.fail(Operation::Head, "", Times::Always, Fault::Hold);
    let _ = client.finalize(&session, &unique_title()).await.problem(503, "BUSY");
    proxy.fail(Operation::Create, "b.pdf", Times::Always, Fault::Hold);
    let declared = json!({ "fileKey": "b.pdf", "fileSizeBytes": 9 });
    let reply = client.post(&path::files(&session), &declared).await;
    let problem = reply.problem(503, "BUSY");
    assert_eq!((&problem["retryable"], reply.header("retry-after").is_some()), (&json!(true), true));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    proxy.lift("");
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}
