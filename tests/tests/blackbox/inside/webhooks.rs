//! Deliveries whose state another call has changed, or a crash has left.

use std::time::Duration;

use moc_tests::own_sqlite;
use moc_tests::receiver::Reaction;

use super::{BEFORE_END, break_step, mend_step};
use crate::webhooks::{Hooked, id_of, swept};

/// No attempt was begun: there is nothing to wait for.
#[tokio::test]
async fn what_was_never_claimed_is_due_at_once() {
    own_sqlite!();
    let mut hooked = Hooked::start();
    let _ = hooked.stack.client().create_session().await;
    break_step(&hooked.stack, "BEFORE UPDATE ON webhook_deliveries");
    let moc = hooked.finalize().await;
    hooked.stack.kill();
    mend_step(&hooked.stack);
    assert!(hooked.row(id_of(&moc)).is_some_and(|row| row.is("pending", 0)));
    assert!(hooked.receiver.received().is_empty());
    hooked.stack.restart();
    assert_eq!(hooked.sweep().await, swept(1, 0, 0));
    assert_eq!(hooked.receiver.received_of(id_of(&moc)).len(), 1);
    assert!(hooked.row(id_of(&moc)).is_some_and(|row| row.is("delivered", 1)));
}

/// The finalize that comes back and ends the work also sees to the webhook.
#[tokio::test]
async fn a_resumed_finalize_sends_the_webhook_of_the_one_that_was_cut() {
    own_sqlite!();
    let hooked = Hooked::start();
    let client = hooked.stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    break_step(&hooked.stack, BEFORE_END);
    let _ = client.finalize(&session, "Castle").await.problem(503, "STORE_UNAVAILABLE");
    assert!(hooked.receiver.received().is_empty());
    mend_step(&hooked.stack);
    let moc = client.finalize(&session, "Castle").await.success(200);
    assert_eq!(moc["resumed"], true);
    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 1));
    assert_eq!(hooked.receiver.received().len(), 1);
}

/// The last attempt was interrupted, so nobody knows what became of it: it is made again, and is the last then.
#[tokio::test]
async fn the_last_try_is_made_again_where_a_crash_has_cut_it_short() {
    own_sqlite!();
    let hooked = Hooked::start();
    hooked.receiver.script([], Reaction::Response(500));
    let moc = hooked.leave(1).await.remove(0);
    let set = |attempts: u32| {
        let statement = "UPDATE webhook_deliveries SET attempts = ?2, next_attempt_at = 0, status = 'pending'
            WHERE moc_id = ?1";
        hooked.stack.sqlite().execute(statement, rusqlite::params![moc, attempts]).expect("the delivery");
    };
    set(4);
    assert_eq!(hooked.sweep().await, swept(0, 1, 0));
    assert_eq!(hooked.receiver.received_of(&moc).len(), 1);
    assert!(hooked.row(&moc).is_some_and(|row| row.is("failed", 5)));
    // What is interrupted again and again is not tried for ever.
    set(16);
    assert_eq!(hooked.sweep().await, swept(0, 1, 0));
    assert_eq!(hooked.receiver.received_of(&moc).len(), 1);
    assert!(hooked.row(&moc).is_some_and(|row| row.is("failed", 17)));
}

/// A response that comes when somebody else has the delivery already changes nothing of it.
#[tokio::test]
async fn a_late_response_changes_nothing_for_who_has_claimed_since() {
    own_sqlite!();
    let hooked = Hooked::start();
    for (late, status) in [(500, 404), (200, 204)] {
        hooked.receiver.script([Reaction::Late(Duration::from_millis(500), late)], Reaction::Response(200));
        let moc = hooked.leave(1).await.remove(0);
        let claimed = async {
            let _ = hooked.receiver.wait_for(&moc, 1).await;
            let statement = "UPDATE webhook_deliveries SET attempts = 2 WHERE moc_id = ?1";
            hooked.stack.sqlite().execute(statement, [&moc]).expect("the delivery");
        };
        let (reply, ()) = tokio::join!(hooked.deliver(&moc), claimed);
        assert_eq!(reply.status, status, "{}", reply.text());
        let row = hooked.row(&moc).expect("the delivery");
        assert!(row.is("pending", 2) && row.cause.is_none(), "{row:?}");
    }
}
