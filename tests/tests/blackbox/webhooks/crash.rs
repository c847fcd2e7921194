//! The host dies between the MOC and its delivery: what it leaves is delivered later, once.

use moc_tests::receiver::Reaction;
use moc_tests::{components_apart, own_database};

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
    own_database!();
    components_apart!();
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
    own_database!();
    components_apart!();
    let mut hooked = Hooked::start();
    let left = cut_short(&mut hooked).await;
    assert_eq!(hooked.sweep().await, swept(0, 0, 1));
    hooked.let_pass(&left, LEASE_MS);
    assert_eq!(hooked.sweep().await, swept(1, 0, 0));
    assert_eq!(hooked.sweep().await, swept(0, 0, 0));
    assert_eq!(hooked.receiver.received_of(&left).len(), 2);
    assert!(hooked.row(&left).is_some_and(|row| row.is("delivered", 2)));
}
