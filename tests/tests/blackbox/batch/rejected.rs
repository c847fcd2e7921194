//! Batches that are rejected, as a whole or in parts.

use moc_tests::content::{MIB, PART_BYTES, noise, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Stack, assert_response, own_database, path, unlimited_requests};
use reqwest::Method;
use serde_json::json;

use super::{BOUNDARY, content_type, ends_well, form, form_of, outcomes, post, stored};

const LIMIT_BYTES: usize = 50 * MIB;
const NOBODYS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn bu_err_001_batch_size_of_more_than_50_mib() {
    unlimited_requests!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::batch(&session, &file);
    let content_type = content_type();
    // By its Content-Length: nothing of it is ever sent.
    for length in [LIMIT_BYTES + 1, 1 << 50] {
        let length = length.to_string();
        let headers = [("content-type", content_type.as_str()), ("content-length", &length)];
        let reply = Connection::start(stack.base_url(), "POST", &path, &headers).await.reply().await;
        let problem = reply.problem(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(problem["limitBytes"], LIMIT_BYTES);
        assert_response!("batch_payload_too_large", reply);
    }
    // By count, where it does not say how long it is.
    let headers = [("content-type", content_type.as_str()), ("transfer-encoding", "chunked")];
    let mut connection = Connection::start(stack.base_url(), "POST", &path, &headers).await;
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"part1\"\r\n\r\n");
    connection.send(format!("{:x}\r\n{head}\r\n", head.len()).as_bytes()).await;
    let chunk = [format!("{MIB:x}\r\n").into_bytes(), noise(MIB, 3), b"\r\n".to_vec()].concat();
    for _ in 0..LIMIT_BYTES / MIB {
        connection.send(&chunk).await;
    }
    let problem = connection.reply().await.problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(problem["limitBytes"], LIMIT_BYTES);
    assert_eq!(outcomes(&problem), [(1, "failed", Some("PAYLOAD_TOO_LARGE"))]);
    assert_eq!(client.stored_parts(&session, &file).await, [0_u64; 0]);
}

#[tokio::test]
async fn a_part_of_another_size_fails_and_the_rest_is_stored() {
    unlimited_requests!();
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let last = &bytes[2 * PART_BYTES..];
    for (first, actual) in [(noise(PART_BYTES + 1, 5), PART_BYTES + 1), (noise(8, 5), 8), (Vec::new(), 0)] {
        let body = form(&[("part1", &first), ("part3", last), ("part2", &bytes[PART_BYTES..2 * PART_BYTES])]);
        let reply = post(&client, &session, &file, body).await;
        let problem = reply.problem(400, "PART_SIZE_MISMATCH");
        let sizes = (&problem["expectedBytes"], &problem["actualBytes"]);
        assert_eq!(sizes, (&json!(PART_BYTES), &json!(actual)));
        let expected = [(1, "failed", Some("PART_SIZE_MISMATCH")), (2, "stored", None), (3, "stored", None)];
        assert_eq!(outcomes(&problem), expected);
        assert_eq!(problem["parts"][1]["etag"], stored(&bytes, &[2])[0]["etag"]);
        if actual == 8 {
            assert_response!("batch_part_size_mismatch", reply);
        }
    }
    assert_eq!(client.stored_parts(&session, &file).await, [2, 3]);
    let _ = post(&client, &session, &file, form_of(&bytes, &[1])).await.success(200);
    ends_well(&client, &session, &file, &bytes).await;
}

/// A part that is larger than a whole batch may be is counted, not kept.
#[tokio::test]
async fn the_first_failure_by_part_number_is_the_response() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES + 10).await;
    let body = form(&[("part3", b"beyond the plan"), ("part2", b"four"), ("part4", b"")]);
    let problem = post(&client, &session, &file, body).await.problem(400, "PART_SIZE_MISMATCH");
    assert_eq!((&problem["expectedBytes"], &problem["actualBytes"]), (&json!(10), &json!(4)));
    let beyond = Some("INVALID_PART_NUMBER");
    let expected = [(2, "failed", Some("PART_SIZE_MISMATCH")), (3, "failed", beyond), (4, "failed", beyond)];
    assert_eq!(outcomes(&problem), expected);
    let body = form(&[("part3", b"beyond the plan")]);
    let problem = post(&client, &session, &file, body).await.problem(400, "INVALID_PART_NUMBER");
    assert_eq!(problem["validRange"], json!([1, 2]));
}

