//! Checksums of whole files, announced at their registration and checked at finalize.

use moc_tests::content::{PART_BYTES, md5_hex, noise, pdf, sha256_hex};
use moc_tests::fault_proxy::Operation;
use moc_tests::{Client, Response, Stack, assert_response, own_stack, path, unique_title};
use serde_json::{Value, json};

use crate::faults::Faulty;

/// Registers `castle.pdf` with these checksums.
async fn try_register(client: &Client, session: &str, size: usize, checksums: Value) -> Response {
    let body = json!({ "fileKey": "castle.pdf", "fileSizeBytes": size, "checksums": checksums });
    client.post(&path::files(session), &body).await
}

/// Registers `castle.pdf` with these checksums, sends these bytes and completes it; gives its id.
async fn upload(client: &Client, session: &str, bytes: &[u8], checksums: Value) -> String {
    let reply = try_register(client, session, bytes.len(), checksums).await;
    let _ = reply.success(201);
    let file = reply.text_of("fileId");
    client.put_parts(session, &file, bytes).await;
    let _ = client.complete(session, &file).await.success(200);
    file
}

/// A session is rejected for a checksum, and stays as it is.
async fn rejected(client: &Client, session: &str, file: &str, algorithm: &str) -> Response {
    let reply = client.finalize(session, &unique_title()).await;
    let problem = reply.problem(400, "CHECKSUM_MISMATCH");
    assert_eq!((&problem["fileId"], &problem["algorithm"]), (&json!(file), &json!(algorithm)));
    assert_eq!(client.get(&path::session(session)).await.success(200)["status"], "active");
    reply
}

/// What is announced of these bytes, in each form.
fn announced(bytes: &[u8]) -> [Value; 4] {
    let (md5, sha256) = (md5_hex(bytes), sha256_hex(bytes));
    [
        json!({ "md5": md5 }),
        json!({ "sha256": sha256 }),
        json!({ "md5": md5, "sha256": sha256 }),
        json!({ "md5": md5.to_uppercase(), "sha256": sha256.to_uppercase() }),
    ]
}

#[tokio::test]
async fn cs_hp_001_what_was_announced_is_checked_at_finalize() {
    let client = Stack::shared().client();
    for bytes in [pdf(1_000), pdf(2 * PART_BYTES + 1)] {
        for checksums in announced(&bytes) {
            let session = client.create_session().await;
            let _ = upload(&client, &session, &bytes, checksums).await;
            let _ = client.finalize(&session, &unique_title()).await.success(201);
        }
    }
}

#[tokio::test]
async fn cs_err_001_a_wrong_checksum_is_rejected_and_the_file_can_be_sent_again() {
    let client = Stack::shared().client();
    let wrong = noise(10, 1);
    for size in [1_000, 2 * PART_BYTES + 1] {
        let bytes = pdf(size);
        for (algorithm, checksums) in [
            ("md5", json!({ "md5": md5_hex(&wrong) })),
            ("sha-256", json!({ "sha256": sha256_hex(&wrong) })),
            ("sha-256", json!({ "md5": md5_hex(&bytes), "sha256": sha256_hex(&wrong) })),
        ] {
            let session = client.create_session().await;
            let file = upload(&client, &session, &bytes, checksums).await;
            let old = Stack::shared().bucket().key_of(&session, &file).await;
            let reply = rejected(&client, &session, &file, algorithm).await;
            let [expected, actual] = match algorithm {
                "md5" => [md5_hex(&wrong), md5_hex(&bytes)],
                _ => [sha256_hex(&wrong), sha256_hex(&bytes)],
            };
            let problem = reply.problem(400, "CHECKSUM_MISMATCH");
            assert_eq!((&problem["expected"], &problem["actual"]), (&json!(expected), &json!(actual)));
            if size == 1_000 && algorithm == "md5" {
                assert_response!("finalize_checksum_mismatch", reply);
            }

            // Again the same, as long as nothing is done about it.
            rejected(&client, &session, &file, algorithm).await;
            assert!(Stack::shared().bucket().get(&old).await.is_none(), "the wrong object no longer exists");
            let sent_again = upload(&client, &session, &bytes, announced(&bytes)[2].clone()).await;
            assert_ne!(sent_again, file);
            let moc = client.finalize(&session, &unique_title()).await.success(201);
            assert_eq!(moc["files"].as_array().map(Vec::len), Some(1));
            assert_eq!(moc["files"][0]["id"], json!(sent_again));
        }
    }
}

