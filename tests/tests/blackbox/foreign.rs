//! What belongs to another user is not found.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::token::{claims, hs256};
use moc_tests::{Client, Response, Stack, own_stack, path, unique_title};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

/// Asks every route for what these ids name.
async fn every_route(client: &Client, session: &str, file: &str, moc: &str) -> Vec<(&'static str, Response)> {
    let finalize = json!({ "uploadSessionId": session, "title": "Mine" });
    vec![
        ("get session", client.get(&path::session(session)).await),
        ("register", client.try_register(session, "b.pdf", "instruction", "application/pdf", 10).await),
        ("part", client.put_part(session, file, 1, pdf(PART_BYTES)).await),
        ("list parts", client.get(&path::parts(session, file)).await),
        ("complete", client.complete(session, file).await),
        ("remove", client.delete(&path::file(session, file)).await),
        ("finalize", client.post(path::FINALIZE, &finalize).await),
        ("finalize by its other path", client.post(path::SESSIONS_FINALIZE, &finalize).await),
        ("moc", client.get(&path::moc(moc)).await),
        ("cancel", client.delete(&path::session(session)).await),
    ]
}

/// A problem without what names the request.
fn bare(reply: &Response) -> Value {
    let mut body = reply.json();
    body["instance"] = Value::Null;
    body["requestId"] = Value::Null;
    body
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_found_on_every_route() {
    own_stack!();
    let stack = Stack::shared_with(&[("jwt_secret", SECRET)]);
    let user = |name: &str| stack.client_as(&hs256(SECRET, &claims(name)));
    let (alice, mallory) = (user("alice"), user("mallory"));

    let session = alice.create_session().await;
    let file = alice.register_pdf(&session, PART_BYTES + 10).await;
    let _ = alice.put_part(&session, &file, 2, vec![0; 10]).await.success(200);
    let (published, _) = alice.upload_pdf(10).await;
    let moc = alice.finalize(&published, &unique_title()).await;
    let _ = moc.success(201);
    let moc = moc.text_of("id");

    let nobodys = "01890a5d-ac96-774b-bcce-b302099a8057";
    let foreign = every_route(&mallory, &session, &file, &moc).await;
    let absent = every_route(&mallory, nobodys, nobodys, nobodys).await;
    assert_eq!(foreign.len(), 10);
    for ((route, foreign), (_, absent)) in foreign.iter().zip(&absent) {
        let _ = foreign.problem(404, "NOT_FOUND");
        assert_eq!(bare(foreign), bare(absent), "{route}: nothing tells a foreign thing from none");
    }
    // Not by a session of one's own either.
    let own = mallory.create_session().await;
    let _ = mallory.put_part(&own, &file, 1, pdf(PART_BYTES)).await.problem(404, "NOT_FOUND");
    let _ = mallory.get(&path::parts(&own, &file)).await.problem(404, "NOT_FOUND");
    let _ = mallory.complete(&own, &file).await.problem(404, "NOT_FOUND");

    // Nothing of it has changed anything.
    let state = alice.get(&path::session(&session)).await.success(200);
    assert_eq!((&state["status"], state["files"].as_array().map(Vec::len)), (&json!("active"), Some(1)));
    assert_eq!(alice.stored_parts(&session, &file).await, [2]);
}

#[tokio::test]
async fn users_do_not_share_slugs_keys_or_limits() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret", SECRET), ("rate_limit_sessions_per_hour", "1000")]);
    let title = unique_title();
    let mut slugs = Vec::new();
    for name in ["alice", "bob", "a/../b", "Ünï/🏰 %2f", "."] {
        let client = stack.client_as(&hs256(SECRET, &claims(name)));
        let (session, file) = client.upload_pdf(10).await;
        let moc = client.finalize(&session, &title).await.success(201);
        assert_eq!(moc["userId"], json!(name));
        slugs.push(moc["slug"].clone());
        let key = moc["pdfKey"].as_str().expect("a key");
        let segments: Vec<&str> = key.split('/').collect();
        let [uploads, user, in_session, of_file, object] = segments[..] else { panic!("{key}") };
        assert_eq!((uploads, in_session, of_file, object), ("uploads", session.as_str(), file.as_str(), "castle.pdf"));
        assert!(!user.is_empty() && user != "." && user != "..", "{key}");
        assert_eq!(stack.bucket().get(key).await, Some(pdf(10)), "{key}");
    }
    assert!(slugs.iter().all(|slug| *slug == slugs[0]), "{slugs:?}");
}