#[tokio::test]
async fn a_field_is_named_as_its_part() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(10);
    let file = client.register_pdf(&session, 10).await;
    for name in ["part0", "part10001", "part01", "part", "Part1", "part1 ", "part-1", "part1.0", "1", "foo", ""] {
        let problem = post(&client, &session, &file, form(&[(name, &bytes)])).await.problem(400, "INVALID_PART_NUMBER");
        assert_eq!(problem["validRange"], json!([1, 10_000]), "{name}");
    }
    for disposition in [
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; filename=\"part1\"",
        "Content-Disposition: attachment",
        "Content-Type: text/plain",
    ] {
        let body = format!("--{BOUNDARY}\r\n{disposition}\r\n\r\n0123456789\r\n--{BOUNDARY}--\r\n");
        let _ = post(&client, &session, &file, body).await.problem(400, "INVALID_PART_NUMBER");
    }
    assert_eq!(client.stored_parts(&session, &file).await, [0_u64; 0]);
    // What came before it is stored, what comes after it is not read.
    let other = client.register(&session, "b.pdf", "instruction", "application/pdf", PART_BYTES + 10).await;
    let body = form(&[("part2", &bytes), ("foo", b"bar"), ("part1", b"too small")]);
    let reply = post(&client, &session, &other, body).await;
    assert_eq!(outcomes(&reply.problem(400, "INVALID_PART_NUMBER")), [(2, "stored", None)]);
    assert_response!("batch_invalid_part_number", reply);
    assert_eq!(client.stored_parts(&session, &other).await, [2]);
}

#[tokio::test]
async fn a_batch_has_each_part_once() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(10);
    let file = client.register_pdf(&session, PART_BYTES + 10).await;
    let reply = post(&client, &session, &file, form(&[("part2", &bytes), ("part2", &noise(10, 2))])).await;
    let problem = reply.problem(400, "MALFORMED_BODY");
    assert_eq!(outcomes(&problem), [(2, "stored", None)]);
    let list = client.get(&path::parts(&session, &file)).await.success(200);
    assert_eq!(list["parts"][0]["etag"], problem["parts"][0]["etag"]);
}

#[tokio::test]
async fn a_batch_names_a_hundred_parts_at_most() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let names: Vec<String> = (2..=102).map(|number| format!("part{number}")).collect();
    let fields: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let problem = post(&client, &session, &file, form(&fields)).await.problem(400, "MALFORMED_BODY");
    assert_eq!(outcomes(&problem).len(), 100);
    let problem = post(&client, &session, &file, form(&fields[..100])).await.problem(400, "INVALID_PART_NUMBER");
    assert_eq!(outcomes(&problem).len(), 100);
}

#[tokio::test]
async fn a_batch_has_a_part() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let reply = post(&client, &session, &file, form(&[])).await;
    let _ = reply.problem(400, "BATCH_EMPTY");
    assert_response!("batch_empty", reply);
    let preamble = format!("nothing to see\r\n--{BOUNDARY}--\r\nhere either");
    for body in ["", &preamble] {
        let _ = post(&client, &session, &file, body.to_owned()).await.problem(400, "BATCH_EMPTY");
    }
}

#[tokio::test]
async fn a_batch_is_a_form() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let path = path::batch(&session, &file);
    let other = ["application/json", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded", ""];
    for content_type in other.map(Some).into_iter().chain([None]) {
        let request = client.request(Method::POST, &path).body(form(&[("part1", &pdf(10))]));
        let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
        let reply = client.send(request).await;
        let problem = reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(problem["allowed"], json!(["multipart/form-data"]), "{content_type:?}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=", &long] {
        let request = client.request(Method::POST, &path).header("content-type", content_type);
        let reply = client.send(request.body(form(&[("part1", &pdf(10))]))).await;
        let _ = reply.problem(400, "MALFORMED_BODY");
    }
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let reply = client.send(client.request(method.clone(), &path)).await;
        let _ = reply.problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
}

/// Whatever it is that is wrong, a client that sends all before it reads sees the response.
#[tokio::test]
async fn what_takes_no_parts_takes_no_batch() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let large = form_of(&pdf(PART_BYTES + 10), &[1, 2]);
    let (session, completed) = client.upload_pdf(100).await;
    let open = client.register(&session, "b.pdf", "instruction", "application/pdf", PART_BYTES + 10).await;
    let _ = post(&client, &session, &completed, large.clone()).await.problem(409, "FILE_ALREADY_COMPLETED");
    for (session, file) in [(NOBODYS, open.as_str()), (&session, NOBODYS), (&session, "x"), ("x", &open)] {
        let _ = post(&client, session, file, large.clone()).await.problem(404, "NOT_FOUND");
    }
    stack.set_session(&session, "user_id = 'somebody-else'");
    let _ = post(&client, &session, &open, large.clone()).await.problem(404, "NOT_FOUND");
    stack.set_session(&session, "user_id = 'dev-user', expires_at = created_at - 1");
    let problem = post(&client, &session, &open, large.clone()).await.problem(410, "SESSION_EXPIRED");
    assert_eq!(problem["sessionExpired"], true);
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    let _ = post(&client, &session, &open, large).await.problem(409, "SESSION_NOT_ACTIVE");
}
