//! No receiver, or none that can be used: a finalize is as it was.

use moc_tests::receiver::Receiver;
use moc_tests::{Stack, components_apart, own_database};

use super::{Hooked, ROUTES, is_problem};

/// A stack with these variables next to a receiver that it must not ask.
fn start(receiver: Receiver, variables: &[(&str, &str)]) -> Hooked {
    Hooked { stack: Stack::start_with_routes(&ROUTES, variables), receiver }
}

/// A finalize leaves no delivery, and nothing delivers one that is there.
async fn is_off(hooked: &Hooked) {
    let moc = hooked.finalize().await;
    assert_eq!(hooked.row(super::id_of(&moc)), None);
    let left = hooked.leave(1).await.remove(0);
    assert_eq!(hooked.deliver(&left).await.status, 501);
    assert_eq!(hooked.stack.client().post_nothing("/sweep").await.status, 501);
    assert!(hooked.row(&left).is_some_and(|row| row.is("pending", 0)));
    assert!(hooked.receiver.received().is_empty());
}

#[tokio::test]
async fn without_a_receiver_nothing_is_sent_or_kept() {
    own_database!();
    components_apart!();
    let hooked = start(Receiver::start(), &[]);
    is_off(&hooked).await;
    assert!(!hooked.stack.log().contains("webhook"), "{}", hooked.stack.log());
}

#[tokio::test]
async fn a_receiver_outside_its_origin_is_warned_of_and_counts_as_none() {
    own_database!();
    components_apart!();
    let receiver = Receiver::start();
    let url = receiver.url("/hooks");
    let other = [("moc_finalize_webhook_url", url.as_str()), ("moc_finalize_webhook_origin", "http://127.0.0.1:9")];
    let hooked = start(receiver, &other);
    is_off(&hooked).await;
    let warning =
        hooked.stack.logged("moc_finalize_webhook_url has a different origin than moc_finalize_webhook_origin").await;
    assert!(warning.contains("warn"), "{warning}");
}

/// Nothing is lost: once the secret is mended, what waits is sent.
#[tokio::test]
async fn a_secret_that_cannot_be_read_sends_nothing_and_loses_nothing() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start_with(&[("moc_finalize_webhook_secret", "whsec_no base64")]);
    let moc = hooked.finalize().await;
    let warning = hooked.stack.logged("none are sent").await;
    assert!(warning.contains("moc_finalize_webhook_secret") && !warning.contains("no base64"), "{warning}");
    is_problem(&hooked.stack.client().post_nothing("/sweep").await, 500, "INTERNAL_ERROR");
    assert!(hooked.row(super::id_of(&moc)).is_some_and(|row| row.is("pending", 0)));
    assert!(hooked.receiver.received().is_empty());
}
