//! `POST /sessions/:sessionId/files/:fileId/complete`.

use moc_tests::content::{PART_BYTES, md5_hex, multipart_etag, noise, pdf};
use moc_tests::{Client, Response, Stack, assert_response, path};
use reqwest::Method;
use serde_json::{Value, json};

async fn complete_with(client: &Client, session: &str, file: &str, parts: Value) -> Response {
    client.post(&path::complete(session, file), &json!({ "parts": parts })).await
}

/// Registers a PDF and sends its parts.
async fn sent(client: &Client, bytes: &[u8]) -> (String, String) {
    let session = client.create_session().await;
    let file = client.register_pdf(&session, bytes.len()).await;
    client.put_parts(&session, &file, bytes).await;
    (session, file)
}

#[tokio::test]
async fn three_parts_become_an_object_that_is_the_file_byte_for_byte() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let bytes = pdf(2 * PART_BYTES + 12_345);
    let (session, file) = sent(&client, &bytes).await;
    let reply = client.complete(&session, &file).await;
    let body = reply.success(200);
    assert_response!("complete", reply);
    let key = bucket.key_of(&session, &file).await;
    assert_eq!(key, format!("uploads/dev-user/{session}/{file}/castle.pdf"));
    assert!(bucket.get(&key).await.as_ref() == Some(&bytes), "byte for byte");
    assert_eq!(body["etag"], multipart_etag(bytes.chunks(PART_BYTES)));
    assert_eq!(body["etag"], json!(bucket.etag(&key).await));
    assert_eq!(body["sizeBytes"], bytes.len());
    let (url, signed) = body["fileUrl"].as_str().and_then(|url| url.split_once('?')).expect("a signed URL");
    assert!(url.starts_with("http") && url.ends_with(&key) && signed.contains("X-Amz-Signature="), "{url}");
}

#[tokio::test]
async fn completing_again_responds_the_same() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(100).await;
    // The signature of the URL is another one each second.
    let unsigned = |reply: Response| {
        let mut body = reply.success(200);
        let url = body["fileUrl"].as_str().expect("a URL").to_owned();
        body["fileUrl"] = json!(url.split('?').next());
        (body, url.contains('?'))
    };
    let (first, is_signed) = unsigned(client.complete(&session, &file).await);
    assert!(is_signed, "{first}");
    for _ in 0..3 {
        assert_eq!(unsigned(client.complete(&session, &file).await), (first.clone(), true));
    }
    let anything = json!([{ "partNumber": 1, "etag": "anything" }]);
    assert_eq!(unsigned(complete_with(&client, &session, &file, anything).await), (first.clone(), true));
    let moc = client.finalize(&session, &moc_tests::unique_title()).await.success(201);
    let after = unsigned(client.complete(&session, &file).await);
    assert_eq!(after, (first.clone(), false), "of a finalized session it is the public one");
    assert_eq!(moc["files"][0]["etag"], first["etag"]);
}

#[tokio::test]
async fn the_client_may_name_the_parts_with_quotes_without_and_in_any_order() {
    let client = Stack::shared().client();
    let bytes = pdf(PART_BYTES + 5);
    let etags: Vec<String> = bytes.chunks(PART_BYTES).map(md5_hex).collect();
    for (first, second) in
        [(etags[0].clone(), etags[1].clone()), (format!("\"{}\"", etags[0]), format!("\"{}\"", etags[1]))]
    {
        let (session, file) = sent(&client, &bytes).await;
        let parts = json!([{ "partNumber": 2, "etag": second }, { "partNumber": 1, "etag": first }]);
        let _ = complete_with(&client, &session, &file, parts).await.success(200);
    }
}

#[tokio::test]
async fn the_body_may_be_empty_or_name_no_parts() {
    let client = Stack::shared().client();
    for body in ["", "{}", "{\"parts\":null}"] {
        let (session, file) = sent(&client, &pdf(10)).await;
        let request = client.request(Method::POST, &path::complete(&session, &file)).body(body);
        let _ = client.send(request).await.success(200);
    }
}

