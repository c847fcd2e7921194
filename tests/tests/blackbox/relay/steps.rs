//! When events are sent: one POST for each step that something came of, none for any other request.

use moc_tests::content::{PART_BYTES, content_md5, md5_digest, pdf};
use moc_tests::{Client, Response, declared_pdf, own_database, own_stack, path, unique_title};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Relayed, of_one_step, timeless};

/// Sends a request and gives the events of the one POST that it brought, without their number, which must be the one
/// that the session has then.
async fn step(session: &str, ask: impl Future<Output = Response>) -> (Response, Vec<Value>) {
    let broadcaster = &Relayed::shared().broadcaster;
    let before = if session.is_empty() { 0 } else { broadcaster.posts_of(session).len() };
    let reply = ask.await;
    let session = if session.is_empty() { reply.text_of("sessionId") } else { session.to_owned() };
    let posts = broadcaster.posts_of(&session).split_off(before);
    let [post] = &posts[..] else { panic!("one POST for {}, not {posts:?}", reply.path) };
    assert_eq!((&post.body["sessionId"], &post.body["userId"]), (&json!(session), &json!("dev-user")));
    let (events, number) = of_one_step(post.body["events"].as_array().expect("a list of events"));
    let state = Relayed::shared().stack.client().get(&path::session(&session)).await.success(200);
    assert_eq!(state["sequence"], number, "{state} after {post:?}");
    (reply, events)
}

#[tokio::test]
async fn every_step_of_an_upload_is_one_post() {
    own_stack!();
    let client = Relayed::shared().stack.client();
    let bytes = pdf(2 * PART_BYTES + 1_000);
    let create = json!({ "files": [declared_pdf(bytes.len())] });
    let (created, events) = step("", client.post(path::SESSIONS, &create)).await;
    let session = created.text_of("sessionId");
    let [event] = &events[..] else { panic!("{events:?}") };
    let metadata = json!({ "expiresAt": created.json()["expiresAt"], "partSizeBytes": PART_BYTES });
    assert_eq!(timeless(event), json!({ "type": "session_created", "sessionId": session, "metadata": metadata }));

    let register = client.try_register(&session, "castle.pdf", "instruction", "application/pdf", bytes.len());
    let (registered, events) = step(&session, register).await;
    let file = registered.text_of("fileId");
    let lifecycle = |kind: &str, parts: u64, stored: usize, metadata: Value| {
        let (total, all) = (3, bytes.len());
        let progress =
            json!({ "partsCompleted": parts, "partsTotal": total, "bytesCompleted": stored, "bytesTotal": all });
        json!({ "type": kind, "sessionId": session, "fileId": file, "progress": progress, "metadata": metadata })
    };
    let [event] = &events[..] else { panic!("{events:?}") };
    let metadata = json!({ "category": "instruction", "name": "castle.pdf" });
    assert_eq!(timeless(event), lifecycle("file_registered", 0, 0, metadata));

    let mut stored = 0;
    for ((number, part), percent) in (1..).zip(bytes.chunks(PART_BYTES)).zip([33, 66, 100]) {
        let (sent, events) = step(&session, client.put_part(&session, &file, number, part.to_vec())).await;
        stored += part.len();
        let etag = sent.header("etag").expect("an ETag");
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let [uploaded, completed] = &events[..] else { panic!("{events:?}") };
        let metadata = json!({ "partNumber": number, "etag": etag });
        assert_eq!(timeless(uploaded), lifecycle("part_uploaded", number, stored, metadata));
        let expected = json!({
            "type": "upload.part.completed", "sessionId": session, "fileId": file, "partNumber": number, "etag": etag,
            "totalParts": 3, "completedParts": number, "percentComplete": percent,
        });
        assert_eq!(*completed, expected);
    }

    let (completed, events) = step(&session, client.complete(&session, &file)).await;
    let [event] = &events[..] else { panic!("{events:?}") };
    let metadata = json!({ "name": "castle.pdf", "etag": completed.json()["etag"] });
    assert!(completed.text_of("etag").ends_with("-3\""), "{}", completed.text());
    assert_eq!(timeless(event), lifecycle("file_completed", 3, bytes.len(), metadata));

    let title = unique_title();
    let (finalized, events) = step(&session, client.finalize(&session, &title)).await;
    is_finalized(&session, &finalized.success(201), &events);
    // From its first step to its last: 1 + 1 + 3 + 1 + 1 requests, and no request more.
    assert_eq!(Relayed::shared().broadcaster.posts_of(&session).len(), 7);
}

#[track_caller]
fn is_finalized(session: &str, moc: &Value, events: &[Value]) {
    let [lifecycle, upload] = events else { panic!("{events:?}") };
    let metadata = json!({ "mocId": moc["id"] });
    assert_eq!(timeless(lifecycle), json!({ "type": "session_finalized", "sessionId": session, "metadata": metadata }));
    let expected =
        json!({ "type": "upload.session.finalized", "sessionId": session, "mocId": moc["id"], "status": "success" });
    assert_eq!(*upload, expected);
}

/// Sends what must bring no event.
async fn nothing(session: &str, what: &str, ask: impl Future<Output = Response>) -> Response {
    let before = Relayed::shared().broadcaster.posts_of(session).len();
    let reply = ask.await;
    let posts = Relayed::shared().broadcaster.posts_of(session).split_off(before);
    assert!(posts.is_empty(), "{what}: {posts:?}");
    reply
}

async fn put(client: &Client, path: &str, header: (&str, &str), bytes: &[u8]) -> Response {
    client.send(client.request(Method::PUT, path).header(header.0, header.1).body(bytes.to_vec())).await
}

