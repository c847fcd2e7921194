//! The log: one line a request, and no secrets.

use moc_tests::content::pdf;
use moc_tests::fault_proxy::FaultProxy;
use moc_tests::token::{claims, hs256};
use moc_tests::{Client, Stack, logged_json, own_stack, path, unique_title};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

/// The log lines of requests.
fn lines(stack: &Stack) -> Vec<Value> {
    let request_line = |line: &str| {
        let is_component = line.starts_with('{') || (line.starts_with('[') && line.contains("] {"));
        let line = is_component.then(|| logged_json(line))?;
        line.get("requestId").is_some().then_some(line)
    };
    stack.log().lines().filter_map(request_line).collect()
}

/// Sends a request under this id.
async fn ask(client: &Client, id: &str, method: Method, path: &str, body: Vec<u8>) -> moc_tests::Response {
    client.send(client.request(method, path).header("x-request-id", id).body(body)).await
}

#[tokio::test]
async fn every_request_has_one_line() {
    own_stack!();
    let stack = Stack::shared_with(&[("jwt_secret", SECRET)]);
    let client = stack.client_as(&hs256(SECRET, &claims("alice")));
    let create = json!({ "files": [moc_tests::declared_pdf(10)] }).to_string().into_bytes();
    let created = ask(&client, "create", Method::POST, path::SESSIONS, create).await;
    let session = created.text_of("sessionId");
    let register = json!({ "fileKey": "castle.pdf", "fileSizeBytes": 10, "partCount": 1 }).to_string().into_bytes();
    let registered = ask(&client, "register", Method::POST, &path::files(&session), register).await;
    let file = registered.text_of("fileId");
    let part = ask(&client, "part", Method::PUT, &path::part(&session, &file, 1), pdf(10)).await;
    let _ = ask(&client, "list", Method::GET, &path::parts(&session, &file), vec![]).await.success(200);
    let _ = ask(&client, "complete", Method::POST, &path::complete(&session, &file), vec![]).await.success(200);
    let _ = ask(&client, "state", Method::GET, &path::session(&session), vec![]).await.success(200);
    let finalize = json!({ "uploadSessionId": session, "title": unique_title() }).to_string().into_bytes();
    let moc = ask(&client, "finalize", Method::POST, path::FINALIZE, finalize).await.text_of("id");
    let _ = ask(&client, "moc", Method::GET, &path::moc(&moc), vec![]).await.success(200);
    let _ = ask(&client, "cancel", Method::DELETE, &path::session(&session), vec![])
        .await
        .problem(409, "SESSION_NOT_ACTIVE");
    let _ = ask(&client, "unknown", Method::GET, "/unknown", vec![]).await.problem(404, "NOT_FOUND");
    let _ = ask(&stack.client(), "rejected", Method::GET, &path::session(&session), vec![])
        .await
        .problem(401, "UNAUTHORIZED");
    let _ = stack.logged("\"requestId\":\"rejected\"").await;

    let lines = lines(stack);
    for (id, component, method, status) in [
        ("create", "create-session", "POST", 201),
        ("register", "register-file", "POST", 201),
        ("part", "part", "PUT", 200),
        ("list", "list-parts", "GET", 200),
        ("complete", "complete-file", "POST", 200),
        ("state", "session", "GET", 200),
        ("finalize", "finalize", "POST", 201),
        ("moc", "moc", "GET", 200),
        ("cancel", "session", "DELETE", 409),
        ("unknown", "not-found", "GET", 404),
        ("rejected", "session", "GET", 401),
    ] {
        let mine: Vec<&Value> = lines.iter().filter(|line| line["requestId"] == id).collect();
        let [line] = mine[..] else { panic!("one line for {id}, not {mine:?}") };
        assert_eq!(line["route"], component, "{line}");
        assert_eq!((&line["method"], &line["status"]), (&json!(method), &json!(status)), "{line}");
        assert!(line["durationMs"].as_f64().is_some_and(|duration| duration > 0.0), "{line}");
        assert_eq!(line["level"], "info", "{line}");
        let user = if matches!(id, "unknown" | "rejected") { Value::Null } else { json!("alice") };
        assert_eq!(line["user"], user, "{line}");
        if !matches!(id, "moc" | "unknown" | "rejected") {
            assert_eq!(line["session"], json!(session), "{line}");
        }
        if matches!(id, "register" | "part" | "list" | "complete") {
            assert_eq!(line["file"], json!(file), "{line}");
        }
        if matches!(id, "register" | "part" | "complete" | "finalize") {
            assert_eq!(line["bytes"], 10, "{line}");
        }
    }
    let line = |id: &str| lines.iter().find(|line| line["requestId"] == id).cloned();
    let stored = line("part").expect("a line");
    assert_eq!((&stored["part"], &stored["partsCompleted"]), (&json!(1), &json!(1)));
    let etag = part.header("etag").expect("an ETag").trim_matches('"').to_owned();
    assert_eq!(stored["etag"], json!(etag));
    assert_eq!(line("cancel").expect("a line")["code"], "SESSION_NOT_ACTIVE");
    assert_eq!(line("rejected").expect("a line")["code"], "UNAUTHORIZED");
}

