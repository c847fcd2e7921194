//! `POST /sessions`.

use moc_tests::content::MIB;
use moc_tests::raw::Connection;
use moc_tests::{Client, Response, Stack, assert_response, declared, declared_pdf, own_stack, path};
use reqwest::Method;
use serde_json::{Value, json};

async fn create(files: &[Value]) -> Response {
    Stack::shared().client().post(path::SESSIONS, &json!({ "files": files })).await
}

async fn create_with(body: &'static str) -> Response {
    let client = Stack::shared().client();
    client.send(client.request(Method::POST, path::SESSIONS).body(body)).await
}

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("errors");
    assert!(errors.iter().all(|error| error["message"].as_str().is_some_and(|message| !message.is_empty())));
    errors.iter().map(|error| error["pointer"].as_str().expect("a pointer")).collect()
}

#[tokio::test]
async fn a_session_is_created_where_its_location_says() {
    let client = Stack::shared().client();
    let picture = declared("front.jpg", "image", "image/jpeg", 1000);
    let reply = create(&[declared_pdf(12 * MIB), picture]).await;
    let body = reply.success(201);
    assert_response!("create", reply);
    assert_eq!(body["partSizeBytes"], 5 * MIB);
    let location = reply.header("location").expect("a Location");
    assert_eq!(location, path::session(&reply.text_of("sessionId")));
    let state = client.get(location).await.success(200);
    assert_eq!(state["status"], "active");
    assert_eq!(state["expiresAt"], body["expiresAt"]);
    assert_eq!(state["files"], json!([]), "declared files are not registered ones");
}

#[tokio::test]
async fn declared_types_may_be_empty_generic_or_in_capitals() {
    for media_type in [
        "",
        "*/*",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-pdf",
        "Application/PDF",
        "application/pdf; version=1.7",
    ] {
        let _ = create(&[declared("castle.pdf", "instruction", media_type, 1)]).await.success(201);
    }
    let mut named_apart = declared("castle", "instruction", "", 1);
    named_apart["ext"] = json!(".pdf");
    let _ = create(&[named_apart]).await.success(201);
}

#[tokio::test]
async fn no_body_is_an_empty_one() {
    let reply = Stack::shared().client().post_nothing(path::SESSIONS).await;
    let _ = reply.problem(400, "EMPTY_BODY");
    assert_response!("create_empty_body", reply);
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    for body in ["{", "files", "{\"files\":[]}x", "{\"files\":[{]}", "\u{feff}{}", "\0"] {
        let _ = create_with(body).await.problem(400, "MALFORMED_BODY");
    }
    let client = Stack::shared().client();
    let not_text = client.request(Method::POST, path::SESSIONS).body(&b"{\"files\":\"\xff\"}"[..]);
    let _ = client.send(not_text).await.problem(400, "MALFORMED_BODY");
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    let _ = client.send(client.request(Method::POST, path::SESSIONS).body(deep)).await.problem(400, "MALFORMED_BODY");
    assert_response!("create_malformed_body", create_with("{\"files\":[}").await);
}

