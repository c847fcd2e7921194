//! `POST /sessions/:sessionId/files`.

use moc_tests::content::{MIB, PART_BYTES};
use moc_tests::{Client, Stack, assert_response, declared_pdf, own_database, own_stack, path};
use reqwest::Method;
use serde_json::{Value, json};

async fn register(client: &Client, session: &str, body: Value) -> moc_tests::Response {
    client.post(&path::files(session), &body).await
}

#[tokio::test]
async fn a_file_is_registered_by_its_long_form() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let reply = register(&client, &session, declared_pdf(2 * PART_BYTES + 1)).await;
    let body = reply.success(201);
    assert_eq!((&body["partsTotal"], &body["partSizeBytes"]), (&json!(3), &json!(PART_BYTES)));
    assert_eq!(reply.header("location"), Some(path::parts(&session, &reply.text_of("fileId")).as_str()));
    assert_response!("register", reply);
}

#[tokio::test]
async fn a_file_is_registered_by_its_short_form() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for (name, category, media_type) in [
        ("castle.pdf", "instruction", "application/pdf"),
        ("list.csv", "parts-list", "text/csv"),
        ("list.xml", "parts-list", "application/xml"),
        ("list.txt", "parts-list", "text/plain"),
        ("list.json", "parts-list", "application/json"),
        ("a.JPG", "image", "image/jpeg"),
        ("b.jpeg", "image", "image/jpeg"),
        ("c.png", "image", "image/png"),
        ("d.webp", "image", "image/webp"),
        ("e.gif", "image", "image/gif"),
    ] {
        let reply = register(&client, &session, json!({ "fileKey": name, "fileSizeBytes": 9 })).await;
        assert_eq!(reply.success(201)["partsTotal"], 1);
        let state = client.get(&path::session(&session)).await.success(200);
        let files = state["files"].as_array().expect("files");
        let file = files.iter().find(|file| file["fileId"] == reply.json()["fileId"]).expect("the file");
        assert_eq!((&file["category"], &file["type"]), (&json!(category), &json!(media_type)), "{name}");
    }
    let thumbnail = json!({ "fileKey": "t.png", "fileSizeBytes": 9, "category": "thumbnail" });
    let _ = register(&client, &session, thumbnail).await.success(201);
}

#[tokio::test]
async fn a_registration_that_cannot_be_read_is_rejected() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let _ = client.post_nothing(&path::files(&session)).await.problem(400, "EMPTY_BODY");
    let malformed = client.request(Method::POST, &path::files(&session)).body("{");
    let _ = client.send(malformed).await.problem(400, "MALFORMED_BODY");
    for (body, pointer) in [
        (json!({}), "/category"),
        (json!({ "fileKey": "a.pdf" }), "/fileSizeBytes"),
        (json!({ "fileKey": "a.pdf", "fileSizeBytes": 0 }), "/fileSizeBytes"),
        (json!({ "fileKey": "", "fileSizeBytes": 1 }), "/fileKey"),
        (json!({ "fileKey": "a.pdf", "fileSizeBytes": 1, "partCount": 10_001 }), "/partCount"),
        (json!({ "fileKey": "a.pdf", "fileSizeBytes": 1, "category": "none" }), "/category"),
        (declared_pdf(0), "/size"),
    ] {
        let problem = register(&client, &session, body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    let reply = register(&client, &session, json!({ "fileKey": "a.exe", "fileSizeBytes": 1 })).await;
    assert_eq!(reply.problem(415, "UNSUPPORTED_MEDIA_TYPE")["allowed"].as_array().map(Vec::len), Some(9));
    let reply = register(&client, &session, declared_pdf(50 * MIB + 1)).await;
    assert_eq!(reply.problem(413, "FILE_TOO_LARGE")["limitBytes"], 50 * MIB);
    let mut long = declared_pdf(1);
    long["padding"] = json!("x".repeat(256 * 1024));
    let _ = register(&client, &session, long).await.problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(client.get(&path::session(&session)).await.json()["files"], json!([]), "nothing was registered");
}

#[tokio::test]
async fn a_file_is_registered_once_by_category_and_name() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 9).await;
    let reply = register(&client, &session, declared_pdf(10)).await;
    assert_eq!(reply.problem(409, "DUPLICATE_FILE")["fileId"], json!(file));
    assert_response!("register_duplicate_file", reply);

    let picture = client.register(&session, "a.png", "image", "image/png", 9).await;
    assert_ne!(client.register(&session, "a.png", "thumbnail", "image/png", 9).await, picture);
    let other = client.create_session().await;
    assert_ne!(client.register_pdf(&other, 9).await, file);
}