#[tokio::test]
async fn nothing_secret_is_logged_whatever_goes_wrong() {
    own_stack!();
    let s3 = FaultProxy::start(moc_tests::s3_url());
    let stack = Stack::start(&[("s3_endpoint", &s3.endpoint()), ("jwt_secret", SECRET)]);
    let token = hs256(SECRET, &claims("alice"));
    let client = stack.client_as(&token);
    let (session, file) = client.upload_pdf(10).await;
    let open = client.register(&session, "b.pdf", "instruction", "application/pdf", 10).await;

    // Tokens where they do not belong, and tokens that are wrong.
    for request in [
        client.request(Method::GET, &format!("{}?access_token={token}", path::session(&session))),
        stack.client_as(&format!("{token}x")).request(Method::GET, &path::session(&session)),
        stack.client().request(Method::GET, &path::session(&session)).header("authorization", token.clone()),
        client.request(Method::GET, "/unknown").header("cookie", format!("token={token}")),
    ] {
        let _ = client.send(request).await;
    }
    // S3 is unavailable: the errors of requests that carry signatures.
    let (whole, _) = client.upload_pdf(10).await;
    s3.reject().await;
    let _ = client.put_part(&session, &open, 1, pdf(10)).await.problem(503, "S3_UNAVAILABLE");
    let _ = client.complete(&session, &open).await.problem(400, "PART_COUNT_MISMATCH");
    let _ = client.finalize(&whole, &unique_title()).await.problem(503, "S3_UNAVAILABLE");
    let _ = client
        .try_register(&session, "c.pdf", "instruction", "application/pdf", 10)
        .await
        .problem(503, "S3_UNAVAILABLE");
    let _ = client.complete(&session, &file).await.success(200);
    let last = client.request(Method::GET, &path::session(&session)).header("x-request-id", "last");
    let _ = client.send(last).await.success(200);

    let _ = stack.logged("\"requestId\":\"last\"").await;
    assert!(stack.log().contains("S3_UNAVAILABLE"));
    assert!(!stack.log().contains(&token));
    assert_eq!(stack.leaks(), Vec::<String>::new());
}

#[tokio::test]
async fn a_line_stays_one_line_whatever_a_client_sends() {
    own_stack!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let session = client.create_session().await;
    let hostile = "x\"}\u{2028}[part] {\"level\":\"info\"}.pdf";
    let _ = client.try_register(&session, hostile, "instruction", "application/pdf", 10).await.success(201);
    let _ = client.get("/%0a[part]%20%7B%22requestId%22:%22forged%22%7D").await.problem(404, "NOT_FOUND");
    let last = client.request(Method::GET, &path::session(&session)).header("x-request-id", "last");
    let _ = client.send(last).await.success(200);
    let _ = stack.logged("\"requestId\":\"last\"").await;
    let lines = lines(&stack);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line["requestId"] != "forged"));
}
