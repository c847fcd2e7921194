//! `PUT` and `GET` of the parts of a file.

use moc_tests::content::{PART_BYTES, md5_hex, noise, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Stack, assert_response, path, unlimited_requests};
use reqwest::Method;
use serde_json::json;

fn quoted_md5(bytes: &[u8]) -> String {
    format!("\"{}\"", md5_hex(bytes))
}

#[tokio::test]
async fn a_part_responds_with_the_etag_that_s3_gave_it() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let reply = client.try_register(&session, "castle.pdf", "instruction", "application/pdf", PART_BYTES + 1).await;
    let (file, upload) = (reply.text_of("fileId"), reply.text_of("uploadId"));
    let bytes = pdf(PART_BYTES);
    let reply = client.put_part(&session, &file, 1, bytes.clone()).await;
    assert_eq!(reply.success(200), json!({ "partNumber": 1, "etag": quoted_md5(&bytes) }));
    assert_eq!(reply.header("etag"), Some(quoted_md5(&bytes).as_str()));
    assert_response!("part", reply);
    let key = format!("uploads/dev-user/{session}/{file}/castle.pdf");
    assert_eq!(bucket.parts(&key, &upload).await, [1]);
}

#[tokio::test]
async fn the_parts_are_listed_in_order_however_they_came() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 77);
    let file = client.register_pdf(&session, bytes.len()).await;
    assert_eq!(client.get(&path::parts(&session, &file)).await.success(200), json!({ "parts": [] }));
    for number in [3, 1, 2] {
        let part = bytes.chunks(PART_BYTES).nth(number - 1).expect("a part").to_vec();
        let _ = client.put_part(&session, &file, number as u64, part).await.success(200);
    }
    let reply = client.get(&path::parts(&session, &file)).await;
    let _ = reply.success(200);
    assert_response!("list_parts", reply);
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_one_before_and_counts_once() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let (first, second) = (pdf(3000), [b"%PDF-2.0\n".to_vec(), noise(2991, 7)].concat());
    let file = client.register_pdf(&session, 3000).await;
    let _ = client.put_part(&session, &file, 1, first).await.success(200);
    let _ = client.put_part(&session, &file, 1, second.clone()).await.success(200);
    let list = client.get(&path::parts(&session, &file)).await.success(200);
    assert_eq!(list["parts"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["parts"][0]["etag"], quoted_md5(&second));
    let progress = &client.get(&path::session(&session)).await.success(200)["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(1), &json!(3000)));
    let _ = client.complete(&session, &file).await.success(200);
    assert_eq!(bucket.get(&bucket.key_of(&session, &file).await).await, Some(second));
}

#[tokio::test]
async fn a_part_number_is_a_plain_decimal_of_the_plan() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES + 1).await;
    for number in ["0", "10001", "01", "-1", "+1", "1.0", "1e0", "0x1", "one", "%31", "99999999999999999999", "1%00"] {
        let reply = client.put(&format!("{}/{number}", path::parts(&session, &file)), "x").await;
        let problem = reply.problem(400, "INVALID_PART_NUMBER");
        assert_eq!(problem["validRange"], json!([1, 10_000]), "{number}");
    }
    let reply = client.put_part(&session, &file, 3, "x").await;
    let problem = reply.problem(400, "INVALID_PART_NUMBER");
    assert_eq!(problem["validRange"], json!([1, 2]), "beyond the plan");
    assert_response!("part_invalid_number", reply);
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_part_has_exactly_the_size_of_the_plan() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES + 10).await;
    for (number, expected, actual) in [
        (1, PART_BYTES, 1),
        (1, PART_BYTES, PART_BYTES - 1),
        (1, PART_BYTES, PART_BYTES + 1),
        (2, 10, 9),
        (2, 10, 11),
        (2, 10, PART_BYTES),
    ] {
        let reply = client.put_part(&session, &file, number, vec![0; actual]).await;
        let problem = reply.problem(400, "PART_SIZE_MISMATCH");
        assert_eq!((&problem["expectedBytes"], &problem["actualBytes"]), (&json!(expected), &json!(actual)));
        if actual == 9 {
            assert_response!("part_size_mismatch", reply);
        }
    }
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}

