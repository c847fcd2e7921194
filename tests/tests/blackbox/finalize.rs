//! `POST /finalize` and `/sessions/finalize`.

use moc_tests::content::pdf;
use moc_tests::{Client, Response, Stack, assert_response, own_database, path, unique_title};
use reqwest::Method;
use serde_json::{Value, json};

async fn finalize(client: &Client, body: Value) -> Response {
    client.post(path::FINALIZE, &body).await
}

#[tokio::test]
async fn a_session_becomes_a_moc() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let _ = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(1234)).await;
    let _ = client.upload(&session, "parts.csv", "parts-list", "text/csv", b"part,count\n3001,7\n").await;
    let _ = client.upload(&session, "front.png", "image", "image/png", b"\x89PNG\r\n\x1a\n....").await;
    let _ = client.upload(&session, "small.gif", "thumbnail", "image/gif", b"GIF89a..").await;
    let body = json!({
        "uploadSessionId": session,
        "title": format!("  {} ", unique_title()),
        "description": "Two towers,\nand a gate.",
        "tags": ["castle", " medieval ", "castle"],
        "theme": "Castle",
    });
    let reply = finalize(&client, body).await;
    let moc = reply.success(201);
    assert_response!("finalize", reply);
    assert_eq!(reply.header("location"), Some(path::moc(&reply.text_of("id")).as_str()));
    assert_eq!(client.get(&path::moc(&reply.text_of("id"))).await.success(200), moc);
}

