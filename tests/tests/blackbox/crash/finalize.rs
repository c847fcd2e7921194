//! Finalize, by a host that dies and by one that is taken for dead.

use std::time::{Duration, Instant};

use moc_tests::content::pdf;
use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{own_database, path, unique_title};

use super::{is_whole, let_lock_go_stale, moc_count, ready};
use crate::faults::Faulty;

/// The host dies between the lock and the validation. Nobody knows that it is dead until the lock
/// is stale: until then callers wait a while and are asked to retry.
#[tokio::test]
async fn a_lock_of_the_dead_is_taken_over_when_it_is_stale() {
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
    assert!(dying.await.expect("no panic").is_err(), "the host responded although it was killed");
    proxy.lift(&session);
    stack.restart();

    let client = stack.client();
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(state["status"], "finalizing");
    let started = Instant::now();
    let file = state["files"][0]["fileId"].as_str().expect("an id");
    let (waited, part, register, cancel) = futures::join!(
        client.finalize(&session, &title),
        client.put_part(&session, file, 1, pdf(1_000)),
        client.try_register(&session, "more.txt", "parts-list", "text/plain", 1),
        async { client.delete(&path::session(&session)).await },
    );
    let elapsed = started.elapsed();
    for reply in [&waited, &part, &register, &cancel] {
        let _ = reply.problem(409, "FINALIZE_IN_PROGRESS");
        assert!(reply.header("retry-after").is_some());
    }
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(moc_count(&stack, &session), 0);

    let_lock_go_stale(&stack, &session);
    let moc = client.finalize(&session, &title).await.success(201);
    is_whole(&stack, &session, &moc, 3).await;
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
