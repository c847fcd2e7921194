//! Rules that a black-box test can only reach by a look inside: statements that fail in the middle of a request, locks
//! and schemas of a SQLite file. Each belongs in a unit test over fakes of store and bucket, and leaves this folder then.

mod finalize;
mod migrations;
mod relay;
mod store;
mod uploads;
mod webhooks;

use moc_tests::{Response, Stack};

const BEFORE_END: &str = "BEFORE UPDATE ON sessions WHEN NEW.status = 'finalized'";

/// Lets a statement fail from now on: `when` as `BEFORE INSERT ON mocs`.
fn break_step(stack: &Stack, when: &str) {
    let trigger = format!("CREATE TRIGGER broken {when} BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END");
    stack.sqlite().execute_batch(&trigger).expect("a trigger");
}

fn mend_step(stack: &Stack) {
    stack.sqlite().execute_batch("DROP TRIGGER broken").expect("the trigger was there");
}

#[track_caller]
fn store_is_unavailable(reply: &Response) {
    let _ = reply.problem(503, "STORE_UNAVAILABLE");
}
