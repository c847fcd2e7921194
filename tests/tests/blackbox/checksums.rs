//! Checksums that come with a part, and those of whole files.

mod files;

use moc_tests::content::{PART_BYTES, content_md5, md5_digest, md5_hex, noise, pdf, sha256_digest};
use moc_tests::{Client, Response, Stack, assert_response, path};
use reqwest::Method;
use serde_json::json;

async fn put(client: &Client, path: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Response {
    let request = client.request(Method::PUT, path).body(bytes.to_vec());
    client.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// Headers that announce these bytes, each algorithm in each form.
fn announcing(bytes: &[u8]) -> Vec<(&'static str, String)> {
    vec![
        ("content-md5", content_md5(bytes)),
        ("content-digest", md5_digest(bytes)),
        ("content-digest", sha256_digest(bytes)),
        ("content-digest", format!("{}, {}", md5_digest(bytes), sha256_digest(bytes))),
        ("content-digest", format!("sha-512=:YWJj:, {}", sha256_digest(bytes))),
    ]
}

#[tokio::test]
async fn the_right_checksum_passes_in_every_form() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES);
    let file = client.register_pdf(&session, 2 * PART_BYTES).await;
    for (name, value) in announcing(&bytes) {
        let reply = put(&client, &path::part(&session, &file, 1), &bytes, &[(name, &value)]).await;
        assert_eq!(reply.success(200)["etag"], format!("\"{}\"", md5_hex(&bytes)), "{name}: {value}");
    }
    let both = [("content-md5", content_md5(&bytes)), ("content-digest", sha256_digest(&bytes))];
    let both = both.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _ = put(&client, &path::part(&session, &file, 2), &bytes, &both).await.success(200);
    assert_eq!(client.stored_parts(&session, &file).await, [1, 2]);
}

#[tokio::test]
async fn small_parts_are_checked_too() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    for size in [9, 4096, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1] {
        let bytes = pdf(size);
        let file =
            client.register(&session, &format!("{size}.pdf"), "instruction", "application/pdf", bytes.len()).await;
        let digest = sha256_digest(&bytes);
        let part = path::part(&session, &file, 1);
        let _ = put(&client, &part, &bytes, &[("content-digest", &digest)]).await.success(200);
        let _ = client.complete(&session, &file).await.success(200);
        assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "{size} byte for byte");
    }
}

#[tokio::test]
async fn a_wrong_part_is_rejected_and_does_not_replace_the_right_one() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let (right, wrong) = (pdf(PART_BYTES), noise(PART_BYTES, 99));
    let registered = client.try_register(&session, "castle.pdf", "instruction", "application/pdf", PART_BYTES).await;
    let (file, upload) = (registered.text_of("fileId"), registered.text_of("uploadId"));
    let part = path::part(&session, &file, 1);
    let key = format!("uploads/dev-user/{session}/{file}/castle.pdf");

    for (index, (name, value)) in announcing(&right).into_iter().enumerate() {
        let problem = put(&client, &part, &wrong, &[(name, &value)]).await.problem(400, "CHECKSUM_MISMATCH");
        assert_eq!(problem["fileId"], json!(file));
        let algorithm = if value.contains("md5=") || name == "content-md5" { "md5" } else { "sha-256" };
        assert_eq!(problem["algorithm"], algorithm, "{name}: {value}");
        assert_ne!(problem["expected"], problem["actual"]);
        if algorithm == "md5" {
            assert_eq!(problem["expected"], json!(md5_hex(&right)));
            assert_eq!(problem["actual"], json!(md5_hex(&wrong)));
        }
        assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new(), "nothing was there before");
        assert_eq!(bucket.parts(&key, &upload).await, Vec::<u16>::new(), "nor at S3");
        if index == 0 {
            assert_response!("part_checksum_mismatch", put(&client, &part, &wrong, &[(name, &value)]).await);
        }
    }

    let _ = client.put(&part, right.clone()).await.success(200);
    for (name, value) in announcing(&right) {
        let _ = put(&client, &part, &wrong, &[(name, &value)]).await.problem(400, "CHECKSUM_MISMATCH");
    }
    let list = client.get(&path::parts(&session, &file)).await.success(200);
    assert_eq!(list["parts"][0]["etag"], format!("\"{}\"", md5_hex(&right)));
    let _ = client.complete(&session, &file).await.success(200);
    assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(right), "byte for byte");
}

#[tokio::test]
async fn one_wrong_checksum_of_two_is_enough() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let (bytes, other) = (pdf(1000), noise(1000, 3));
    let file = client.register_pdf(&session, 1000).await;
    let part = path::part(&session, &file, 1);
    let (md5, sha) = (content_md5(&bytes), sha256_digest(&other));
    let reply = put(&client, &part, &bytes, &[("content-md5", &md5), ("content-digest", &sha)]).await;
    assert_eq!(reply.problem(400, "CHECKSUM_MISMATCH")["algorithm"], "sha-256");
}

#[tokio::test]
async fn rejects_malformed_checksum_headers() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(100);
    let file = client.register_pdf(&session, 100).await;
    let part = path::part(&session, &file, 1);
    let hex_md5 = md5_hex(&bytes);
    let short = format!("sha-256=:{}:", content_md5(&bytes));
    for (name, value) in [
        ("content-md5", ""),
        ("content-md5", "malformed"),
        ("content-md5", "YQ=="),
        ("content-md5", &hex_md5),
        ("content-digest", "sha-256"),
        ("content-digest", "sha-256=abc"),
        ("content-digest", "sha-256=\"abc\""),
        ("content-digest", "sha-256=:!:"),
        ("content-digest", "sha-256=(:YQ==:)"),
        ("content-digest", "=;="),
        ("content-digest", &short),
    ] {
        let reply = put(&client, &part, &bytes, &[(name, value)]).await;
        let problem = reply.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"), "{value}");
        if value == "sha-256=abc" {
            assert_response!("part_malformed_digest", reply);
        }
    }
    let (md5, other) = (content_md5(&bytes), md5_digest(&noise(100, 1)));
    let reply = put(&client, &part, &bytes, &[("content-md5", &md5), ("content-digest", &other)]).await;
    let _ = reply.problem(422, "VALIDATION_ERROR");
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}
