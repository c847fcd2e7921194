//! Finalize, by a host that dies and by one that is taken for dead.

use std::time::{Duration, Instant};

use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{assert_response, own_database, own_stack, path, unique_title, unlimited_requests};

use super::{is_whole, let_lock_go_stale, moc_count, ready};
use crate::faults::Faulty;

/// Longest time from the death of a finalize to the success of the next one.
const TAKEN_OVER_IN: Duration = Duration::from_secs(20);

/// The host dies between the lock and the validation. The next finalize waits until the lease of the lock is over, and
/// takes it at once.
#[tokio::test]
async fn a_lock_of_the_dead_is_taken_over_within_twenty_seconds() {
    own_database!();
    let Faulty { proxy, mut stack } = Faulty::start();
    let session = ready(&stack.client()).await;
    proxy.fail(Operation::Head, &session, Times::Always, Fault::Hold);
    let client = stack.client();
    let title = unique_title();
    let request = client.request(reqwest::Method::POST, path::FINALIZE);
    let body = serde_json::json!({ "uploadSessionId": session, "title": title });
    let dying = tokio::spawn(async move { client.try_send(request.body(body.to_string())).await });
    proxy.wait_for(Operation::Head, &session, 1).await;
    stack.kill();
    let killed = Instant::now();
    assert!(dying.await.expect("no panic").is_err(), "the host responded although it was killed");
    proxy.lift(&session);
    stack.restart();

    let client = stack.client();
    assert_eq!(moc_count(&stack, &session), 0);
    let moc = loop {
        // A host that limits the time of a request lets it wait for a part of the lease only.
        let reply = client.finalize(&session, &title).await;
        if reply.status == 201 {
            break reply.success(201);
        }
        assert!(killed.elapsed() < TAKEN_OVER_IN, "{:?}", killed.elapsed());
        let _ = reply.problem(409, "FINALIZE_IN_PROGRESS");
    };
    println!("the next finalize succeeded {:?} after the death of the first", killed.elapsed());
    assert!(killed.elapsed() < TAKEN_OVER_IN, "{:?}", killed.elapsed());
    is_whole(&stack, &session, &moc, 3).await;
}

/// A finalize that works for longer than a lease keeps its lock; another one is asked to retry.
#[tokio::test]
async fn a_finalize_that_takes_long_keeps_its_lock() {
    own_stack!();
    unlimited_requests!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let (session, title) = (ready(&client).await, unique_title());
    proxy.fail(Operation::Head, &session, Times::First(3), Fault::Hold);
    let long = async { client.finalize(&session, &title).await.success(201) };
    let other = async {
        proxy.wait_for(Operation::Head, &session, 3).await;
        let reply = client.finalize(&session, "Another title").await;
        proxy.lift(&session);
        let _ = reply.problem(409, "FINALIZE_IN_PROGRESS");
        assert!(reply.header("retry-after").is_some());
        assert_response!("finalize_in_progress", reply);
    };
    let (moc, ()) = futures::join!(long, other);
    assert_eq!(moc["title"], serde_json::json!(title));
}

/// A finalize that was taken for dead wakes up after another one has taken its lock and ended.
#[tokio::test]
async fn a_finalize_that_was_only_slow_makes_no_second_moc() {
    own_database!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let (session, title) = (ready(&client).await, unique_title());
    proxy.fail(Operation::Head, &session, Times::First(3), Fault::Hold);
    let slow = async {
        let reply = client.finalize(&session, &title).await;
        let moc = reply.success(200);
        assert!(moc["resumed"] == true || moc["idempotent"] == true, "{moc}");
        moc
    };
    let fast = async {
        proxy.wait_for(Operation::Head, &session, 3).await;
        let_lock_go_stale(&stack, &session);
        let moc = client.finalize(&session, &title).await.success(201);
        proxy.lift(&session);
        moc
    };
    let (slow, fast) = futures::join!(slow, fast);
    assert_eq!((&slow["id"], &slow["files"]), (&fast["id"], &fast["files"]));
    is_whole(&stack, &session, &fast, 3).await;
}
