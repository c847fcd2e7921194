//! A store whose file another process has locked: for a while, or for longer than is waited.

use std::time::{Duration, Instant};

use moc_tests::content::pdf;
use moc_tests::{Response, Stack, own_sqlite, path, unique_title};
use rusqlite::Connection;
use serde_json::json;

/// What a statement waits at most: three times SQLite's five seconds, and two pauses.
const PATIENCE: Duration = Duration::from_secs(15);

#[track_caller]
fn is_unavailable(reply: &Response) {
    let body = reply.problem(503, "STORE_UNAVAILABLE");
    assert_eq!(body["retryable"], true);
    assert!(reply.header("retry-after").is_some());
}

fn lock(stack: &Stack) -> Connection {
    let database = stack.sqlite();
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    database
}

#[tokio::test]
async fn a_lock_of_two_seconds_is_waited_for() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 3_000).await;
    let locked = lock(&stack);
    let started = Instant::now();
    let unlock = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(locked);
    };
    let (part, created, read, ()) = futures::join!(
        client.put_part(&session, &file, 1, pdf(3_000)),
        client.create_session(),
        async {
            let read = client.get(&path::session(&session)).await;
            (read, started.elapsed())
        },
        unlock,
    );
    assert!(started.elapsed() >= Duration::from_secs(2));
    let _ = part.success(200);
    let _ = client.get(&path::session(&created)).await.success(200);
    // Readers do not wait for writers.
    let _ = read.0.success(200);
    assert!(read.1 < Duration::from_millis(1_500), "{:?}", read.1);
    let _ = client.complete(&session, &file).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

/// Every route that writes, at once, under one lock that does not end in time: each reports it,
/// none does half of its work, and the same calls succeed afterwards.
#[tokio::test]
async fn a_lock_that_stays_is_reported_and_nothing_is_lost() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 3_000).await;
    let second = client.create_session().await;
    let pending = client.register_pdf(&second, 3_000).await;
    client.put_parts(&second, &pending, &pdf(3_000)).await;
    let (third, _) = client.upload_pdf(3_000).await;
    let fourth = client.create_session().await;
    let title = unique_title();
    let new =
        json!({ "files": [{ "category": "instruction", "name": "a.pdf", "size": 1, "type": "application/pdf" }] });
    // One that has never been used: its schema cannot be made.
    let fresh = Stack::start(&[]);

    let locks = (lock(&stack), lock(&fresh));
    let started = Instant::now();
    let (part, register, complete, finalize, cancel, create, first) = futures::join!(
        client.put_part(&session, &file, 1, pdf(3_000)),
        client.try_register(&session, "list.txt", "parts-list", "text/plain", 4),
        client.complete(&second, &pending),
        client.finalize(&third, &title),
        async { client.delete(&path::session(&fourth)).await },
        client.post(path::SESSIONS, &new),
        async { fresh.client().post(path::SESSIONS, &new).await },
    );
    let elapsed = started.elapsed();
    assert!((PATIENCE..PATIENCE * 2).contains(&elapsed), "{elapsed:?}");
    for reply in [&part, &register, &complete, &finalize, &cancel, &create, &first] {
        assert_eq!(reply.status, 503, "{}: {}", reply.path, reply.text());
        is_unavailable(reply);
    }
    assert_eq!(client.stored_parts(&session, &file).await, [0_u64; 0], "S3 has it, and nobody knows");
    drop(locks);

    let _ = client.put_part(&session, &file, 1, pdf(3_000)).await.success(200);
    let _ = client.try_register(&session, "list.txt", "parts-list", "text/plain", 4).await.success(201);
    let completed = client.complete(&second, &pending).await.success(200);
    assert_eq!(completed["sizeBytes"], 3_000);
    let _ = client.finalize(&third, &title).await.success(201);
    assert_eq!(client.delete(&path::session(&fourth)).await.status, 204);
    let _ = client.post(path::SESSIONS, &new).await.success(201);
    let (session, _) = fresh.client().upload_pdf(100).await;
    let _ = fresh.client().finalize(&session, &title).await.success(201);
    let key = client.finalize(&third, &title).await.success(200)["pdfKey"].as_str().expect("a key").to_owned();
    assert!(stack.bucket().get(&key).await.is_some_and(|object| object == pdf(3_000)));
}
