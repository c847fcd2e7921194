//! `POST …/parts/batch`: several parts in one request.

mod framing;
mod interrupted;
mod memory;
mod rejected;

use moc_tests::content::{PART_BYTES, md5_hex, multipart_etag, noise, pdf};
use moc_tests::{Client, Response, Stack, assert_response, logged_json, own_stack, path, unlimited_requests};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What divides the parts of most tests' batches.
pub(crate) const BOUNDARY: &str = "----batch-of-parts";

/// Parts of `bytes` by their numbers, as the fields of a form.
pub(crate) fn form_of(bytes: &[u8], numbers: &[usize]) -> Vec<u8> {
    let part = |number: usize| bytes.chunks(PART_BYTES).nth(number - 1).expect("a part");
    let fields: Vec<(String, &[u8])> = numbers.iter().map(|number| (format!("part{number}"), part(*number))).collect();
    form(&fields.iter().map(|(name, part)| (name.as_str(), *part)).collect::<Vec<_>>())
}

/// Fields by their names, as browsers send them.
pub(crate) fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in fields {
        let disposition = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"");
        let head = format!("--{BOUNDARY}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// The `Content-Type` of those forms.
pub(crate) fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Sends a batch.
pub(crate) async fn post(client: &Client, session: &str, file: &str, body: impl Into<Body>) -> Response {
    let request = client.request(Method::POST, &path::batch(session, file)).header("content-type", content_type());
    client.send(request.body(body)).await
}

/// The response to a batch of these parts of `bytes`, all of them stored.
pub(crate) fn stored(bytes: &[u8], numbers: &[usize]) -> Value {
    let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
    let part = |number: &usize| json!({ "partNumber": number, "etag": format!("\"{}\"", md5_hex(parts[number - 1])) });
    numbers.iter().map(part).collect()
}

/// Number, status and code of each part that a problem lists.
pub(crate) fn outcomes(problem: &Value) -> Vec<(u64, &str, Option<&str>)> {
    let part = |part: &'_ Value| part["partNumber"].as_u64().expect("a number");
    let parts = problem["parts"].as_array().expect("a list of parts");
    parts.iter().map(|of| (part(of), of["status"].as_str().expect("a status"), of["code"].as_str())).collect()
}

/// Completes a file and compares its object.
pub(crate) async fn ends_well(client: &Client, session: &str, file: &str, bytes: &[u8]) {
    let _ = client.complete(session, file).await.success(200);
    let bucket = Stack::shared().bucket();
    let object = bucket.get(&bucket.key_of(session, file).await).await;
    assert!(object.is_some_and(|object| object == bytes), "byte for byte");
}

#[tokio::test]
async fn bu_hp_001_batch_upload_of_three_parts() {
    unlimited_requests!();
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 77);
    let file = client.register_pdf(&session, bytes.len()).await;
    let reply = post(&client, &session, &file, form_of(&bytes, &[1, 2, 3])).await;
    assert_eq!(reply.success(200), stored(&bytes, &[1, 2, 3]));
    assert_response!("batch", reply);
    let list = client.get(&path::parts(&session, &file)).await.success(200);
    let sizes: Vec<u64> =
        list["parts"].as_array().expect("parts").iter().filter_map(|p| p["sizeBytes"].as_u64()).collect();
    assert_eq!(sizes, [PART_BYTES as u64, PART_BYTES as u64, 77]);
    let completed = client.complete(&session, &file).await.success(200);
    assert_eq!(completed["etag"], multipart_etag(bytes.chunks(PART_BYTES)));
    ends_well(&client, &session, &file, &bytes).await;
}

#[tokio::test]
async fn the_fields_may_come_in_any_order() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 1);
    let file = client.register_pdf(&session, bytes.len()).await;
    let reply = post(&client, &session, &file, form_of(&bytes, &[2, 1])).await;
    assert_eq!(reply.success(200), stored(&bytes, &[1, 2]));
    ends_well(&client, &session, &file, &bytes).await;
}

#[tokio::test]
async fn a_part_that_no_batch_had_is_missing() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 9);
    let file = client.register_pdf(&session, bytes.len()).await;
    let reply = post(&client, &session, &file, form_of(&bytes, &[3, 1])).await;
    assert_eq!(reply.success(200), stored(&bytes, &[1, 3]));
    let problem = client.complete(&session, &file).await.problem(400, "PART_COUNT_MISMATCH");
    assert_eq!(problem["missing"], json!([2]));
    // A route of single parts and this one are two ways into the same file.
    let part = bytes[PART_BYTES..2 * PART_BYTES].to_vec();
    let _ = client.put_part(&session, &file, 2, part).await.success(200);
    ends_well(&client, &session, &file, &bytes).await;
}

#[tokio::test]
async fn a_part_of_a_later_batch_replaces_the_one_before_and_counts_once() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let (first, second) = (pdf(3000), [b"%PDF-2.0\n".to_vec(), noise(2991, 7)].concat());
    let file = client.register_pdf(&session, 3000).await;
    let _ = post(&client, &session, &file, form_of(&first, &[1])).await.success(200);
    let reply = post(&client, &session, &file, form_of(&second, &[1])).await;
    assert_eq!(reply.success(200), stored(&second, &[1]));
    let progress = &client.get(&path::session(&session)).await.success(200)["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(1), &json!(3000)));
    ends_well(&client, &session, &file, &second).await;
}

/// The SHA-256 of an only part is the file's, and finalize knows it without reading the object.
#[tokio::test]
async fn finalize_knows_the_sha_256_of_a_part_that_came_in_a_batch() {
    let client = Stack::shared().client();
    for (meant, is_right) in [(pdf(4000), true), (noise(4000, 1), false)] {
        let session = client.create_session().await;
        let checksums = json!({ "sha256": hex::encode(Sha256::digest(&meant)) });
        let body = json!({ "fileKey": "castle.pdf", "fileSizeBytes": 4000, "checksums": checksums });
        let file = client.post(&path::files(&session), &body).await.text_of("fileId");
        let bytes = pdf(4000);
        let _ = post(&client, &session, &file, form_of(&bytes, &[1])).await.success(200);
        let _ = client.complete(&session, &file).await.success(200);
        let reply = client.finalize(&session, &moc_tests::unique_title()).await;
        if is_right {
            let _ = reply.success(201);
        } else {
            let problem = reply.problem(400, "CHECKSUM_MISMATCH");
            assert_eq!(problem["actual"], hex::encode(Sha256::digest(&bytes)));
        }
    }
}

#[tokio::test]
async fn logs_a_batch_in_one_line() {
    own_stack!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let request = client.request(Method::POST, &path::batch(&session, &file)).header("content-type", content_type());
    let id = format!("batch-{session}");
    let reply = client.send(request.header("x-request-id", &id).body(form_of(&bytes, &[2, 1]))).await;
    let _ = reply.success(200);
    let line = stack.logged(&format!("\"requestId\":\"{id}\"")).await;
    let line: Value = logged_json(&line);
    assert_eq!((&line["route"], &line["status"]), (&json!("batch-parts"), &json!(200)), "{line}");
    assert_eq!((&line["session"], &line["file"]), (&json!(session), &json!(file)), "{line}");
    let fields = [&line["parts"], &line["bytes"], &line["partsCompleted"]];
    assert_eq!(fields, [&json!(2), &json!(bytes.len()), &json!(2)], "{line}");
}
