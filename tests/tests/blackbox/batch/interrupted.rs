//! Batches that break off or stall: what was whole is stored, and the client sends the rest.

use std::time::Duration;

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Stack, assert_response, logged_json, own_stack, path, wait_for};
use serde_json::{Value, json};

use super::{content_type, ends_well, form_of, outcomes, post, stored};

/// All of a batch but its last bytes, which are of this part.
const UNSENT_BYTES: usize = 1_000;

#[tokio::test]
async fn the_parts_before_a_cut_are_stored() {
    own_stack!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let body = form_of(&bytes, &[2, 1]);
    let (id, content_type, length) = (format!("cut-batch-{session}"), content_type(), body.len().to_string());
    let headers = [("content-type", content_type.as_str()), ("content-length", &length), ("x-request-id", &id)];
    let mut connection = Connection::start(stack.base_url(), "POST", &path::batch(&session, &file), &headers).await;
    connection.send(&body[..body.len() - UNSENT_BYTES]).await;
    drop(connection);

    // Nobody reads that response; the log has it.
    let line = stack.logged(&format!("\"requestId\":\"{id}\"")).await;
    let line: Value = logged_json(&line);
    assert_eq!((&line["status"], &line["code"]), (&json!(400), &json!("MALFORMED_BODY")), "{line}");
    assert_eq!(client.stored_parts(&session, &file).await, [2]);
    let _ = post(&client, &session, &file, form_of(&bytes, &[1])).await.success(200);
    ends_well(&client, &session, &file, &bytes).await;
}

/// Each part goes to the bucket while the next is still to come.
#[tokio::test]
async fn a_part_is_stored_as_soon_as_it_is_whole() {
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let body = form_of(&bytes, &[2, 1]);
    let (content_type, length) = (content_type(), body.len().to_string());
    let headers = [("content-type", content_type.as_str()), ("content-length", &length)];
    let mut connection = Connection::start(stack.base_url(), "POST", &path::batch(&session, &file), &headers).await;
    let (first, rest) = body.split_at(body.len() - UNSENT_BYTES);
    connection.send(first).await;
    let is_stored = async || (client.stored_parts(&session, &file).await == [2]).then_some(());
    wait_for("part 2", Duration::from_secs(10), is_stored).await;
    connection.send(rest).await;
    assert_eq!(connection.reply().await.success(200), stored(&bytes, &[1, 2]));
}

#[tokio::test]
async fn a_batch_that_stalls_is_not_waited_for() {
    own_stack!();
    let stack = Stack::start(&[("part_timeout_seconds", "1")]);
    let client = stack.client();
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let body = form_of(&bytes, &[2, 1]);
    let (content_type, length) = (content_type(), body.len().to_string());
    let headers = [("content-type", content_type.as_str()), ("content-length", &length)];
    let mut connection = Connection::start(stack.base_url(), "POST", &path::batch(&session, &file), &headers).await;
    connection.send(&body[..body.len() - UNSENT_BYTES]).await;
    let reply = connection.reply().await;
    let problem = reply.problem(408, "REQUEST_TIMEOUT");
    assert!(problem["elapsedMs"].as_u64().is_some_and(|elapsed| (1000..5000).contains(&elapsed)), "{problem}");
    assert_eq!(outcomes(&problem), [(1, "failed", Some("REQUEST_TIMEOUT")), (2, "stored", None)]);
    assert_response!("batch_request_timeout", reply);
    let _ = post(&client, &session, &file, form_of(&bytes, &[1])).await.success(200);
    assert_eq!(client.stored_parts(&session, &file).await, [1, 2]);
}