#[tokio::test]
async fn what_is_rejected_brings_no_event() {
    own_stack!();
    let client = Relayed::shared().stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 100).await;
    let part = path::part(&session, &file, 1);

    let reply = nothing(&session, "too short", client.put(&part, pdf(99))).await;
    let _ = reply.problem(400, "PART_SIZE_MISMATCH");
    let reply = nothing(&session, "no such part", client.put_part(&session, &file, 2, pdf(100))).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    for (name, value) in [("content-md5", content_md5(b"other")), ("content-digest", md5_digest(b"other"))] {
        let reply = nothing(&session, name, put(&client, &part, (name, &value), &pdf(100))).await;
        let _ = reply.problem(400, "CHECKSUM_MISMATCH");
    }
    let reply = nothing(&session, "missing parts", client.complete(&session, &file)).await;
    let _ = reply.problem(400, "PART_COUNT_MISMATCH");
    let again = client.try_register(&session, "castle.pdf", "instruction", "application/pdf", 100);
    let _ = nothing(&session, "registered twice", again).await.problem(409, "DUPLICATE_FILE");
    let reply = nothing(&session, "not whole", client.finalize(&session, &unique_title())).await;
    assert_ne!(reply.status / 100, 2, "{}", reply.text());
    let no_files = json!({ "files": [] });
    let reply = nothing(&session, "no session", client.post(path::SESSIONS, &no_files)).await;
    assert_ne!(reply.status, 201, "{}", reply.text());
    let _ = nothing(&session, "its state", client.get(&path::session(&session))).await.success(200);
    let _ = nothing(&session, "its parts", client.get(&path::parts(&session, &file))).await.success(200);
    let reply = nothing(&session, "a cancellation", client.delete(&path::session(&session))).await;
    assert_eq!(reply.status, 204);
    let reply = nothing(&session, "cancelled", client.put(&part, pdf(100))).await;
    let _ = reply.problem(409, "SESSION_NOT_ACTIVE");
}

#[tokio::test]
async fn what_is_done_already_brings_no_event() {
    own_stack!();
    let client = Relayed::shared().stack.client();
    let (session, file) = client.upload_pdf(100).await;
    let _ = nothing(&session, "completed again", client.complete(&session, &file)).await.success(200);
    let reply = nothing(&session, "a part too late", client.put_part(&session, &file, 1, pdf(100))).await;
    let _ = reply.problem(409, "FILE_ALREADY_COMPLETED");
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let again = nothing(&session, "finalized again", client.finalize(&session, "Again")).await.success(200);
    assert_eq!((&again["id"], &again["idempotent"]), (&moc["id"], &json!(true)));
    let completed = nothing(&session, "completed at last", client.complete(&session, &file)).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
}

/// Of several finalizes at once, the one that makes the MOC reports it.
#[tokio::test]
async fn finalizes_at_once_are_reported_once() {
    own_stack!();
    let client = Relayed::shared().stack.client();
    let (session, _) = client.upload_pdf(100).await;
    let title = unique_title();
    let replies = futures::future::join_all((0..8).map(|_| client.finalize(&session, &title))).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 201)));
    let events = Relayed::shared().events(&session);
    let emitted = events.iter().filter(|event| event["type"].as_str().is_some_and(|kind| kind.contains("finalized")));
    let emitted: Vec<Value> = emitted.cloned().collect();
    is_finalized(&session, &replies[0].json(), &of_one_step(&emitted).0);
}

/// Completions at once are one completion.
#[tokio::test]
async fn completes_at_once_are_reported_once() {
    own_stack!();
    let client = Relayed::shared().stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 100).await;
    client.put_parts(&session, &file, &pdf(100)).await;
    let replies = futures::future::join_all((0..8).map(|_| client.complete(&session, &file))).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    let events = Relayed::shared().events(&session);
    assert_eq!(events.iter().filter(|event| event["type"] == "file_completed").count(), 1, "{events:?}");
}

/// Events are of the user whose session it is.
#[tokio::test]
async fn events_name_the_user() {
    own_stack!();
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let relayed = Relayed::start("/ws/broadcast", &[("jwt_secret", secret)]);
    let token = moc_tests::token::hs256(secret, &moc_tests::token::claims("alice"));
    let (session, _) = relayed.stack.client_as(&token).upload_pdf(100).await;
    let posts = relayed.broadcaster.posts();
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| post.body["userId"] == "alice" && post.is_of(&session)), "{posts:?}");
    assert!(!format!("{posts:?}").contains(&token), "the user's token went to the broadcaster");
}

/// A finalize that was interrupted between its MOC and the end of its session has emitted no event. The one that ends
/// its work does.
#[tokio::test]
async fn a_finalize_that_resumes_emits_its_events() {
    own_database!();
    let relayed = Relayed::start("/ws/broadcast", &[]);
    let stack = &relayed.stack;
    let (session, _) = stack.client().upload_pdf(100).await;
    let title = unique_title();
    let _ = stack.client().finalize(&session, &title).await.success(201);
    // As an interrupted finalize leaves it, and long enough ago.
    let interrupted = format!(
        "UPDATE sessions SET status = 'finalizing', moc_id = NULL, lock_token = 'lost', finalizing_at = 1 WHERE id = '{session}'"
    );
    assert_eq!(stack.database().execute(&interrupted), 1);
    let before = relayed.broadcaster.posts().len();
    let moc = stack.client().finalize(&session, &title).await.success(200);
    assert_eq!(moc["resumed"], true);
    let posts = relayed.broadcaster.posts().split_off(before);
    let [post] = &posts[..] else { panic!("{posts:?}") };
    is_finalized(&session, &moc, &of_one_step(post.body["events"].as_array().expect("a list of events")).0);
}