#[tokio::test]
async fn missing_parts_are_named() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(3 * PART_BYTES + 1);
    let file = client.register_pdf(&session, bytes.len()).await;
    let missing = async || {
        let reply = client.complete(&session, &file).await;
        (reply.problem(400, "PART_COUNT_MISMATCH")["missing"].clone(), reply)
    };
    assert_eq!(missing().await.0, json!([1, 2, 3, 4]));
    let second = client.put_part(&session, &file, 2, bytes[PART_BYTES..2 * PART_BYTES].to_vec()).await.success(200);
    let (named, reply) = missing().await;
    assert_eq!(named, json!([1, 3, 4]));
    assert_response!("complete_part_count_mismatch", reply);

    // A client that knows only of what is stored, or that claims more than is.
    let known = json!([{ "partNumber": 2, "etag": second["etag"] }]);
    let reply = complete_with(&client, &session, &file, known).await;
    assert_eq!(reply.problem(400, "PART_COUNT_MISMATCH")["missing"], json!([1, 3, 4]));
    let claimed: Vec<Value> = (1..=4).map(|number| json!({ "partNumber": number, "etag": "abc" })).collect();
    let reply = complete_with(&client, &session, &file, json!(claimed)).await;
    assert_eq!(reply.problem(400, "PART_COUNT_MISMATCH")["missing"], json!([1, 3, 4]));
    assert_eq!(client.stored_parts(&session, &file).await, [2], "what was stored still is");
}

#[tokio::test]
async fn rejects_a_completion_without_a_stored_part() {
    let client = Stack::shared().client();
    let bytes = pdf(PART_BYTES + 5);
    let (session, file) = sent(&client, &bytes).await;
    for (parts, missing) in
        [(json!([]), json!([1, 2])), (json!([{ "partNumber": 1, "etag": md5_hex(&bytes[..PART_BYTES]) }]), json!([2]))]
    {
        let reply = complete_with(&client, &session, &file, parts).await;
        assert_eq!(reply.problem(400, "PART_COUNT_MISMATCH")["missing"], missing);
    }
    let _ = client.complete(&session, &file).await.success(200);
}

#[tokio::test]
async fn an_etag_that_is_not_the_parts_is_pointed_at() {
    let client = Stack::shared().client();
    let bytes = pdf(PART_BYTES + 5);
    let (session, file) = sent(&client, &bytes).await;
    let right = md5_hex(&bytes[..PART_BYTES]);
    let parts = json!([{ "partNumber": 1, "etag": right }, { "partNumber": 2, "etag": md5_hex(b"other") }]);
    let reply = complete_with(&client, &session, &file, parts).await;
    let problem = reply.problem(422, "VALIDATION_ERROR");
    assert_eq!(problem["errors"][0]["pointer"], "/parts/1/etag");
    assert_response!("complete_wrong_etag", reply);
    let _ = client.complete(&session, &file).await.success(200);
}

#[tokio::test]
async fn an_error_points_into_the_body_as_it_was_sent() {
    let client = Stack::shared().client();
    let bytes = pdf(PART_BYTES + 5);
    let (session, file) = sent(&client, &bytes).await;
    let right = md5_hex(&bytes[..PART_BYTES]);
    let parts = json!([{ "partNumber": 2, "etag": md5_hex(b"other") }, { "partNumber": 1, "etag": right }]);
    let problem = complete_with(&client, &session, &file, parts).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(problem["errors"][0]["pointer"], "/parts/0/etag");
}

#[tokio::test]
async fn a_list_of_parts_that_cannot_be_read_is_rejected() {
    let client = Stack::shared().client();
    let (session, file) = sent(&client, &pdf(10)).await;
    let one = |number: Value, etag: Value| json!([{ "partNumber": number, "etag": etag }]);
    for (parts, pointer) in [
        (json!(7), "/parts"),
        (json!([7]), "/parts/0"),
        (json!([{}]), "/parts/0"),
        (one(json!("1"), json!("abc")), "/parts/0/partNumber"),
        (one(json!(1), json!("")), "/parts/0/etag"),
        (one(json!(1), json!("a b")), "/parts/0/etag"),
        (one(json!(1), json!("x".repeat(200))), "/parts/0/etag"),
        (json!([{ "partNumber": 1, "etag": "a" }, { "partNumber": 1, "etag": "a" }]), "/parts"),
    ] {
        let problem = complete_with(&client, &session, &file, parts).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    for number in [0, 2, 10_001] {
        let parts = one(json!(number), json!("abc"));
        let _ = complete_with(&client, &session, &file, parts).await.problem(400, "INVALID_PART_NUMBER");
    }
    let malformed = client.request(Method::POST, &path::complete(&session, &file)).body("{");
    let _ = client.send(malformed).await.problem(400, "MALFORMED_BODY");
    let long = " ".repeat(4 * 1024 * 1024);
    let long = client.request(Method::POST, &path::complete(&session, &file)).body(long);
    let _ = client.send(long).await.problem(413, "PAYLOAD_TOO_LARGE");
    let _ = client.complete(&session, &file).await.success(200);
}

#[tokio::test]
async fn files_of_one_byte_and_of_whole_parts_complete() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    for size in [1, PART_BYTES, 2 * PART_BYTES] {
        let bytes = noise(size, 5);
        let (session, file) = sent(&client, &bytes).await;
        let _ = client.complete(&session, &file).await.success(200);
        assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "{size} byte for byte");
    }
}
