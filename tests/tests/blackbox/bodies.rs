//! Bodies that break off or never end.

use std::time::{Duration, Instant};

use moc_tests::content::{PART_BYTES, content_md5, md5_hex, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Stack, assert_response, logged_json, own_stack, path, unlimited_requests};
use serde_json::{Value, json};

use super::batch::{content_type, form_of, post};

/// The log line of the request that came with this id.
async fn line_of(stack: &Stack, request: &str) -> Value {
    let line = stack.logged(&format!("\"requestId\":\"{request}\"")).await;
    logged_json(&line)
}

#[tokio::test]
async fn a_part_that_breaks_off_is_not_recorded_and_can_be_sent_again() {
    own_stack!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let bytes = pdf(PART_BYTES);
    let md5 = content_md5(&bytes);
    let length = PART_BYTES.to_string();
    for (request, sent, checksum) in [
        ("cut-head", 0, false),
        ("cut", PART_BYTES / 2, false),
        ("cut-late", PART_BYTES - 1, false),
        ("cut-md5", PART_BYTES / 2, true),
    ] {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, PART_BYTES).await;
        let part = path::part(&session, &file, 1);
        let id = format!("{request}-{session}");
        let mut headers = vec![("content-length", length.as_str()), ("x-request-id", &id)];
        if checksum {
            headers.push(("content-md5", &md5));
        }
        let mut connection = Connection::start(stack.base_url(), "PUT", &part, &headers).await;
        connection.send(&bytes[..sent]).await;
        drop(connection);

        // Nobody reads that response; the log has it.
        let line = line_of(stack, &id).await;
        let found = (&line["level"], &line["status"], &line["code"]);
        assert_eq!(found, (&json!("info"), &json!(400), &json!("MALFORMED_BODY")), "the client's fault: {line}");
        assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new(), "{request}");
        let reply = client.put(&part, bytes.clone()).await;
        assert_eq!(reply.success(200)["etag"], format!("\"{}\"", md5_hex(&bytes)), "{request}");
        let _ = client.complete(&session, &file).await.success(200);
        let key = stack.bucket().key_of(&session, &file).await;
        assert!(stack.bucket().get(&key).await.as_ref() == Some(&bytes), "{request}: byte for byte");
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_does_not_replace_the_one_before() {
    own_stack!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let bytes = pdf(PART_BYTES);
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES).await;
    let part = path::part(&session, &file, 1);
    let _ = client.put(&part, bytes.clone()).await.success(200);
    let (id, length) = (format!("cut-again-{session}"), PART_BYTES.to_string());
    let headers = [("content-length", length.as_str()), ("x-request-id", &id)];
    let mut connection = Connection::start(stack.base_url(), "PUT", &part, &headers).await;
    connection.send(&vec![0; PART_BYTES / 2]).await;
    drop(connection);
    assert_ne!(line_of(stack, &id).await["status"], 200);
    let _ = client.complete(&session, &file).await.success(200);
    let key = stack.bucket().key_of(&session, &file).await;
    assert!(stack.bucket().get(&key).await == Some(bytes), "byte for byte");
}

#[tokio::test]
async fn a_client_that_stalls_is_not_waited_for() {
    own_stack!();
    let stack = Stack::start(&[("part_timeout_seconds", "1")]);
    let client = stack.client();
    let bytes = pdf(PART_BYTES);
    let (md5, length) = (content_md5(&bytes), PART_BYTES.to_string());
    let plain = vec![("content-length", length.as_str())];
    let checked = [plain.clone(), vec![("content-md5", md5.as_str())]].concat();
    for headers in [plain, checked] {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, PART_BYTES).await;
        let part = path::part(&session, &file, 1);
        let started = Instant::now();
        let mut connection = Connection::start(stack.base_url(), "PUT", &part, &headers).await;
        connection.send(&bytes[..PART_BYTES / 2]).await;
        let reply = connection.reply().await;
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        let problem = reply.problem(408, "REQUEST_TIMEOUT");
        assert!(problem["elapsedMs"].as_u64().is_some_and(|elapsed| (1000..5000).contains(&elapsed)), "{problem}");
        assert!(problem["timeoutAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{problem}");
        if headers.len() == 1 {
            assert_response!("part_request_timeout", reply);
        }
        assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
        let _ = client.put(&part, bytes.clone()).await.success(200);
        let _ = client.complete(&session, &file).await.success(200);
    }
}

#[tokio::test]
async fn a_slow_client_has_more_than_30_seconds() {
    unlimited_requests!();
    let stack = Stack::shared();
    let client = stack.client();
    let bytes = pdf(PART_BYTES);
    let (md5, length) = (content_md5(&bytes), PART_BYTES.to_string());
    let send = async |checksum: Option<&str>| {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, PART_BYTES).await;
        let mut headers = vec![("content-length", length.as_str())];
        headers.extend(checksum.map(|md5| ("content-md5", md5)));
        let part = path::part(&session, &file, 1);
        let mut connection = Connection::start(stack.base_url(), "PUT", &part, &headers).await;
        for piece in bytes.chunks(PART_BYTES / 66) {
            connection.send(piece).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let reply = connection.reply().await;
        assert_eq!(reply.success(200)["etag"], format!("\"{}\"", md5_hex(&bytes)));
    };
    futures::future::join(send(None), send(Some(&md5))).await;
}