#[tokio::test]
async fn every_wrong_field_is_pointed_at() {
    for (body, expected) in [
        ("{}", vec!["/files"]),
        ("[]", vec![""]),
        ("[[]]", vec![""]),
        ("[[[\"instruction\",\"castle.pdf\",1,\"application/pdf\",null]]]", vec![""]),
        ("7", vec![""]),
        ("{\"files\":{}}", vec!["/files"]),
        ("{\"files\":[7]}", vec!["/files/0"]),
        ("{\"files\":[{\"size\":-1}]}", vec!["/files/0/size"]),
        ("{\"files\":[{\"size\":1.5}]}", vec!["/files/0/size"]),
        ("{\"files\":[{}]}", vec!["/files/0/category", "/files/0/name", "/files/0/size", "/files/0/type"]),
    ] {
        let problem = create_with(body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(pointers(&problem), expected, "{body}");
    }
    let wrong = [
        declared_pdf(0),
        declared(" ", "virus", "application/pdf", 1),
        declared(&"x".repeat(256), "instruction", "application/pdf", 1),
        declared("a\u{7}.pdf", "instruction", &"x".repeat(128), 1),
    ];
    let reply = create(&wrong).await;
    let problem = reply.problem(422, "VALIDATION_ERROR");
    let expected =
        ["/files/0/size", "/files/1/name", "/files/1/category", "/files/2/name", "/files/3/name", "/files/3/type"];
    assert_eq!(pointers(&problem), expected);
    assert_response!("create_validation_error", reply);
}

#[tokio::test]
async fn a_session_needs_an_instruction() {
    let _ = create(&[]).await.problem(400, "INSTRUCTION_FILE_REQUIRED");
    let reply = create(&[declared("front.jpg", "image", "image/jpeg", 1)]).await;
    let _ = reply.problem(400, "INSTRUCTION_FILE_REQUIRED");
    assert_response!("create_instruction_file_required", reply);
}

#[tokio::test]
async fn fifty_files_are_enough() {
    let _ = create(&vec![declared_pdf(1); 50]).await.success(201);
    let reply = create(&vec![declared_pdf(1); 51]).await;
    let _ = reply.problem(400, "FILE_COUNT_EXCEEDED");
    assert_response!("create_file_count_exceeded", reply);
}

#[tokio::test]
async fn each_category_has_a_largest_file() {
    for (name, category, media_type, limit) in [
        ("a.pdf", "instruction", "application/pdf", 50 * MIB),
        ("a.csv", "parts-list", "text/csv", 5 * MIB),
        ("a.png", "image", "image/png", 10 * MIB),
        ("a.webp", "thumbnail", "image/webp", 10 * MIB),
    ] {
        let _ = create(&[declared_pdf(1), declared(name, category, media_type, limit)]).await.success(201);
        let reply = create(&[declared_pdf(1), declared(name, category, media_type, limit + 1)]).await;
        assert_eq!(reply.problem(413, "FILE_TOO_LARGE")["limitBytes"], limit);
        if category == "instruction" {
            assert_response!("create_file_too_large", reply);
        }
    }
}

#[tokio::test]
async fn each_category_has_its_types() {
    for (name, category, media_type, allowed) in [
        ("a.exe", "instruction", "application/x-msdownload", json!(["application/pdf"])),
        ("a.png", "instruction", "image/png", json!(["application/pdf"])),
        (
            "a.pdf",
            "parts-list",
            "application/pdf",
            json!(["text/csv", "application/xml", "text/plain", "application/json"]),
        ),
        ("a.svg", "image", "image/svg+xml", json!(["image/jpeg", "image/png", "image/webp", "image/gif"])),
        ("a", "thumbnail", "", json!(["image/jpeg", "image/png", "image/webp", "image/gif"])),
        ("a.html", "parts-list", "text/html", json!(["text/csv", "application/xml", "text/plain", "application/json"])),
    ] {
        let reply = create(&[declared(name, category, media_type, 1)]).await;
        assert_eq!(reply.problem(415, "UNSUPPORTED_MEDIA_TYPE")["allowed"], allowed);
    }
    let reply = create(&[declared("castle.png", "instruction", "application/pdf", 1)]).await;
    let _ = reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_response!("create_unsupported_media_type", reply);
}

#[tokio::test]
async fn a_body_has_256_kib_at_most() {
    let limit = 256 * 1024;
    let padded = |bytes: usize| {
        let body = json!({ "files": [declared_pdf(1)] }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let client = Stack::shared().client();
    let create = async |body: String| client.send(client.request(Method::POST, path::SESSIONS).body(body)).await;
    let _ = create(padded(limit)).await.success(201);
    let reply = create(padded(limit + 1)).await;
    assert_eq!(reply.problem(413, "PAYLOAD_TOO_LARGE")["limitBytes"], limit);
    assert_response!("create_payload_too_large", reply);

    // A body that does not say how long it is.
    let headers = [("transfer-encoding", "chunked")];
    let mut connection = Connection::start(Stack::shared().base_url(), "POST", path::SESSIONS, &headers).await;
    let chunk = format!("{limit:x}\r\n{}\r\n", padded(limit));
    connection.send(chunk.as_bytes()).await;
    connection.send(b"1\r\n \r\n0\r\n\r\n").await;
    assert_eq!(connection.reply().await.problem(413, "PAYLOAD_TOO_LARGE")["limitBytes"], limit);
}

/// Creates sessions until one is rejected; gives how many were not, within one window of the limit.
async fn created_before_rejection(client: &Client) -> (usize, Response) {
    let window = || moc_tests::token::now() / 3600;
    loop {
        let started = window();
        for created in 0..10 {
            let reply = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
            if reply.status != 201 && window() == started {
                return (created, reply);
            }
        }
        assert_ne!(window(), started, "ten sessions in one window");
    }
}

#[tokio::test]
async fn a_user_creates_only_so_many_sessions_in_an_hour() {
    own_stack!();
    let stack = Stack::start(&[("rate_limit_sessions_per_hour", "2")]);
    let (created, reply) = created_before_rejection(&stack.client()).await;
    let problem = reply.problem(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(created, 2);
    assert_eq!((&problem["limit"], &problem["window"]), (&json!(2), &json!(3600)));
    let wait = problem["retryAfter"].as_u64().expect("seconds");
    assert!((1..=3600).contains(&wait));
    assert_eq!(reply.header("retry-after"), Some(wait.to_string().as_str()));
    let next = problem["nextAllowedAt"].as_str().expect("a time");
    assert!(next.ends_with(":00:00.000Z"), "{next}");

    let bypassed =
        Stack::start_next_to_with(&stack, &[("rate_limit_sessions_per_hour", "2"), ("rate_limit_bypass", "true")]);
    for _ in 0..5 {
        bypassed.client().create_session().await;
    }
}
