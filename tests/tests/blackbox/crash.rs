//! Work that is interrupted between two of its steps, and the next call that heals it.

mod finalize;
mod kill;
mod uploads;

use moc_tests::{Response, Stack, path};
use rusqlite::params;
use serde_json::Value;

/// After how long a lock is taken for one of the dead, in milliseconds.
const LOCK_STALE_MS: i64 = 5 * 60 * 1000;

/// Lets a statement fail from now on: `when` as `BEFORE INSERT ON mocs`.
fn break_step(stack: &Stack, when: &str) {
    let trigger = format!("CREATE TRIGGER broken {when} BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END");
    stack.database().execute_batch(&trigger).expect("a trigger");
}

fn mend_step(stack: &Stack) {
    stack.database().execute_batch("DROP TRIGGER broken").expect("the trigger was there");
}

#[track_caller]
fn store_is_unavailable(reply: &Response) {
    let _ = reply.problem(503, "STORE_UNAVAILABLE");
}

fn status(stack: &Stack, session: &str) -> String {
    let database = stack.database();
    let status = database.query_row("SELECT status FROM sessions WHERE id = ?1", [session], |row| row.get(0));
    status.expect("the session")
}

fn moc_count(stack: &Stack, session: &str) -> u32 {
    let database = stack.database();
    let count = database.query_row("SELECT count(*) FROM mocs WHERE session_id = ?1", [session], |row| row.get(0));
    count.expect("a count")
}

/// As if the time that makes a lock stale had passed.
fn let_lock_go_stale(stack: &Stack, session: &str) {
    let statement = "UPDATE sessions SET finalizing_at = finalizing_at - ?2 WHERE id = ?1";
    stack.database().execute(statement, params![session, LOCK_STALE_MS]).expect("the session");
}

/// What must be true in the end, however often the work was interrupted: one MOC with so many files, the
/// session ended, and every later call responds the same.
async fn is_whole(stack: &Stack, session: &str, moc: &Value, files: usize) {
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
