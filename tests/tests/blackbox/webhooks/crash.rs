//! The host dies between the MOC and its delivery: what it leaves is delivered later, once.

use std::time::Duration;

use moc_tests::host::HostKind;
use moc_tests::receiver::Reaction;
use moc_tests::{components_apart, own_database, path, unique_title, wait_for};
use reqwest::Method;
use serde_json::json;

use super::{Hooked, LEASE_MS, id_of, swept};

/// Makes a MOC whose delivery dies with the host, while the receiver has it and says nothing.
async fn cut_short(hooked: &mut Hooked) -> String {
    hooked.receiver.script([], Reaction::Hang);
    let client = hooked.stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let request = client.request(Method::POST, path::FINALIZE);
    let body = json!({ "uploadSessionId": session, "title": unique_title() });
    // Its response may wait for the delivery.
    let finalize = tokio::spawn(async move { client.try_send(request.body(body.to_string())).await });
    let ask = async || hooked.receiver.received().into_iter().next();
    let received = wait_for("a webhook", Duration::from_secs(10), ask).await;
    let moc = received.header("webhook-id").and_then(|id| id.strip_prefix("msg_")).expect("a MOC's id").to_owned();
    finalize.abort();
    hooked.stack.kill();
    assert!(hooked.row(&moc).is_some_and(|row| row.is("pending", 1)));
    hooked.receiver.script([], Reaction::Response(200));
    hooked.stack.restart();
    moc
}

#[tokio::test]
async fn a_later_finalize_delivers_what_a_crash_has_left() {
    own_database!();
    let asks_sender = HostKind::chosen().runs_components_apart();
    let mut hooked = Hooked::start();
    let left = cut_short(&mut hooked).await;
    // The attempt that the crash has interrupted stays claimed until its lease ends.
    let other = hooked.finalize().await;
    assert!(hooked.settled(id_of(&other)).await.is("delivered", 1));
    assert_eq!(hooked.receiver.received_of(&left).len(), 1);
    if asks_sender {
        assert_eq!(hooked.deliver(&left).await.status, 404);
    }

    hooked.let_pass(&left, LEASE_MS);
    let other = hooked.finalize().await;
    assert!(hooked.settled(&left).await.is("delivered", 2));
    assert!(hooked.settled(id_of(&other)).await.is("delivered", 1));
    if asks_sender {
        assert_eq!(hooked.sweep().await, swept(0, 0, 0));
    }
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
