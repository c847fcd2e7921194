//! An S3 that is unavailable for a while, and uploads that are missing from it.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::{Response, Stack, own_stack, path, unique_title};
use serde_json::json;

use super::{Case, Faulty, is_unavailable};

/// Nobody listens at S3's address, in the middle of an upload: what needs S3 says so, what does
/// not goes on, and afterwards the upload ends as if nothing had been.
#[tokio::test]
async fn s3_is_missing_in_the_middle_of_an_upload() {
    own_stack!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let size = PART_BYTES + 3_000;
    let bytes = pdf(size);
    let session = client.create_session().await;
    let file = client.register_pdf(&session, size).await;
    let _ = client.put_part(&session, &file, 1, bytes[..PART_BYTES].to_vec()).await.success(200);

    proxy.reject().await;
    is_unavailable(&client.put_part(&session, &file, 2, bytes[PART_BYTES..].to_vec()).await);
    is_unavailable(&client.try_register(&session, "list.txt", "parts-list", "text/plain", 3).await);
    assert_eq!(client.stored_parts(&session, &file).await, [1]);
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(state["files"][0]["partsCompleted"], 1);
    let other = client.create_session().await;
    assert_eq!(client.delete(&path::session(&other)).await.status, 204, "nothing to abort, nothing to ask S3");
    // What is asked too early is rejected before S3 is asked.
    let missing = client.complete(&session, &file).await.problem(400, "PART_COUNT_MISMATCH");
    assert_eq!(missing["missing"], json!([2]));

    proxy.listen();
    let _ = client.put_part(&session, &file, 2, bytes[PART_BYTES..].to_vec()).await.success(200);
    proxy.reject().await;
    is_unavailable(&client.complete(&session, &file).await);
    proxy.listen();
    let _ = client.complete(&session, &file).await.success(200);
    proxy.reject().await;
    let title = unique_title();
    is_unavailable(&client.finalize(&session, &title).await);
    proxy.listen();
    let moc = client.finalize(&session, &title).await.success(201);

    // A MOC that stands needs no S3.
    proxy.reject().await;
    let id = moc["id"].as_str().expect("an id");
    let _ = client.get(&path::moc(id)).await.success(200);
    let _ = client.finalize(&session, &title).await.success(200);
    let object = Stack::shared().bucket().get(moc["pdfKey"].as_str().expect("a key")).await;
    assert!(object.is_some_and(|object| object == bytes));
}

/// Registers a file and sends its parts; gives its id and that of its multipart upload.
async fn open(case: &Case, name: &str, category: &str, media_type: &str, bytes: &[u8]) -> (String, String) {
    let registered = case.client.try_register(&case.session, name, category, media_type, bytes.len()).await;
    let _ = registered.success(201);
    let file = registered.text_of("fileId");
    case.client.put_parts(&case.session, &file, bytes).await;
    (file, registered.text_of("uploadId"))
}

#[tokio::test]
async fn a_cancellation_without_s3_is_ended_later() {
    own_stack!();
    for fault in [Fault::Reset, Fault::internal_error()] {
        let case = Case::start().await;
        let (open, upload) = open(&case, "castle.pdf", "instruction", "application/pdf", &pdf(3_000)).await;
        let done = case.client.upload(&case.session, "list.txt", "parts-list", "text/plain", b"3001").await;
        case.fail(Operation::Abort, Times::Always, fault.clone());
        case.fail(Operation::Delete, Times::Always, fault);
        is_unavailable(&case.client.delete(&path::session(&case.session)).await);
        assert_eq!(case.state().await["status"], "cancelled", "the state comes first");
        let _ = case.put_part(&open, 1, &pdf(3_000)).await.problem(409, "SESSION_NOT_ACTIVE");
        is_unavailable(&case.client.delete(&path::session(&case.session)).await);
        assert_eq!(case.bucket().parts(&case.key(&open), &upload).await, [1], "the upload is still there");
        case.lift();

        assert_eq!(case.client.delete(&path::session(&case.session)).await.status, 204);
        assert_eq!(case.bucket().parts(&case.key(&open), &upload).await, [0_u16; 0]);
        assert_eq!(case.bucket().list(&format!("uploads/dev-user/{}/", case.session)).await, [""; 0], "{done}");
        assert_eq!(case.client.delete(&path::session(&case.session)).await.status, 204, "and once more");
    }
}

