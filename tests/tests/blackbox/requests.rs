//! What is the same for every route: methods, paths, ids of requests, forged headers.

use moc_tests::content::pdf;
use moc_tests::raw::Connection;
use moc_tests::{Stack, assert_response, path, unique_title};
use reqwest::Method;
use serde_json::json;

const NOBODYS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn each_path_takes_its_methods_alone() {
    let client = Stack::shared().client();
    for (path, allow) in [
        (path::SESSIONS.to_owned(), "POST"),
        (path::session(NOBODYS), "GET, HEAD, DELETE"),
        (path::files(NOBODYS), "POST"),
        (path::file(NOBODYS, NOBODYS), "DELETE"),
        (path::part(NOBODYS, NOBODYS, 1), "PUT"),
        (path::parts(NOBODYS, NOBODYS), "GET, HEAD"),
        (path::complete(NOBODYS, NOBODYS), "POST"),
        (path::FINALIZE.to_owned(), "POST"),
        (path::SESSIONS_FINALIZE.to_owned(), "POST"),
        (path::moc(NOBODYS), "GET, HEAD"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let reply = client.send(client.request(method.clone(), &path)).await;
            let _ = reply.problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
        }
        if !allow.contains("HEAD") {
            let head = client.send(client.request(Method::HEAD, &path)).await;
            assert_eq!((head.status, head.header("allow")), (405, Some(allow)), "HEAD {path}");
        }
    }
    assert_response!("method_not_allowed", client.delete(path::SESSIONS).await);
}

/// What link checkers, monitors and caches ask with.
#[tokio::test]
async fn whatever_responds_to_get_responds_to_head() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(100).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let moc = path::moc(moc["id"].as_str().expect("an id"));
    for (path, status) in [
        (path::session(&session), 200),
        (path::parts(&session, &file), 200),
        (moc, 200),
        (path::HEALTH.to_owned(), 200),
        (path::session(NOBODYS), 404),
        (path::parts(NOBODYS, NOBODYS), 404),
        (path::moc(NOBODYS), 404),
        ("/nowhere".to_owned(), 404),
    ] {
        let get = client.get(&path).await;
        let head = client.send(client.request(Method::HEAD, &path)).await;
        assert_eq!((get.status, head.status, head.bytes.len()), (status, status, 0), "{path}");
        for name in ["content-type", "content-length", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "{path}");
    }
}

#[tokio::test]
async fn responds_with_a_problem_to_malformed_paths() {
    let base_url = Stack::shared().base_url();
    let session = path::session(NOBODYS);
    for path in [
        "/favicon.ico",
        "/api",
        "/api/mocs",
        "/api/mocs/uploads",
        "/api/mocs/uploads/sessionsx",
        "/api/mocs/uploads/sessions/x/files/y/parts",
        "/API/MOCS/UPLOADS/SESSIONS",
        "/api/mocs/uploads/finalize/x",
        "/api/mocs/x/y",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/%ff",
        &format!("{session}/files/{NOBODYS}/parts/1/2"),
        &format!("{session}/files/{NOBODYS}/complete/x"),
        &format!("/{}", "x".repeat(4000)),
        &format!("/{}", "x/".repeat(2000)),
    ] {
        let reply = Connection::start(base_url, "GET", path, &[]).await.reply().await;
        let _ = reply.problem(404, "NOT_FOUND");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = Connection::start(base_url, method, "/nothing", &[("content-length", "0")]).await.reply().await;
        let _ = reply.problem(404, "NOT_FOUND");
    }
    assert_response!("unknown_path", Stack::shared().client().get("/unknown").await);
}

#[tokio::test]
async fn slashes_too_many_lead_nowhere_or_to_the_same_place() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for path in [
        format!("/api//mocs/uploads/sessions/{session}"),
        format!("//api/mocs/uploads/sessions/{session}"),
        format!("/api/mocs/uploads/sessions/{session}/"),
        format!("/api/mocs/uploads/sessions//{session}"),
        format!("/api/mocs/uploads/sessions/{session}//files"),
        format!("/api/mocs/uploads/sessions/x/../{session}"),
    ] {
        let reply = Connection::start(Stack::shared().base_url(), "GET", &path, &[]).await.reply().await;
        match reply.status {
            200 => assert_eq!(reply.text_of("sessionId"), session, "{path}"),
            _ => drop(reply.problem(404, "NOT_FOUND")),
        }
    }
}