#[tokio::test]
async fn a_session_becomes_one_moc_by_either_path_however_often_it_is_finalized() {
    let client = Stack::shared().client();
    for (first, second) in [(path::FINALIZE, path::SESSIONS_FINALIZE), (path::SESSIONS_FINALIZE, path::FINALIZE)] {
        let (session, _) = client.upload_pdf(100).await;
        let body = json!({ "uploadSessionId": session, "title": unique_title() });
        let mut moc = client.post(first, &body).await.success(201);
        assert_eq!(moc.get("idempotent"), None);
        moc["idempotent"] = json!(true);
        for path in [first, second] {
            let mut reply = client.post(path, &body).await;
            assert_eq!(reply.success(200), moc);
            path::FINALIZE.clone_into(&mut reply.path);
            assert_response!("finalize_again", reply);
        }
        let other_title = json!({ "uploadSessionId": session, "title": unique_title() });
        assert_eq!(client.post(second, &other_title).await.success(200), moc, "the title stays");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_rejected() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(10).await;
    let _ = client.post_nothing(path::FINALIZE).await.problem(400, "EMPTY_BODY");
    let malformed = client.request(Method::POST, path::FINALIZE).body("{\"title\"");
    let _ = client.send(malformed).await.problem(400, "MALFORMED_BODY");
    let long = json!({ "uploadSessionId": session, "title": "Castle", "theme": "x".repeat(256 * 1024) });
    let _ = finalize(&client, long).await.problem(413, "PAYLOAD_TOO_LARGE");

    let with = |field: &str, value: Value| {
        let mut body = json!({ "uploadSessionId": session, "title": unique_title() });
        body[field] = value;
        body
    };
    for (body, pointer) in [
        (json!({}), "/uploadSessionId"),
        (json!({ "uploadSessionId": session }), "/title"),
        (with("uploadSessionId", json!("malformed")), "/uploadSessionId"),
        (with("uploadSessionId", json!(7)), "/uploadSessionId"),
        (with("title", json!("  ")), "/title"),
        (with("title", json!("x".repeat(101))), "/title"),
        (with("title", json!("a\nb")), "/title"),
        (with("description", json!("x".repeat(5001))), "/description"),
        (with("description", json!("a\u{0}")), "/description"),
        (with("theme", json!("x".repeat(51))), "/theme"),
        (with("tags", json!("castle")), "/tags"),
        (with("tags", json!(vec!["x"; 21])), "/tags"),
        (with("tags", json!(["ok", ""])), "/tags/1"),
        (with("tags", json!(["x".repeat(51)])), "/tags/0"),
        (with("tags", json!([7])), "/tags/0"),
    ] {
        let shown = body.to_string();
        let problem = finalize(&client, body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{shown}");
    }
    let wrong = json!({ "uploadSessionId": "x", "title": "", "tags": [""], "theme": "\u{0}" });
    let reply = finalize(&client, wrong).await;
    let _ = reply.problem(422, "VALIDATION_ERROR");
    assert_response!("finalize_validation_error", reply);
    assert_eq!(client.get(&path::session(&session)).await.json()["status"], "active");
}

#[tokio::test]
async fn a_moc_needs_a_completed_instruction() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let rejected = async || {
        let reply = client.finalize(&session, "Castle").await;
        let _ = reply.problem(400, "INSTRUCTION_FILE_REQUIRED");
        assert_eq!(client.get(&path::session(&session)).await.json()["status"], "active");
        reply
    };
    assert_response!("finalize_instruction_file_required", rejected().await);
    let _ = client.upload(&session, "front.gif", "image", "image/gif", b"GIF89a..").await;
    rejected().await;
    let file = client.register_pdf(&session, 10).await;
    client.put_parts(&session, &file, &pdf(10)).await;
    rejected().await;
    let _ = client.complete(&session, &file).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

#[tokio::test]
async fn a_title_that_is_taken_comes_with_one_that_is_not() {
    let client = Stack::shared().client();
    let title = unique_title();
    let slug = title.to_lowercase().replace(' ', "-");
    let (session, _) = client.upload_pdf(10).await;
    assert_eq!(client.finalize(&session, &title).await.success(201)["slug"], json!(slug));

    for number in 2..4 {
        let (session, _) = client.upload_pdf(10).await;
        let reply = client.finalize(&session, &format!(" {} !", title.to_uppercase())).await;
        let problem = reply.problem(409, "TITLE_CONFLICT");
        let suggested = format!("{slug}-{number}");
        assert_eq!(problem["suggestedSlug"], json!(suggested));
        assert_eq!(problem["retryStrategy"], "AUTO_APPEND");
        if number == 2 {
            assert_response!("finalize_title_conflict", reply);
        }
        assert_eq!(client.get(&path::session(&session)).await.json()["status"], "active");
        let moc = client.finalize(&session, &format!("{title} {number}")).await.success(201);
        assert_eq!(moc["slug"], json!(suggested));
    }
}

#[tokio::test]
async fn where_too_many_titles_are_taken_the_user_is_asked() {
    let client = Stack::shared().client();
    let title = unique_title();
    let titles: Vec<String> =
        (1..=20).map(|number| if number == 1 { title.clone() } else { format!("{title} {number}") }).collect();
    let made = titles.iter().map(async |title| {
        let (session, _) = client.upload_pdf(10).await;
        let _ = client.finalize(&session, title).await.success(201);
    });
    futures::future::join_all(made).await;
    let (session, _) = client.upload_pdf(10).await;
    let problem = client.finalize(&session, &title).await.problem(409, "TITLE_CONFLICT");
    assert_eq!(problem["retryStrategy"], "PROMPT_USER");
    assert_eq!(problem["suggestedSlug"], json!(format!("{}-21", title.to_lowercase().replace(' ', "-"))));
}

#[tokio::test]
async fn titles_of_any_script_make_slugs() {
    let client = Stack::shared().client();
    let unique = unique_title().split_off("Castle ".len());
    for (title, slug) in [
        (format!("城 {unique}"), format!("城-{unique}")),
        (format!("Café & Bar: {unique}!"), format!("café-bar-{unique}")),
        (format!("../{unique}/<b>"), format!("{unique}-b")),
        (format!("x'; DROP TABLE mocs; --{unique}"), format!("x-drop-table-mocs-{unique}")),
    ] {
        let (session, _) = client.upload_pdf(10).await;
        let moc = client.finalize(&session, &title).await.success(201);
        assert_eq!((&moc["slug"], &moc["title"]), (&json!(slug), &json!(title)));
    }
}

#[tokio::test]
async fn responds_404_for_a_missing_session() {
    let client = Stack::shared().client();
    let reply = client.finalize("01890a5d-ac96-774b-bcce-b302099a8057", "Castle").await;
    let _ = reply.problem(404, "NOT_FOUND");
    assert_response!("finalize_not_found", reply);
}

/// Makes a session look as a finalize leaves it that took the lock so many minutes ago.
fn lock(stack: &Stack, session: &str, minutes_ago: u64) {
    let since = (moc_tests::token::now() - minutes_ago * 60) * 1000;
    stack.set_session(session, &format!("status = 'finalizing', lock_token = 'x', finalizing_at = {since}"));
}

#[tokio::test]
async fn a_session_that_another_finalize_holds_is_closed_for_a_while() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let (session, file) = client.upload_pdf(10).await;
    let open = client.register(&session, "b.pdf", "instruction", "application/pdf", 3).await;
    lock(stack, &session, 0);
    assert_eq!(client.get(&path::session(&session)).await.success(200)["status"], "finalizing");
    let _ = client.put_part(&session, &open, 1, "abc").await.problem(409, "FINALIZE_IN_PROGRESS");
    let _ = client.complete(&session, &open).await.problem(409, "FINALIZE_IN_PROGRESS");
    let _ = client.complete(&session, &file).await.success(200);
    let _ = client.delete(&path::session(&session)).await.problem(409, "FINALIZE_IN_PROGRESS");
    let register = client.try_register(&session, "c.pdf", "instruction", "application/pdf", 3).await;
    let _ = register.problem(409, "FINALIZE_IN_PROGRESS");
}

#[tokio::test]
async fn a_lock_whose_lease_is_over_is_taken_over() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let (session, _) = client.upload_pdf(10).await;
    lock(stack, &session, 1);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}
