//! The host dies between the MOC and its delivery: what it leaves is delivered later, once.

use moc_tests::own_stack;
use moc_tests::receiver::Reaction;

use super::{Hooked, LEASE_MS, id_of, swept};

/// Makes a MOC whose delivery dies with the host, while the receiver has it and says nothing.
async fn cut_short(hooked: &mut Hooked) -> String {
    hooked.receiver.script([], Reaction::Hang);
    let moc = id_of(&hooked.finalize().await).to_owned();
    let _ = hooked.receiver.wait_for(&moc, 1).await;
    hooked.stack.kill();
    assert!(hooked.row(&moc).is_some_and(|row| row.is("pending", 1)));
    hooked.receiver.script([], Reaction::Response(200));
    hooked.stack.restart();
    moc
}

#[tokio::test]
async fn a_later_finalize_delivers_what_a_crash_has_left() {
    own_stack!();
    let mut hooked = Hooked::start();
    let left = cut_short(&mut hooked).await;
    // The attempt that the crash has interrupted stays claimed until its lease ends.
    let other = hooked.finalize().await;
    assert!(hooked.settled(id_of(&other)).await.is("delivered", 1));
    assert_eq!(hooked.receiver.received_of(&left).len(), 1);
    assert_eq!(hooked.deliver(&left).await.status, 404);

    hooked.let_pass(&left, LEASE_MS);
    let other = hooked.finalize().await;
    assert!(hooked.settled(&left).await.is("delivered", 2));
    assert!(hooked.settled(id_of(&other)).await.is("delivered", 1));
    assert_eq!(hooked.sweep().await, swept(0, 0, 0));
    let received = hooked.receiver.received_of(&left);
    assert_eq!(received.len(), 2, "the one that the crash has interrupted, and the one after it");
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn a_sweep_delivers_what_a_crash_has_left() {
    own_stack!();
    let mut hooked = Hooked::start();
    let left = cut_short(&mut hooked).await;
    assert_eq!(hooked.sweep().await, swept(0, 0, 1));
    hooked.let_pass(&left, LEASE_MS);
    assert_eq!(hooked.sweep().await, swept(1, 0, 0));
    assert_eq!(hooked.sweep().await, swept(0, 0, 0));
    assert_eq!(hooked.receiver.received_of(&left).len(), 2);
    assert!(hooked.row(&left).is_some_and(|row| row.is("delivered", 2)));
}

/// No attempt was begun: there is nothing to wait for.
#[tokio::test]
async fn what_was_never_claimed_is_due_at_once() {
    own_stack!();
    let mut hooked = Hooked::start();
    let _ = hooked.stack.client().create_session().await;
    let broken = "CREATE TRIGGER broken BEFORE UPDATE ON webhook_deliveries
        BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END";
    hooked.stack.database().execute_batch(broken).expect("a trigger");
    let moc = hooked.finalize().await;
    hooked.stack.kill();
    hooked.stack.database().execute_batch("DROP TRIGGER broken").expect("the trigger was there");
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
    own_stack!();
    let hooked = Hooked::start();
    let client = hooked.stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let broken = "CREATE TRIGGER broken BEFORE UPDATE ON sessions WHEN NEW.status = 'finalized'
        BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END";
    hooked.stack.database().execute_batch(broken).expect("a trigger");
    let _ = client.finalize(&session, "Castle").await.problem(503, "STORE_UNAVAILABLE");
    assert!(hooked.receiver.received().is_empty());
    hooked.stack.database().execute_batch("DROP TRIGGER broken").expect("the trigger was there");
    let moc = client.finalize(&session, "Castle").await.success(200);
    assert_eq!(moc["resumed"], true);
    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 1));
    assert_eq!(hooked.receiver.received().len(), 1);
}

/// The last attempt was interrupted, so nobody knows what became of it: it is made again, and is the last then.
#[tokio::test]
async fn the_last_try_is_made_again_where_a_crash_has_cut_it_short() {
    own_stack!();
    let hooked = Hooked::start();
    hooked.receiver.script([], Reaction::Response(500));
    let moc = hooked.leave(1).await.remove(0);
    let set = |attempts: u32| {
        let statement = "UPDATE webhook_deliveries SET attempts = ?2, next_attempt_at = 0, status = 'pending'
            WHERE moc_id = ?1";
        hooked.stack.database().execute(statement, rusqlite::params![moc, attempts]).expect("the delivery");
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
