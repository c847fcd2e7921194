//! Many requests at once.

use futures::future::join_all;
use moc_tests::content::{MIB, PART_BYTES, multipart_etag, noise, pdf};
use moc_tests::{Response, Stack, own_stack, path, unique_title};
use serde_json::json;

fn statuses(replies: &[Response], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

#[tokio::test]
async fn thirty_two_parts_of_one_file_at_once() {
    own_stack!();
    let stack = Stack::start(&[("instruction_max_mb", "200")]);
    let client = stack.client();
    let session = client.create_session().await;
    let bytes = pdf(31 * PART_BYTES + MIB);
    let file = client.register_pdf(&session, bytes.len()).await;
    let sends = (1..).zip(bytes.chunks(PART_BYTES)).map(async |(number, part)| {
        let _ = client.put_part(&session, &file, number, part.to_vec()).await.success(200);
    });
    assert_eq!(join_all(sends).await.len(), 32);

    let state = client.get(&path::session(&session)).await.success(200);
    let progress = &state["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(32), &json!(bytes.len())));
    assert_eq!(client.stored_parts(&session, &file).await, (1..=32).collect::<Vec<_>>());
    let completed = client.complete(&session, &file).await.success(200);
    assert_eq!(completed["etag"], multipart_etag(bytes.chunks(PART_BYTES)));
    let bucket = stack.bucket();
    assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "byte for byte");
}

#[tokio::test]
async fn one_part_sent_sixteen_times_at_once_counts_once() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 5000).await;
    let versions: Vec<Vec<u8>> = (0..16).map(|seed| noise(5000, seed)).collect();
    let sends = versions.iter().map(|bytes| client.put_part(&session, &file, 1, bytes.clone()));
    let replies = join_all(sends).await;
    assert_eq!(statuses(&replies, 200), 16);
    let progress = &client.get(&path::session(&session)).await.success(200)["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(1), &json!(5000)));
    assert_eq!(client.stored_parts(&session, &file).await, [1]);
}

#[tokio::test]
async fn twenty_finalizes_at_once_make_one_moc() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(PART_BYTES + 1).await;
    let title = unique_title();
    let replies = join_all((0..20).map(|_| client.finalize(&session, &title))).await;
    assert_eq!((statuses(&replies, 201), statuses(&replies, 200)), (1, 19), "{replies:?}");
    let id = replies[0].text_of("id");
    for reply in &replies {
        let moc = reply.success(reply.status);
        assert_eq!(moc["id"], json!(id));
        assert_eq!(moc["files"].as_array().map(Vec::len), Some(1), "no response shows half a MOC: {moc}");
        assert_eq!(moc["idempotent"].as_bool().unwrap_or(false), reply.status == 200);
    }
}

#[tokio::test]
async fn one_title_for_eight_sessions_at_once_is_given_once() {
    let client = Stack::shared().client();
    let title = unique_title();
    let sessions = join_all((0..8).map(|_| client.upload_pdf(10))).await;
    let replies = join_all(sessions.iter().map(|(session, _)| client.finalize(session, &title))).await;
    assert_eq!(statuses(&replies, 201), 1, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        let _ = reply.problem(409, "TITLE_CONFLICT");
    }
}

#[tokio::test]
async fn one_name_registered_eight_times_at_once_is_one_file() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let register = || client.try_register(&session, "castle.pdf", "instruction", "application/pdf", 10);
    let replies = join_all((0..8).map(|_| register())).await;
    let made: Vec<&Response> = replies.iter().filter(|reply| reply.status == 201).collect();
    let [made] = made[..] else { panic!("{replies:?}") };
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(reply.problem(409, "DUPLICATE_FILE")["fileId"], made.json()["fileId"]);
    }
    assert_eq!(client.get(&path::session(&session)).await.json()["files"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn eight_completes_at_once_get_the_same_response() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES);
    let file = client.register_pdf(&session, bytes.len()).await;
    client.put_parts(&session, &file, &bytes).await;
    let replies = join_all((0..8).map(|_| client.complete(&session, &file))).await;
    for reply in &replies {
        assert_eq!(reply.success(200), replies[0].json());
    }
    let bucket = Stack::shared().bucket();
    assert!(bucket.get(&bucket.key_of(&session, &file).await).await == Some(bytes), "byte for byte");
}

#[tokio::test]
async fn a_cancel_among_parts_and_completes_leaves_nothing_behind() {
    let client = Stack::shared().client();
    let bytes = pdf(3 * PART_BYTES);
    for round in 0..4 {
        let session = client.create_session().await;
        let file = client.register_pdf(&session, bytes.len()).await;
        client.put_parts(&session, &file, &bytes[..round * PART_BYTES]).await;
        let parts = (1..).zip(bytes.chunks(PART_BYTES));
        let sends = join_all(parts.map(|(number, part)| client.put_part(&session, &file, number, part.to_vec())));
        let completes = join_all((0..3).map(|_| client.complete(&session, &file)));
        let cancel = async { client.delete(&path::session(&session)).await };
        let (sent, completed, cancelled) = futures::future::join3(sends, completes, cancel).await;
        // An S3 may reject what a cancellation overtakes as not allowed, instead of as missing.
        let crossed = |reply: &Response| reply.status == 503 && reply.problem(503, "S3_UNAVAILABLE").is_object();
        for reply in &sent {
            assert!(matches!(reply.status, 200 | 409) || crossed(reply), "{}", reply.text());
        }
        for reply in &completed {
            assert!(matches!(reply.status, 200 | 400 | 409 | 422) || crossed(reply), "{}", reply.text());
        }
        assert!(cancelled.status == 204 || crossed(&cancelled), "{}", cancelled.text());
        // What came in the meantime is cleared at the latest by the same call again.
        assert_eq!(client.delete(&path::session(&session)).await.status, 204);
        assert_eq!(client.get(&path::session(&session)).await.success(200)["status"], "cancelled");
        let left = Stack::shared().bucket().list(&format!("uploads/dev-user/{session}/")).await;
        assert_eq!(left, Vec::<String>::new());
    }
}