#[tokio::test]
async fn a_query_changes_nothing_and_is_not_shown() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let _ = client.get(&format!("{}?sessionId={NOBODYS}&token=secret", path::session(&session))).await.success(200);
    let reply = client.get(&format!("{}?token=secret", path::session(NOBODYS))).await;
    assert_eq!(reply.problem(404, "NOT_FOUND")["instance"], json!(path::session(NOBODYS)));
    assert!(!reply.text().contains("secret"));
}

#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with() {
    let client = Stack::shared().client();
    for id in ["abc", "01890a5d-ac96-774b-bcce-b302099a8057", "a.b:c/d+e=f_g-h", &"x".repeat(128)] {
        for path in [path::session(NOBODYS), "/unknown".to_owned()] {
            let reply = client.send(client.request(Method::GET, &path).header("x-request-id", id)).await;
            assert_eq!(reply.header("x-request-id"), Some(id));
            assert_eq!(reply.problem(404, "NOT_FOUND")["requestId"], json!(id));
        }
    }
    let create = client.request(Method::POST, path::SESSIONS).header("x-request-id", "mine");
    assert_eq!(client.send(create).await.header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn a_request_without_an_id_or_with_a_hostile_one_gets_a_new_one() {
    let path = path::session(NOBODYS);
    let long = "x".repeat(129);
    let mut seen = Vec::new();
    for id in ["", "a b", "a\tb", "<script>", "\"}{\"level\":\"info", "a;b", "a,b", "ä", "a%0d%0aX-Evil:1", &long] {
        let headers = [("x-request-id", id)];
        let reply = Connection::start(Stack::shared().base_url(), "GET", &path, &headers).await.reply().await;
        let _ = reply.problem(404, "NOT_FOUND");
        let given = reply.header("x-request-id").expect("an id").to_owned();
        assert_eq!((given.len(), given.matches('-').count()), (36, 4), "{id:?} became {given}");
        seen.push(given);
    }
    seen.push(Stack::shared().client().get(&path).await.text_of("requestId"));
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no id twice");
}

#[tokio::test]
async fn forged_path_match_headers_change_nothing() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(10).await;
    let (other, other_file) = client.upload_pdf(20).await;
    let open = client.register(&session, "b.pdf", "instruction", "application/pdf", 10).await;
    let forged = |method: Method, path: &str| {
        let request = client.request(method, path);
        [
            ("spin-path-match-sessionid", other.as_str()),
            ("spin-path-match-sessionId", &other),
            ("spin-path-match-fileid", &other_file),
            ("spin-path-match-fileId", &other_file),
            ("spin-path-match-partnumber", "2"),
            ("spin-path-match-mocid", NOBODYS),
            ("spin-path-info", "/x"),
            ("spin-full-url", "http://evil.example/x"),
            ("spin-matched-route", "/x"),
            ("spin-component-route", "/x"),
            ("spin-raw-component-route", "/x"),
            ("spin-base-path", "/x"),
            ("spin-client-addr", "9.9.9.9:9"),
        ]
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value))
    };
    let state = client.send(forged(Method::GET, &path::session(&session))).await.success(200);
    assert_eq!(state["sessionId"], json!(session));
    let part = forged(Method::PUT, &path::part(&session, &open, 1)).body(pdf(10));
    assert_eq!(client.send(part).await.success(200)["partNumber"], 1);
    let list = client.send(forged(Method::GET, &path::parts(&session, &open))).await.success(200);
    assert_eq!(list["parts"].as_array().map(Vec::len), Some(1));
    let completed = client.send(forged(Method::POST, &path::complete(&session, &open))).await.success(200);
    assert_eq!(completed["fileId"], json!(open));
    let again = client.send(forged(Method::POST, &path::complete(&session, &file))).await.success(200);
    assert_eq!(again["sizeBytes"], 10);
    let body = json!({ "fileKey": "c.pdf", "fileSizeBytes": 10 }).to_string();
    let _ = client.send(forged(Method::POST, &path::files(&session)).body(body)).await.success(201);
    assert_eq!(client.get(&path::session(&other)).await.json()["files"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.send(forged(Method::DELETE, &path::session(&session))).await.status, 204);
    assert_eq!(client.get(&path::session(&other)).await.json()["status"], "active");

    let moc = client.finalize(&other, &unique_title()).await;
    let shown = client.send(forged(Method::GET, &path::moc(&moc.text_of("id")))).await.success(200);
    assert_eq!(shown["id"], moc.json()["id"]);
}