#[tokio::test]
async fn an_enormous_part_is_rejected_before_its_bytes_come() {
    unlimited_requests!();
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::part(&session, &file, 1);
    for length in ["5000000000", "1000000000000000000"] {
        let headers = [("content-length", length)];
        let connection = Connection::start(Stack::shared().base_url(), "PUT", &path, &headers).await;
        let problem = connection.reply().await.problem(400, "PART_SIZE_MISMATCH");
        assert_eq!(problem["actualBytes"].to_string(), length);
    }
}

#[tokio::test]
async fn responds_to_rejected_parts_of_any_size() {
    unlimited_requests!();
    let client = Stack::shared().client();
    let (session, completed) = client.upload_pdf(PART_BYTES).await;
    let open = client.register(&session, "b.pdf", "instruction", "application/pdf", PART_BYTES).await;
    let large = vec![0; 3 * PART_BYTES];
    let _ = client.put_part(&session, &open, 1, large.clone()).await.problem(400, "PART_SIZE_MISMATCH");
    let _ = client.put_part(&session, &open, 2, large.clone()).await.problem(400, "INVALID_PART_NUMBER");
    let _ = client.put_part(&session, &open, 0, large.clone()).await.problem(400, "INVALID_PART_NUMBER");
    let _ = client.put_part(&session, &completed, 1, large.clone()).await.problem(409, "FILE_ALREADY_COMPLETED");
    let _ = client.put_part(&session, &session, 1, large.clone()).await.problem(404, "NOT_FOUND");
    let _ = client.put("/unknown", large.clone()).await.problem(404, "NOT_FOUND");
    let _ = client.put(path::SESSIONS, large.clone()).await.problem(405, "METHOD_NOT_ALLOWED");
    let create = client.request(Method::POST, path::SESSIONS).body(large.clone());
    let _ = client.send(create).await.problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    let _ = client.put_part(&session, &open, 1, large).await.problem(409, "SESSION_NOT_ACTIVE");
}

#[tokio::test]
async fn a_part_has_a_body() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::part(&session, &file, 1);
    let headers = [("content-length", "0")];
    let reply = Connection::start(Stack::shared().base_url(), "PUT", &path, &headers).await.reply().await;
    let _ = reply.problem(400, "EMPTY_BODY");
    assert_response!("part_empty_body", reply);
}

#[tokio::test]
async fn a_part_says_how_long_it_is() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::part(&session, &file, 1);
    let headers = [("transfer-encoding", "chunked")];
    let mut connection = Connection::start(Stack::shared().base_url(), "PUT", &path, &headers).await;
    connection.send(b"a\r\n0123456789\r\n0\r\n\r\n").await;
    let reply = connection.reply().await;
    let _ = reply.problem(411, "LENGTH_REQUIRED");
    assert_response!("part_length_required", reply);
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_completed_file_takes_no_more_parts() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(100).await;
    let reply = client.put_part(&session, &file, 1, pdf(100)).await;
    let _ = reply.problem(409, "FILE_ALREADY_COMPLETED");
    assert_response!("part_file_already_completed", reply);
}

#[tokio::test]
async fn responds_404_for_parts_of_missing_files() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(100).await;
    let (other, _) = client.upload_pdf(100).await;
    let nobodys = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (session, file) in [
        (nobodys, file.as_str()),
        (&session, nobodys),
        (&other, &file),
        ("x", &file),
        (&session, "x"),
        (&file, &session),
    ] {
        let _ = client.put_part(session, file, 1, "x").await.problem(404, "NOT_FOUND");
        let _ = client.get(&path::parts(session, file)).await.problem(404, "NOT_FOUND");
        let _ = client.complete(session, file).await.problem(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_through() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::part(&session, &file, 1);
    let headers = [("content-length", "10"), ("expect", "100-continue")];
    let mut connection = Connection::start(Stack::shared().base_url(), "PUT", &path, &headers).await;
    connection.send(b"%PDF-1.7 \n").await;
    let reply = connection.reply().await;
    let list = client.get(&path::parts(&session, &file)).await.success(200);
    assert_eq!(list["parts"][0]["etag"], reply.success(200)["etag"]);
}
