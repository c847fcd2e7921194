//! The host is killed with SIGKILL, at many moments: after its restart the client goes on where it was.

use std::time::Duration;

use moc_tests::content::{MIB, PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{Stack, own_database, own_stack, path, unique_title};
use reqwest::Method;
use serde_json::json;

use super::{is_whole, let_lock_go_stale, moc_count};
use crate::faults::Faulty;

/// Milliseconds into the work at which the host is killed, each once.
const MOMENTS: [u64; 8] = [0, 5, 12, 25, 40, 70, 110, 180];

/// Parts that are on their way when the host dies are sent again; those that are stored are not.
#[tokio::test]
async fn an_upload_of_several_parts_survives() {
    own_stack!();
    let mut stack = Stack::start(&[]);
    let size = 5 * PART_BYTES + MIB;
    let bytes = pdf(size);
    let session = stack.client().create_session().await;
    let file = stack.client().register_pdf(&session, size).await;
    let part = |number: u64| {
        let start = (usize::try_from(number).expect("small") - 1) * PART_BYTES;
        bytes[start..size.min(start + PART_BYTES)].to_vec()
    };
    let mut before = Vec::new();
    for moment in MOMENTS {
        let client = stack.client();
        let stored = client.stored_parts(&session, &file).await;
        assert!(before.iter().all(|number| stored.contains(number)), "{before:?} were stored, {stored:?} are");
        let missing: Vec<u64> = (1..=6).filter(|number| !stored.contains(number)).collect();
        // The last ones are sent over and over, so that every round has something to break.
        let numbers = if missing.len() < 3 { vec![4, 5, 6] } else { missing };
        let sending = numbers.into_iter().map(|number| {
            let request = client.request(Method::PUT, &path::part(&session, &file, number)).body(part(number));
            let client = client.clone();
            async move { (number, client.try_send(request).await) }
        });
        let sending = tokio::spawn(futures::future::join_all(sending));
        tokio::time::sleep(Duration::from_millis(moment)).await;
        stack.kill();
        // Every part that the client has a response for is stored.
        let responded = sending.await.expect("no panic").into_iter();
        let successes = responded.filter(|(_, reply)| reply.as_ref().is_ok_and(|reply| reply.status == 200));
        before = stored.into_iter().chain(successes.map(|(number, _)| number)).collect();
        stack.restart();
    }
    let client = stack.client();
    let stored = client.stored_parts(&session, &file).await;
    assert!(before.iter().all(|number| stored.contains(number)), "{before:?} were stored, {stored:?} are");
    for number in (1..=6).filter(|number| !stored.contains(number)) {
        let _ = client.put_part(&session, &file, number, part(number)).await.success(200);
    }
    let state = client.get(&path::session(&session)).await.success(200);
    let progress = &state["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(6), &json!(size)));
    let _ = client.complete(&session, &file).await.success(200);
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let object = stack.bucket().get(moc["pdfKey"].as_str().expect("a key")).await;
    assert!(object.is_some_and(|object| object == bytes), "the object has other bytes");
}

/// Many finalizes of one session are under way when the host dies.
#[tokio::test]
async fn a_finalize_survives() {
    own_database!();
    let Faulty { proxy, mut stack } = Faulty::start();
    for moment in MOMENTS {
        let client = stack.client();
        let (session, _) = client.upload_pdf(1_000).await;
        client.upload(&session, "parts.txt", "parts-list", "text/plain", b"3001 red 4").await;
        let title = unique_title();
        // Spreads the steps over the moments.
        proxy.fail(Operation::Head, &session, Times::First(1), Fault::Delay(Duration::from_millis(30)));
        let calls = (0..4).map(|_| {
            let body = json!({ "uploadSessionId": session, "title": title }).to_string();
            let request = client.request(Method::POST, path::FINALIZE).body(body);
            let client = client.clone();
            async move { client.try_send(request).await }
        });
        let calls = tokio::spawn(futures::future::join_all(calls));
        tokio::time::sleep(Duration::from_millis(moment)).await;
        stack.kill();
        let responded = calls.await.expect("no panic");
        let emitted = responded.into_iter().flatten().rfind(|reply| matches!(reply.status, 200 | 201));
        stack.restart();

        assert!(moc_count(&stack, &session) <= 1, "killed after {moment} ms");
        let_lock_go_stale(&stack, &session);
        let reply = stack.client().finalize(&session, &title).await;
        assert!(matches!(reply.status, 200 | 201), "killed after {moment} ms: {}", reply.text());
        let moc = reply.json();
        if let Some(emitted) = emitted {
            assert_eq!(emitted.json()["id"], moc["id"], "killed after {moment} ms");
        }
        is_whole(&stack, &session, &moc, 2).await;
    }
}

/// The host dies after S3 has done its work and before the store knows of it.
#[tokio::test]
async fn what_s3_has_done_for_the_dead_is_not_lost() {
    own_stack!();
    let Faulty { proxy, mut stack } = Faulty::start();
    let size = PART_BYTES + MIB;
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, size).await;
    client.put_parts(&session, &file, &pdf(size)[..PART_BYTES]).await;
    let last = pdf(size)[PART_BYTES..].to_vec();
    let requests = [
        (Operation::UploadPart, Method::PUT, path::part(&session, &file, 2), last.clone()),
        (Operation::Complete, Method::POST, path::complete(&session, &file), Vec::new()),
    ];
    for (operation, method, path, body) in requests {
        proxy.fail(operation, &session, Times::Always, Fault::HoldResponse);
        let client = stack.client();
        let request = client.request(method.clone(), &path).body(body.clone());
        let dying = tokio::spawn(async move { client.try_send(request).await });
        proxy.wait_for_held(operation, &session).await;
        stack.kill();
        assert!(dying.await.expect("no panic").is_err(), "the host responded although it was killed");
        proxy.lift(&session);
        stack.restart();
        let client = stack.client();
        let _ = client.send(client.request(method, &path).body(body)).await.success(200);
    }
    let moc = stack.client().finalize(&session, &unique_title()).await.success(201);
    let object = stack.bucket().get(moc["pdfKey"].as_str().expect("a key")).await;
    assert!(object.is_some_and(|object| object == pdf(size)));
}

/// The host dies at any moment of a completion.
#[tokio::test]
async fn a_completion_survives() {
    own_stack!();
    let Faulty { proxy: _proxy, mut stack } = Faulty::start();
    for moment in &MOMENTS[..5] {
        let client = stack.client();
        let session = client.create_session().await;
        let file = client.register_pdf(&session, 1_000).await;
        client.put_parts(&session, &file, &pdf(1_000)).await;
        let request = client.request(Method::POST, &path::complete(&session, &file));
        let sent = client.clone();
        let dying = tokio::spawn(async move { sent.try_send(request).await });
        tokio::time::sleep(Duration::from_millis(*moment)).await;
        stack.kill();
        let _ = dying.await.expect("no panic");
        stack.restart();
        let client = stack.client();
        let completed = client.complete(&session, &file).await.success(200);
        assert_eq!(completed["sizeBytes"], 1_000, "killed after {moment} ms");
        let moc = client.finalize(&session, &unique_title()).await.success(201);
        let object = stack.bucket().get(moc["pdfKey"].as_str().expect("a key")).await;
        assert!(object.is_some_and(|object| object == pdf(1_000)), "killed after {moment} ms");
    }
}