#[tokio::test]
async fn responds_404_when_registering_in_a_missing_session() {
    let client = Stack::shared().client();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let _ = register(&client, id, declared_pdf(9)).await.problem(404, "NOT_FOUND");
    let _ = register(&client, "malformed", declared_pdf(9)).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_session_holds_only_so_many_files() {
    own_stack!();
    let stack = Stack::start(&[("max_files_per_session", "3")]);
    let client = stack.client();
    let session = client.create_session().await;
    let names: Vec<String> = (0..12).map(|number| format!("{number}.pdf")).collect();
    let replies = names.iter().map(|name| client.try_register(&session, name, "instruction", "application/pdf", 9));
    let replies = futures::future::join_all(replies).await;
    let (taken, rejected): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(taken.len(), 3);
    for reply in &rejected {
        assert_eq!(reply.problem(400, "FILE_COUNT_EXCEEDED")["limit"], 3);
    }
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(state["files"].as_array().map(Vec::len), Some(3));

    let four = json!({ "files": vec![declared_pdf(1); 4] });
    let _ = client.post(path::SESSIONS, &four).await.problem(400, "FILE_COUNT_EXCEEDED");
}

/// Sets the times of a session to so many minutes from now.
fn set_times(stack: &Stack, session: &str, created: i64, expires: i64) {
    let now = i64::try_from(moc_tests::token::now()).expect("a time") * 1000;
    let (created, expires) = (now + created * 60_000, now + expires * 60_000);
    stack.set_session(session, &format!("created_at = {created}, expires_at = {expires}"));
}

/// Milliseconds until a session's end.
fn left(stack: &Stack, session: &str) -> i64 {
    let end = stack.database().value(&format!("SELECT expires_at FROM sessions WHERE id = '{session}'"));
    let end: i64 = end.expect("a session").parse().expect("a time");
    end - i64::try_from(moc_tests::token::now()).expect("a time") * 1000
}

#[tokio::test]
async fn an_expired_session_says_when_it_ended() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 3).await;
    set_times(stack, &session, -31, -1);
    for (name, reply) in [
        ("register", client.try_register(&session, "b.pdf", "instruction", "application/pdf", 1).await),
        ("part", client.put_part(&session, &file, 1, "abc").await),
        ("complete", client.complete(&session, &file).await),
        ("finalize", client.finalize(&session, "Castle").await),
    ] {
        let problem = reply.problem(410, "SESSION_EXPIRED");
        let text = |field: &str| problem[field].as_str().expect("a time").to_owned();
        assert_eq!(problem["sessionExpired"], true, "{name}");
        // Times of one form sort as text.
        assert!(text("expiresAt") < text("now"), "{name}: {problem}");
        if name == "register" {
            assert_response!("register_session_expired", reply);
        }
    }
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}

#[tokio::test]
async fn activity_extends_a_session_that_has_little_time_left() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let minute = 60_000;
    let session = client.create_session().await;

    set_times(stack, &session, -18, 12);
    let file = client.register_pdf(&session, 3).await;
    assert!(left(stack, &session) <= 12 * minute, "twelve minutes are enough");

    set_times(stack, &session, -25, 5);
    let _ = client.register(&session, "a.png", "image", "image/png", 1).await;
    assert!((34 * minute..=35 * minute).contains(&left(stack, &session)), "registering gives 30 more");

    set_times(stack, &session, -25, 5);
    let _ = client.put_part(&session, &file, 1, "abc").await.success(200);
    assert!((34 * minute..=35 * minute).contains(&left(stack, &session)), "a part gives 30 more");

    set_times(stack, &session, -25, 5);
    let _ = client.get(&path::session(&session)).await.success(200);
    let _ = client.stored_parts(&session, &file).await;
    assert!(left(stack, &session) <= 5 * minute, "looking gives nothing");

    let _ = client.complete(&session, &file).await.success(200);
    assert!((34 * minute..=35 * minute).contains(&left(stack, &session)), "completing gives 30 more");

    set_times(stack, &session, -(24 * 60 - 20), 5);
    let _ = client.register(&session, "b.png", "image", "image/png", 1).await;
    assert!((19 * minute..=20 * minute).contains(&left(stack, &session)), "a session lives 24 hours at most");
}
