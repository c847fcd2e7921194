//! `GET` and `DELETE /sessions/:sessionId`.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::{Stack, assert_response, own_database, path, unique_title};

#[tokio::test]
async fn an_active_session_shows_how_far_each_file_is() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 100);
    let file = client.register_pdf(&session, bytes.len()).await;
    let _ = client.register(&session, "front.png", "image", "image/png", 7).await;
    let _ = client.upload(&session, "parts.txt", "parts-list", "text/plain", b"brick 2x4").await;
    let _ = client.put_part(&session, &file, 3, bytes[2 * PART_BYTES..].to_vec()).await.success(200);
    let _ = client.put_part(&session, &file, 1, bytes[..PART_BYTES].to_vec()).await.success(200);
    let reply = client.get(&path::session(&session)).await;
    let _ = reply.success(200);
    assert_response!("session_active", reply);
}

#[tokio::test]
async fn a_session_whose_time_is_over_shows_as_expired() {
    own_database!();
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let session = client.create_session().await;
    stack.set_session(&session, "expires_at = created_at - 1");
    let reply = client.get(&path::session(&session)).await;
    assert_eq!(reply.success(200)["status"], "expired");
    assert_response!("session_expired", reply);
    // Its bucket can still be cleared.
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    assert_eq!(client.get(&path::session(&session)).await.success(200)["status"], "cancelled");
}

#[tokio::test]
async fn a_finalized_session_names_its_moc() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(100).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let reply = client.get(&path::session(&session)).await;
    let state = reply.success(200);
    assert_eq!((&state["status"], &state["mocId"]), (&"finalized".into(), &moc["id"]));
    assert_response!("session_finalized", reply);
}

#[tokio::test]
async fn a_cancelled_session_leaves_nothing_in_the_bucket() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (session, completed) = client.upload_pdf(100).await;
    let bytes = pdf(PART_BYTES + 1);
    let open = client.try_register(&session, "other.pdf", "instruction", "application/pdf", bytes.len()).await;
    let (open, upload) = (open.text_of("fileId"), open.text_of("uploadId"));
    let _ = client.put_part(&session, &open, 2, bytes[PART_BYTES..].to_vec()).await.success(200);

    let open_key = format!("uploads/dev-user/{session}/{open}/other.pdf");
    let completed_key = bucket.key_of(&session, &completed).await;
    assert_eq!(bucket.parts(&open_key, &upload).await, [2]);
    assert!(bucket.etag(&completed_key).await.is_some());

    let reply = client.delete(&path::session(&session)).await;
    assert_response!("session_cancel", reply);
    assert_eq!((reply.status, reply.bytes.len()), (204, 0));
    assert!(reply.header("x-request-id").is_some());

    assert_eq!(bucket.parts(&open_key, &upload).await, Vec::<u16>::new());
    assert_eq!(bucket.list(&format!("uploads/dev-user/{session}/")).await, Vec::<String>::new());
    let state = client.get(&path::session(&session)).await;
    assert_eq!(state.success(200)["status"], "cancelled");
    assert_response!("session_cancelled", state);
}

#[tokio::test]
async fn cancelling_again_is_no_error() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for _ in 0..3 {
        assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    }
}

#[tokio::test]
async fn a_cancelled_session_takes_nothing_more() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 3).await;
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);

    let register = client.try_register(&session, "b.pdf", "instruction", "application/pdf", 3).await;
    assert_eq!(register.problem(409, "SESSION_NOT_ACTIVE")["sessionStatus"], "cancelled");
    let _ = client.put_part(&session, &file, 1, "abc").await.problem(409, "SESSION_NOT_ACTIVE");
    let _ = client.complete(&session, &file).await.problem(409, "SESSION_NOT_ACTIVE");
    let _ = client.finalize(&session, &unique_title()).await.problem(409, "SESSION_NOT_ACTIVE");
    assert_eq!(client.stored_parts(&session, &file).await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_finalized_session_cannot_be_cancelled() {
    let client = Stack::shared().client();
    let (session, file) = client.upload_pdf(100).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
    let reply = client.delete(&path::session(&session)).await;
    let _ = reply.problem(409, "SESSION_NOT_ACTIVE");
    assert_response!("session_cancel_not_active", reply);
    let key = Stack::shared().bucket().key_of(&session, &file).await;
    assert_eq!(Stack::shared().bucket().get(&key).await, Some(pdf(100)));
}

#[tokio::test]
async fn responds_404_for_a_missing_session() {
    let client = Stack::shared().client();
    for id in ["01890a5d-ac96-774b-bcce-b302099a8057", "malformed", "%00", "..%2f..", "1"] {
        let _ = client.get(&path::session(id)).await.problem(404, "NOT_FOUND");
        let _ = client.delete(&path::session(id)).await.problem(404, "NOT_FOUND");
    }
    assert_response!("session_not_found", client.get(&path::session("01890a5d-ac96-774b-bcce-b302099a8057")).await);
}