/// One file's abort fails: the others are aborted all the same.
#[tokio::test]
async fn a_cancellation_clears_what_it_can() {
    own_stack!();
    let case = Case::start().await;
    let (stuck, stuck_upload) = open(&case, "castle.pdf", "instruction", "application/pdf", &pdf(3_000)).await;
    let (mut uploads, proxy) = (Vec::new(), &Faulty::shared().proxy);
    for number in 0..5 {
        let name = format!("{number}.txt");
        let (file, upload) = open(&case, &name, "parts-list", "text/plain", b"3001").await;
        uploads.push((format!("uploads/dev-user/{}/{file}/{name}", case.session), upload));
    }
    proxy.fail(Operation::Abort, &stuck, Times::Always, Fault::internal_error());
    for (key, upload) in &uploads {
        assert_eq!(case.bucket().parts(key, upload).await, [1]);
    }
    is_unavailable(&case.client.delete(&path::session(&case.session)).await);
    for (key, upload) in &uploads {
        assert_eq!(case.bucket().parts(key, upload).await, [0_u16; 0]);
    }
    assert_eq!(case.bucket().parts(&case.key(&stuck), &stuck_upload).await, [1]);
    proxy.lift(&stuck);
    assert_eq!(case.client.delete(&path::session(&case.session)).await.status, 204);
    assert_eq!(case.bucket().parts(&case.key(&stuck), &stuck_upload).await, [0_u16; 0]);
}

fn no_such_upload() -> Fault {
    Fault::Response(404, error_xml("NoSuchUpload"))
}

/// Somebody, or a lifecycle rule, aborted the upload. Whoever sees it first, part or completion,
/// says so, though not at once: a completion may be at work. Then the file can be registered again.
#[tokio::test]
async fn an_upload_that_is_missing_can_be_started_again() {
    own_stack!();
    let by_a_part = [0, 1, 2].map(upload_missing_before_a_part);
    futures::join!(futures::future::join_all(by_a_part), upload_missing_before_the_completion());
}

async fn upload_missing_before_a_part(stored: usize) {
    let size = PART_BYTES + 3_000;
    let bytes = pdf(size);
    let case = Case::start().await;
    let file = case.register(size).await;
    for (number, part) in (1..).zip(bytes.chunks(PART_BYTES)).take(stored) {
        let _ = case.put_part(&file, number, part).await.success(200);
    }
    case.fail(Operation::UploadPart, Times::Always, no_such_upload());
    object_is_missing(&case.put_part(&file, 2, &bytes[PART_BYTES..]).await, &file);
    let _ = case.complete(&file).await.problem(404, "NOT_FOUND");
    case.lift();
    let again = case.stored(size).await;
    case.ends_well(&again, size).await;
}

async fn upload_missing_before_the_completion() {
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    case.fail(Operation::Complete, Times::Always, no_such_upload());
    object_is_missing(&case.complete(&file).await, &file);
    assert_eq!(case.count(Operation::Complete), 1, "what is missing is not asked for again");
    case.lift();
    let again = case.stored(3_000).await;
    case.ends_well(&again, 3_000).await;
}

#[track_caller]
fn object_is_missing(reply: &Response, file: &str) {
    let failed = reply.problem(422, "FILE_VALIDATION_FAILED");
    let failure = &failed["failures"][0];
    assert_eq!((&failure["reason"], &failure["fileId"]), (&json!("OBJECT_MISSING"), &json!(file)), "{failed}");
}

/// S3 has completed the upload, nobody recorded it, and a part comes: nothing is forgotten.
#[tokio::test]
async fn a_part_of_an_upload_that_is_complete_unknown_to_the_store() {
    own_stack!();
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    case.fail(Operation::Complete, Times::Always, Fault::LoseResponse);
    case.fail(Operation::Head, Times::Always, Fault::internal_error());
    is_unavailable(&case.complete(&file).await);
    case.lift();
    case.fail(Operation::UploadPart, Times::Always, no_such_upload());
    let _ = case.put_part(&file, 1, &pdf(3_000)).await.problem(409, "FILE_ALREADY_COMPLETED");
    case.ends_well(&file, 3_000).await;
}

/// It is unknown whether the upload still exists: nothing is forgotten.
#[tokio::test]
async fn nothing_is_forgotten_while_s3_cannot_be_asked() {
    own_stack!();
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    case.fail(Operation::UploadPart, Times::Always, no_such_upload());
    case.fail(Operation::Complete, Times::Always, no_such_upload());
    case.fail(Operation::Head, Times::Always, Fault::internal_error());
    is_unavailable(&case.put_part(&file, 1, &pdf(3_000)).await);
    is_unavailable(&case.complete(&file).await);
    case.lift();
    case.ends_well(&file, 3_000).await;
}
