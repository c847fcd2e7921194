//! Attempts that fail: three more, and then no more.

use std::time::{Duration, Instant};

use moc_tests::host::HostKind;
use moc_tests::receiver::{ELSEWHERE, Reaction, Received};
use moc_tests::{components_apart, own_database, work_after_responses};
use standardwebhooks::Webhook;

use super::{Hooked, SECRET, id_of, is_signed, swept};

/// The times between requests, in milliseconds.
fn pauses(received: &[Received]) -> Vec<u128> {
    received.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect()
}

/// Whether a pause is this long, and not much longer: the machine may be busy.
fn is_about(pause: u128, expected: u128) -> bool {
    (expected - 50..expected + 1_500).contains(&pause)
}

#[tokio::test]
async fn a_receiver_that_fails_twice_is_tried_three_times_under_one_id() {
    own_database!();
    let hooked = Hooked::start();
    hooked.receiver.script([Reaction::Response(500), Reaction::Response(429)], Reaction::Response(200));
    let moc = hooked.finalize().await;
    let row = hooked.settled(id_of(&moc)).await;
    assert!(row.is("delivered", 3) && row.cause.is_none(), "{row:?}");
    let received = hooked.receiver.received_of(id_of(&moc));
    let pauses = pauses(&received);
    assert!(matches!(pauses[..], [first, second] if is_about(first, 1_000) && is_about(second, 2_000)), "{pauses:?}");
    // Every attempt has its own time, and its own signature of that.
    let reference = Webhook::new(SECRET).expect("a secret");
    received.iter().for_each(|received| is_signed(received, &reference));
    assert!(received.iter().all(|other| other.body == received[0].body));
    let times: Vec<_> = received.iter().map(|received| received.header("webhook-timestamp")).collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    assert!(hooked.errors().is_empty(), "{:?}", hooked.errors());
}

#[tokio::test]
async fn four_failures_are_the_end_and_one_line_of_the_log() {
    own_database!();
    let hooked = Hooked::start();
    hooked.receiver.script([], Reaction::Response(503));
    let moc = hooked.finalize().await;
    let row = hooked.settled(id_of(&moc)).await;
    assert!(row.is("failed", 4), "{row:?}");
    assert_eq!(row.cause.as_deref(), Some("the receiver responded 503"));
    let received = hooked.receiver.received_of(id_of(&moc));
    let pauses = pauses(&received);
    let expected = [1_000, 2_000, 4_000];
    assert!(pauses.len() == 3 && pauses.iter().zip(expected).all(|(pause, ms)| is_about(*pause, ms)), "{pauses:?}");

    let _ = hooked.stack.logged("given up").await;
    // Nobody makes another attempt.
    hooked.receiver.script([], Reaction::Response(200));
    if HostKind::chosen().runs_components_apart() {
        assert_eq!(hooked.sweep().await, swept(0, 0, 0));
        assert_eq!(hooked.deliver(id_of(&moc)).await.status, 404);
    }
    assert_eq!(hooked.receiver.received().len(), 4);
    let errors = hooked.errors();
    let [error] = &errors[..] else { panic!("one line: {errors:?}") };
    assert_eq!((&error["moc"], &error["tries"]), (&moc["id"], &4.into()));
    assert_eq!(error["webhookId"], format!("msg_{}", id_of(&moc)));
    assert_eq!(error["cause"], "the receiver responded 503");
}

/// Each attempt has ten seconds, and the client of finalize waits for none of them.
#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_after_ten_seconds() {
    own_database!();
    work_after_responses!();
    let hooked = Hooked::start();
    hooked.receiver.script([Reaction::Hang], Reaction::Response(200));
    let client = hooked.stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let began = Instant::now();
    let moc = client.finalize(&session, &moc_tests::unique_title()).await.success(201);
    assert!(began.elapsed() < Duration::from_secs(1), "finalize took {:?}", began.elapsed());
    let received = hooked.receiver.wait_for(id_of(&moc), 2).await;
    let pauses = pauses(&received);
    assert!(is_about(pauses[0], 11_000), "{pauses:?}");
    assert_eq!(hooked.receiver.left(), 1, "the sender ends what it has given up");
    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 2));
}

#[tokio::test]
async fn a_redirection_is_a_failure_and_leads_nowhere() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    hooked.receiver.script([Reaction::Response(302), Reaction::Response(308)], Reaction::Response(200));
    let mocs = hooked.leave(1).await;
    assert_eq!(hooked.deliver(&mocs[0]).await.status, 204);
    let received = hooked.receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|received| received.path != ELSEWHERE && received.method == "POST"), "{received:?}");
}

#[tokio::test]
async fn a_receiver_that_dies_is_tried_again() {
    own_database!();
    let hooked = Hooked::start();
    hooked.receiver.script([Reaction::Reset, Reaction::Cut], Reaction::Response(200));
    let moc = hooked.finalize().await;
    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 3));
    assert_eq!(hooked.receiver.received_of(id_of(&moc)).len(), 3);
}