/// What has the right size and start, and was put into the bucket by somebody else. Of one part, S3's ETag says so,
/// which that of the local host does not.
#[tokio::test]
async fn an_object_that_was_replaced_is_found_out() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (bytes, mut other) = (pdf(PART_BYTES + 1), pdf(PART_BYTES + 1));
    other[PART_BYTES] ^= 1;
    for (algorithm, checksums) in ["md5", "sha-256"].into_iter().zip(announced(&bytes)) {
        let session = client.create_session().await;
        let file = upload(&client, &session, &bytes, checksums).await;
        bucket.put(&bucket.key_of(&session, &file).await, other.clone()).await;
        rejected(&client, &session, &file, algorithm).await;
    }
}

#[tokio::test]
async fn parts_sent_past_the_app_are_checked_as_well() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (bytes, wrong) = (pdf(1_000), noise(10, 1));
    for (checksums, status) in
        [(announced(&bytes)[2].clone(), 201), (json!({ "sha256": sha256_hex(&wrong) }), 400), (json!({}), 201)]
    {
        let session = client.create_session().await;
        let body = json!({ "fileKey": "a.pdf", "fileSizeBytes": 1_000, "checksums": checksums, "partCount": 1 });
        let registered = client.post(&path::files(&session), &body).await.success(201);
        let (file, url) = (&registered["fileId"], &registered["presignedUrls"][0]["url"]);
        let (file, url) = (file.as_str().expect("an id"), url.as_str().expect("a URL"));
        let etag = bucket.put_presigned(url, bytes.clone()).await;
        let parts = json!({ "parts": [{ "partNumber": 1, "etag": etag }] });
        let _ = client.post(&path::complete(&session, file), &parts).await.success(200);
        assert_eq!(client.finalize(&session, &unique_title()).await.status, status);
    }
}

#[tokio::test]
async fn a_part_that_was_replaced_counts_as_it_is() {
    let client = Stack::shared().client();
    let (bytes, mut other) = (pdf(1_000), pdf(1_000));
    other[999] ^= 1;
    for (order, status) in [([&other, &bytes], 201), ([&bytes, &other], 400)] {
        let session = client.create_session().await;
        let file = try_register(&client, &session, 1_000, announced(&bytes)[1].clone()).await.text_of("fileId");
        for bytes in order {
            let _ = client.put_part(&session, &file, 1, bytes.clone()).await.success(200);
        }
        let _ = client.complete(&session, &file).await.success(200);
        assert_eq!(client.finalize(&session, &unique_title()).await.status, status);
    }
}

#[tokio::test]
async fn rejects_malformed_checksums() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let (md5, sha256) = (md5_hex(b"a"), sha256_hex(b"a"));
    for (checksums, pointers) in [
        (json!({ "md5": "" }), vec!["/checksums/md5"]),
        (json!({ "md5": sha256 }), vec!["/checksums/md5"]),
        (json!({ "md5": format!("{md5} ") }), vec!["/checksums/md5"]),
        (json!({ "md5": md5.replace('0', "g") }), vec!["/checksums/md5"]),
        (json!({ "sha256": md5 }), vec!["/checksums/sha256"]),
        (json!({ "md5": "x", "sha256": "0x" }), vec!["/checksums/md5", "/checksums/sha256"]),
        (json!({ "md5": 5 }), vec!["/checksums/md5"]),
        (json!("md5"), vec!["/checksums"]),
    ] {
        let problem = try_register(&client, &session, 1, checksums.clone()).await.problem(422, "VALIDATION_ERROR");
        let errors = problem["errors"].as_array().expect("a list");
        let pointed: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        assert_eq!(pointed, pointers, "{checksums}");
    }
    for none in [json!(null), json!({}), json!({ "md5": null, "crc32": "x" })] {
        let session = client.create_session().await;
        let _ = upload(&client, &session, &pdf(10), none).await;
        let _ = client.finalize(&session, &unique_title()).await.success(201);
    }
}

/// A file of one part costs what one without checksums costs; a larger one is read once more, however many checksums
/// it has.
#[tokio::test]
async fn only_files_of_several_parts_are_read_back() {
    own_stack!();
    let Faulty { proxy, stack } = Faulty::shared();
    let client = stack.client();
    for (size, reads) in [(1_000, 0), (PART_BYTES, 0), (PART_BYTES + 1, 1)] {
        let bytes = pdf(size);
        for (checksums, reads) in [(announced(&bytes)[2].clone(), reads), (json!({}), 0)] {
            let session = client.create_session().await;
            let _ = upload(&client, &session, &bytes, checksums).await;
            let _ = client.finalize(&session, &unique_title()).await.success(201);
            let first_bytes = 1;
            assert_eq!(proxy.count(Operation::Get, &session), first_bytes + reads, "{size} bytes");
        }
    }
}

#[tokio::test]
async fn only_a_rejected_file_can_be_registered_again() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(1_000).await;
    let problem = try_register(&client, &session, 1_000, json!({})).await.problem(409, "DUPLICATE_FILE");
    assert_eq!(problem["fileId"], json!(file));
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}
