//! `DELETE /sessions/:sessionId/files/:fileId`.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::{Stack, path, unique_title};
use serde_json::json;

#[tokio::test]
async fn a_file_that_is_taken_out_is_no_part_of_the_session_any_more() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES + 10).await;
    let _ = client.put_part(&session, &file, 2, vec![0; 10]).await.success(200);
    for _ in 0..2 {
        let reply = client.delete(&path::file(&session, &file)).await;
        assert_eq!((reply.status, reply.bytes.len()), (204, 0));
    }
    assert_eq!(client.get(&path::session(&session)).await.success(200)["files"], json!([]));
    let _ = client.put_part(&session, &file, 2, vec![0; 10]).await.problem(404, "NOT_FOUND");
    let _ = client.get(&path::parts(&session, &file)).await.problem(404, "NOT_FOUND");
    let _ = client.complete(&session, &file).await.problem(404, "NOT_FOUND");
    // Its name is free.
    let again = client.register_pdf(&session, 10).await;
    assert_ne!(again, file);
    client.put_parts(&session, &again, &pdf(10)).await;
    let _ = client.complete(&session, &again).await.success(200);
}

#[tokio::test]
async fn the_object_of_a_completed_file_is_deleted() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (session, file) = client.upload_pdf(10).await;
    let key = bucket.key_of(&session, &file).await;
    assert!(bucket.etag(&key).await.is_some());
    assert_eq!(client.delete(&path::file(&session, &file)).await.status, 204);
    assert_eq!(bucket.etag(&key).await, None);
}

/// One that is rejected, and one that nobody goes on uploading.
#[tokio::test]
async fn a_session_is_published_without_the_files_that_keep_it_from_that() {
    let client = Stack::shared().client();
    let (session, castle) = client.upload_pdf(10).await;
    let rejected = client.upload(&session, "notes.pdf", "instruction", "application/pdf", b"no instructions").await;
    let abandoned = client.register(&session, "tower.pdf", "instruction", "application/pdf", 10).await;
    let title = unique_title();
    assert!(client.finalize(&session, &title).await.status >= 400);
    assert_eq!(client.delete(&path::file(&session, &abandoned)).await.status, 204);
    let _ = client.finalize(&session, &title).await.problem(422, "FILE_VALIDATION_FAILED");
    assert_eq!(client.delete(&path::file(&session, &rejected)).await.status, 204);
    let moc = client.finalize(&session, &title).await.success(201);
    let ids: Vec<_> = moc["files"].as_array().expect("files").iter().map(|file| &file["id"]).collect();
    assert_eq!(ids, [&json!(castle)]);
    // What is published stays.
    let reply = client.delete(&path::file(&session, &castle)).await;
    let _ = reply.problem(409, "SESSION_NOT_ACTIVE");
}

#[tokio::test]
async fn a_session_that_is_cancelled_has_nothing_to_take_out() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    let _ = client.delete(&path::file(&session, &file)).await.problem(409, "SESSION_NOT_ACTIVE");
    let _ = client.delete(&path::file(&session, "no-id")).await.problem(404, "NOT_FOUND");
}