/// Bodies that bring nothing, long before the time of a part is over; and nobody else has to wait for them.
#[tokio::test]
async fn a_silent_client_is_given_up_after_20_seconds() {
    let stack = Stack::shared();
    let client = stack.client();
    let (session, bytes) = (client.create_session().await, pdf(PART_BYTES + 10));
    let file = client.register_pdf(&session, bytes.len()).await;
    let is_given_up = async |method: &str, path: String, headers: &[(&str, &str)], sent: &[u8]| {
        let started = Instant::now();
        let mut connection = Connection::start(stack.base_url(), method, &path, headers).await;
        connection.send(sent).await;
        let problem = connection.reply().await.problem(408, "REQUEST_TIMEOUT");
        let elapsed = started.elapsed();
        assert!((20..30).contains(&elapsed.as_secs()), "{elapsed:?}");
        assert!(problem["elapsedMs"].as_u64().is_some_and(|elapsed| (20_000..30_000).contains(&elapsed)), "{problem}");
    };
    let (length, form) = (PART_BYTES.to_string(), form_of(&bytes, &[1]));
    let (content_type, batch_length) = (content_type(), form.len().to_string());
    let in_batch = [("content-type", content_type.as_str()), ("content-length", batch_length.as_str())];
    let parts = async {
        let headers = [("content-length", length.as_str())];
        is_given_up("PUT", path::part(&session, &file, 1), &headers, &bytes[..PART_BYTES / 2]).await;
    };
    // One instance serves them all, where they do not come at once.
    let silent = (0..14).map(async |number| {
        tokio::time::sleep(Duration::from_millis(number * 50)).await;
        is_given_up("POST", path::batch(&session, &file), &in_batch, &form[..200]).await;
    });
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let started = Instant::now();
        let other = client.register(&session, "other.pdf", "instruction", "application/pdf", bytes.len()).await;
        let form = form_of(&bytes, &[1, 2]);
        let _ = post(&client, &session, &other, form).await.success(200);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    };
    futures::join!(parts, futures::future::join_all(silent), others);
}

#[tokio::test]
async fn json_has_to_arrive_in_time() {
    own_stack!();
    let stack = Stack::start(&[("request_timeout_seconds", "1")]);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let paths =
        [path::SESSIONS.to_owned(), path::files(&session), path::complete(&session, &file), path::FINALIZE.to_owned()];
    for path in paths {
        let started = Instant::now();
        let mut connection = Connection::start(stack.base_url(), "POST", &path, &[("content-length", "1000")]).await;
        connection.send(b"{").await;
        let problem = connection.reply().await.problem(408, "REQUEST_TIMEOUT");
        assert!(problem["elapsedMs"].as_u64().is_some_and(|elapsed| (1_000..5_000).contains(&elapsed)), "{problem}");
        assert!(started.elapsed() < Duration::from_secs(10), "{path}: {:?}", started.elapsed());
    }
}

/// Whether the first line of the response to this head says to go on (RFC 9110, section 10.1.1).
async fn is_asked_for_the_body(method: &str, path: &str) -> bool {
    let headers = [("content-length", "10"), ("expect", "100-continue")];
    let mut connection = Connection::start(Stack::shared().base_url(), method, path, &headers).await;
    connection.first_line().await.contains(" 100 ")
}

#[tokio::test]
async fn a_body_is_asked_for_only_if_the_head_is_accepted() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    assert!(is_asked_for_the_body("PUT", &path::part(&session, &file, 1)).await);
    let foreign = session.replace(|digit: char| digit.is_ascii_digit(), "0");
    for (method, path) in [
        ("PUT", path::part(&session, &file, 2)),
        ("PUT", path::part(&foreign, &file, 1)),
        ("POST", path::files(&foreign)),
        ("POST", path::complete(&foreign, &file)),
        ("DELETE", path::files(&session)),
        ("POST", "/nowhere".to_owned()),
    ] {
        assert!(!is_asked_for_the_body(method, &path).await, "{method} {path}");
    }
}

#[tokio::test]
async fn a_json_body_that_breaks_off_is_no_request() {
    own_stack!();
    let stack = Stack::shared();
    let id = format!("cut-json-{}", moc_tests::unique_title().replace(' ', "-"));
    let headers = [("content-length", "1000"), ("x-request-id", id.as_str())];
    let mut connection = Connection::start(stack.base_url(), "POST", path::SESSIONS, &headers).await;
    connection.send(b"{\"files\":[").await;
    drop(connection);
    let line = line_of(stack, &id).await;
    assert_eq!((&line["status"], &line["code"]), (&Value::from(400), &Value::from("MALFORMED_BODY")), "{line}");
}
