//! Work that is interrupted between two of its steps, and the next call that heals it.

mod finalize;
mod kill;

use moc_tests::content::pdf;
use moc_tests::{Client, Stack, path};
use serde_json::Value;

/// How long a lock holds that nobody renews, in milliseconds.
const LEASE_MS: i64 = 15_000;

pub(crate) fn status(stack: &Stack, session: &str) -> String {
    stack.database().value(&format!("SELECT status FROM sessions WHERE id = '{session}'")).expect("the session")
}

pub(crate) fn moc_count(stack: &Stack, session: &str) -> u32 {
    let count = stack.database().value(&format!("SELECT count(*) FROM mocs WHERE session_id = '{session}'"));
    count.and_then(|count| count.parse().ok()).expect("a count")
}

/// As if the lease of its lock had passed.
pub(crate) fn let_lock_go_stale(stack: &Stack, session: &str) {
    let statement = format!("UPDATE sessions SET finalizing_at = finalizing_at - {LEASE_MS} WHERE id = '{session}'");
    let _ = stack.database().execute(&statement);
}

/// A session with three files, ready to be finalized.
pub(crate) async fn ready(client: &Client) -> String {
    let (session, _) = client.upload_pdf(1_000).await;
    client.upload(&session, "parts.csv", "parts-list", "text/csv", b"part,count\n3001,4\n").await;
    let mut picture = pdf(600);
    picture.splice(..8, *b"\x89PNG\r\n\x1a\n");
    client.upload(&session, "front.png", "image", "image/png", &picture).await;
    session
}

/// What must be true in the end, however often the work was interrupted: one MOC with so many files, the
/// session ended, and every later call responds the same.
pub(crate) async fn is_whole(stack: &Stack, session: &str, moc: &Value, files: usize) {
    assert_eq!(moc["files"].as_array().map(Vec::len), Some(files), "{moc}");
    assert_eq!(moc_count(stack, session), 1);
    assert_eq!(status(stack, session), "finalized");
    let client = stack.client();
    let again = client.finalize(session, "Another title").await.success(200);
    assert_eq!((&again["idempotent"], &again["id"], &again["files"]), (&true.into(), &moc["id"], &moc["files"]));
    let shown = client.get(&path::moc(moc["id"].as_str().expect("an id"))).await.success(200);
    assert_eq!((&shown["files"], &shown["title"]), (&moc["files"], &moc["title"]));
    let state = client.get(&path::session(session)).await.success(200);
    assert_eq!((&state["status"], &state["mocId"]), (&"finalized".into(), &moc["id"]));
}
