//! Registration, parts, completion, cancellation, interrupted between what S3 does and what the store records.

use moc_tests::content::pdf;
use moc_tests::fault_proxy::Operation;
use moc_tests::{own_sqlite, path, unique_title};

use super::{break_step, mend_step, store_is_unavailable};
use crate::faults::Faulty;

/// S3 has started an upload that the store does not know: it is aborted.
#[tokio::test]
async fn a_registration_without_its_record_leaves_no_upload() {
    own_sqlite!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let session = client.create_session().await;
    break_step(&stack, "BEFORE INSERT ON files");
    let register = async || client.try_register(&session, "castle.pdf", "instruction", "application/pdf", 1_000).await;
    store_is_unavailable(&register().await);
    assert_eq!((proxy.count(Operation::Create, &session), proxy.count(Operation::Abort, &session)), (1, 1));
    mend_step(&stack);
    let reply = register().await;
    let _ = reply.success(201);
    let file = reply.text_of("fileId");
    let _ = client.put_part(&session, &file, 1, pdf(1_000)).await.success(200);
    let _ = client.complete(&session, &file).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

/// S3 has a part that the store does not know: it is sent again, and replaces itself.
#[tokio::test]
async fn a_part_without_its_record_is_sent_again() {
    own_sqlite!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 1_000).await;
    for broken in ["BEFORE UPDATE ON files", "BEFORE INSERT ON parts"] {
        break_step(&stack, broken);
        store_is_unavailable(&client.put_part(&session, &file, 1, vec![0; 1_000]).await);
        assert_eq!(client.stored_parts(&session, &file).await, [0_u64; 0], "{broken}");
        let state = client.get(&path::session(&session)).await.success(200);
        assert_eq!(state["files"][0]["partsCompleted"], 0, "{broken}");
        mend_step(&stack);
    }
    assert_eq!(proxy.count(Operation::UploadPart, &session), 2);
    let _ = client.put_part(&session, &file, 1, pdf(1_000)).await.success(200);
    let _ = client.complete(&session, &file).await.success(200);
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let object = stack.bucket().get(moc["pdfKey"].as_str().expect("a key")).await;
    assert!(object.is_some_and(|object| object == pdf(1_000)));
}

/// S3 has made the object and the store does not know: the object says so itself.
#[tokio::test]
async fn a_completion_without_its_record_is_recovered() {
    own_sqlite!();
    let Faulty { proxy, mut stack } = Faulty::start();
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 1_000).await;
    client.put_parts(&session, &file, &pdf(1_000)).await;
    break_step(&stack, "BEFORE UPDATE OF etag ON files");
    store_is_unavailable(&client.complete(&session, &file).await);
    assert_eq!(proxy.count(Operation::Complete, &session), 1);
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(state["files"][0]["status"], "pending");
    mend_step(&stack);
    stack.restart();

    let client = stack.client();
    let completed = client.complete(&session, &file).await.success(200);
    assert_eq!((proxy.count(Operation::Complete, &session), proxy.count(Operation::Head, &session)), (2, 1));
    assert_eq!(client.complete(&session, &file).await.success(200), completed);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

/// The store cannot cancel: nothing is aborted, and the upload goes on.
#[tokio::test]
async fn a_cancellation_without_its_record_aborts_nothing() {
    own_sqlite!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 1_000).await;
    break_step(&stack, "BEFORE UPDATE ON sessions");
    store_is_unavailable(&client.delete(&path::session(&session)).await);
    assert_eq!(proxy.count(Operation::Abort, &session), 0);
    mend_step(&stack);
    let _ = client.put_part(&session, &file, 1, pdf(1_000)).await.success(200);
    assert_eq!(client.delete(&path::session(&session)).await.status, 204);
    assert_eq!(proxy.count(Operation::Abort, &session), 1);
}
