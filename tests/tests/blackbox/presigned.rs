//! Parts that go straight to the bucket, by presigned URLs.

use moc_tests::content::{PART_BYTES, multipart_etag, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Client, Response, Stack, assert_response, path};
use serde_json::{Value, json};

async fn register(client: &Client, session: &str, size: usize, urls: u64) -> Response {
    let body = json!({ "fileKey": "castle.pdf", "fileSizeBytes": size, "partCount": urls });
    client.post(&path::files(session), &body).await
}

fn urls(registered: &Value) -> Vec<String> {
    let urls = registered["presignedUrls"].as_array().expect("presigned URLs");
    urls.iter().map(|url| url["url"].as_str().expect("a URL").to_owned()).collect()
}

#[tokio::test]
async fn parts_put_at_presigned_urls_make_the_file() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let bytes = pdf(2 * PART_BYTES + 3);
    let session = client.create_session().await;
    let reply = register(&client, &session, bytes.len(), 3).await;
    let urls = urls(&reply.success(201));
    assert_response!("register_presigned", reply);
    let file = reply.text_of("fileId");

    let mut parts = Vec::new();
    for ((number, part), url) in (1..).zip(bytes.chunks(PART_BYTES)).zip(&urls) {
        let etag = bucket.put_presigned(url, part.to_vec()).await;
        parts.push(json!({ "partNumber": number, "etag": etag }));
    }
    let completed = client.post(&path::complete(&session, &file), &json!({ "parts": parts })).await.success(200);
    assert_eq!(completed["etag"], multipart_etag(bytes.chunks(PART_BYTES)));
    assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "byte for byte");
    let state = client.get(&path::session(&session)).await.success(200);
    let progress = &state["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(3), &json!(2 * PART_BYTES + 3)));
}

#[tokio::test]
async fn some_parts_may_go_either_way() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let bytes = pdf(PART_BYTES + 3);
    let session = client.create_session().await;
    let reply = register(&client, &session, bytes.len(), 1).await;
    let (file, urls) = (reply.text_of("fileId"), urls(&reply.success(201)));
    let first = bucket.put_presigned(&urls[0], bytes[..PART_BYTES].to_vec()).await;
    let second = client.put_part(&session, &file, 2, bytes[PART_BYTES..].to_vec()).await.success(200);
    let parts = json!([{ "partNumber": 1, "etag": first }, { "partNumber": 2, "etag": second["etag"] }]);
    let _ = client.post(&path::complete(&session, &file), &json!({ "parts": parts })).await.success(200);
    assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "byte for byte");
}

#[tokio::test]
async fn etags_of_presigned_parts_are_checked_against_the_bucket() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let reply = register(&client, &session, 9, 1).await;
    let (file, urls) = (reply.text_of("fileId"), urls(&reply.success(201)));
    let complete = async |etag: &str| {
        let parts = json!({ "parts": [{ "partNumber": 1, "etag": etag }] });
        client.post(&path::complete(&session, &file), &parts).await
    };
    let made_up = "d41d8cd98f00b204e9800998ecf8427e";
    assert_eq!(complete(made_up).await.problem(400, "PART_COUNT_MISMATCH")["missing"], json!([1]));
    let etag = bucket.put_presigned(&urls[0], b"%PDF-1.7\n".to_vec()).await;
    let problem = complete(made_up).await.problem(422, "VALIDATION_ERROR");
    match problem["errors"][0]["pointer"].as_str() {
        Some("/parts/0/etag") => drop(complete(&etag).await.success(200)),
        // An S3 that lists parts without their ETags has to be asked to complete them, which shows
        // no more than that one is wrong, and may end the upload.
        pointer => assert_eq!(pointer, Some("/parts")),
    }
}

/// Otherwise any number of bytes would go into the bucket at the URL of a file of 9.
#[tokio::test]
async fn a_presigned_url_takes_the_size_of_its_part_alone() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let bytes = b"%PDF-1.7\n";
    let session = client.create_session().await;
    let reply = register(&client, &session, bytes.len(), 1).await;
    let (file, url) = (reply.text_of("fileId"), urls(&reply.success(201)).remove(0));
    let (origin, target) = url.split_at(url.find("/moc-uploads/").expect("the bucket in the path"));
    // S3 rejects them by their heads. In chunks, nobody announces a length.
    let lengths = ["0", "1", "8", "10", "314572800"].map(|length| ("content-length", length));
    for header in lengths.into_iter().chain([("transfer-encoding", "chunked")]) {
        let reply = Connection::start(origin, "PUT", target, &[header]).await.reply().await;
        assert_eq!(reply.status, 403, "{header:?}");
    }
    let etag = bucket.put_presigned(&url, bytes.to_vec()).await;
    let parts = json!({ "parts": [{ "partNumber": 1, "etag": etag }] });
    let _ = client.post(&path::complete(&session, &file), &parts).await.success(200);
}

#[tokio::test]
async fn there_are_no_more_urls_than_parts_and_none_unasked_for() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let reply = register(&client, &session, PART_BYTES + 1, 10_000).await;
    assert_eq!(urls(&reply.success(201)).len(), 2);
    let none = client.create_session().await;
    assert_eq!(register(&client, &none, PART_BYTES, 0).await.success(201).get("presignedUrls"), None);
}

#[tokio::test]
async fn a_presigned_url_is_good_for_its_part_alone() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let url = urls(&register(&client, &session, PART_BYTES + 1, 1).await.success(201)).remove(0);
    let other = url.replace("partNumber=1", "partNumber=2");
    assert_ne!(other, url);
    let response = reqwest::Client::new().put(other).body("x").send().await.expect("S3 responds");
    assert_eq!(response.status(), 403);
}
