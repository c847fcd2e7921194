//! The sweep, and what its route rejects.

use std::time::{Duration, Instant};

use futures::future::{join_all, try_join};
use moc_tests::receiver::Reaction;
use moc_tests::{Stack, components_apart, own_database, work_after_responses};
use reqwest::Method;
use serde_json::Value;

use super::{Hooked, is_problem, sweep, swept};

fn total(responses: &[Value], field: &str) -> u64 {
    responses.iter().map(|response| response[field].as_u64().expect("a number")).sum()
}

#[tokio::test]
async fn sweeps_at_once_send_every_delivery_once() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    hooked.receiver.script([], Reaction::Late(Duration::from_millis(20), 200));
    let mocs = hooked.leave(20).await;
    let responses = join_all((0..10).map(|_| hooked.sweep())).await;
    assert_eq!((total(&responses, "delivered"), total(&responses, "failed")), (20, 0), "{responses:?}");
    assert_eq!(hooked.sweep().await, swept(0, 0, 0));
    assert_eq!(hooked.receiver.received().len(), 20);
    for moc in mocs {
        assert_eq!(hooked.receiver.received_of(&moc).len(), 1);
        assert!(hooked.row(&moc).is_some_and(|row| row.is("delivered", 1)));
    }
}

#[tokio::test]
async fn two_hosts_over_one_database_send_every_delivery_once() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    // So long that neither host can be done before the other begins.
    hooked.receiver.script([], Reaction::Late(Duration::from_millis(150), 200));
    let (url, origin) = (hooked.receiver.url("/neighbour"), hooked.receiver.origin());
    let variables = [("moc_finalize_webhook_url", url.as_str()), ("moc_finalize_webhook_origin", &origin)];
    let neighbour = Stack::start_next_to_with(&hooked.stack, &variables);
    assert_eq!(sweep(&neighbour).await, swept(0, 0, 0));
    let mocs = hooked.leave(40).await;
    let responses = join_all([&hooked.stack, &neighbour, &hooked.stack, &neighbour].map(sweep)).await;
    assert_eq!(total(&responses, "delivered"), 40, "{responses:?}");
    let received = hooked.receiver.received();
    assert_eq!(received.len(), 40);
    assert!(mocs.iter().all(|moc| hooked.receiver.received_of(moc).len() == 1));
    let by_neighbour = received.iter().filter(|received| received.path == "/neighbour").count();
    assert!((1..40).contains(&by_neighbour), "both had their share: {by_neighbour} of 40");
}

/// A hundred at most, eight at once.
#[tokio::test]
async fn a_sweep_is_bounded_and_sends_several_at_once() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    hooked.receiver.script([], Reaction::Late(Duration::from_millis(100), 200));
    let _ = hooked.leave(103).await;
    let began = Instant::now();
    assert_eq!(hooked.sweep().await, swept(100, 0, 3));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_300), "more than eight at once: {took:?}");
    assert!(took < Duration::from_secs(6), "one after the other: {took:?}");
    assert_eq!(hooked.sweep().await, swept(3, 0, 0));
}

/// A delivery asked for by its id takes sixteen others with it, after its response.
#[tokio::test]
async fn a_delivery_is_followed_by_others_that_are_due() {
    own_database!();
    components_apart!();
    work_after_responses!();
    let hooked = Hooked::start();
    let mocs = hooked.leave(20).await;
    assert_eq!(hooked.deliver(&mocs[19]).await.status, 204);
    let swept_up = async || (hooked.receiver.received().len() >= 17).then_some(());
    moc_tests::wait_for("sixteen others", Duration::from_secs(10), swept_up).await;
    assert_eq!(hooked.sweep().await, swept(3, 0, 0));
    assert_eq!(hooked.receiver.received().len(), 20);
}

/// One of them fails as often as it may, which delays none of the others.
#[tokio::test]
async fn one_that_fails_holds_up_no_other() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    let mocs = hooked.leave(1).await;
    let failing = mocs[0].clone();
    hooked.receiver.script([], Reaction::Response(500));
    let sweeping = async { Ok::<_, ()>(hooked.sweep().await) };
    let others = async {
        let _ = hooked.receiver.wait_for(&failing, 1).await;
        hooked.receiver.script([Reaction::Response(200); 5], Reaction::Response(500));
        let mocs = hooked.leave(5).await;
        let responses = join_all(mocs.iter().map(|moc| hooked.deliver(moc))).await;
        // What one of them has swept up for another is nothing to that one.
        assert!(responses.iter().all(|reply| matches!(reply.status, 204 | 404)), "{responses:?}");
        let are_delivered = async || {
            let is_delivered = |moc: &String| hooked.row(moc).is_some_and(|row| row.is("delivered", 1));
            mocs.iter().all(is_delivered).then_some(())
        };
        moc_tests::wait_for("the others", Duration::from_secs(5), are_delivered).await;
        Ok(())
    };
    let (response, ()) = try_join(sweeping, others).await.expect("both");
    assert_eq!(response, swept(0, 1, 0));
    assert!(hooked.row(&failing).is_some_and(|row| row.is("failed", 4)));
}

#[tokio::test]
async fn the_sender_rejects_what_it_does_not_know() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    let moc = hooked.leave(1).await.remove(0);
    let client = hooked.stack.client();
    let ask = async |method: Method, path: &str| client.send(client.request(method, path)).await;
    for path in ["/other", "/deliveries/x", "/deliveries/0"] {
        is_problem(&ask(Method::POST, path).await, 404, "NOT_FOUND");
    }
    for path in ["/sweep", &format!("/deliveries/{moc}")] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let reply = ask(method, path).await;
            is_problem(&reply, 405, "METHOD_NOT_ALLOWED");
            assert_eq!(reply.header("allow"), Some("POST"));
        }
    }
    assert!(hooked.receiver.received().is_empty());
    assert!(hooked.row(&moc).is_some_and(|row| row.is("pending", 0)));
    assert_eq!(hooked.deliver("01890a5d-ac96-774b-bcce-b302099a8057").await.status, 404);
}
