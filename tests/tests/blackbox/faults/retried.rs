//! Requests to S3 that are sent again: three times, and then the client gets an error.

use std::time::Duration;

use futures::future::join_all;
use moc_tests::content::{MIB, PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::{own_stack, path};
use serde_json::json;

use super::{ATTEMPTS, Case, is_unavailable};

/// What passes when S3 is asked again.
fn passing() -> Vec<(&'static str, Fault)> {
    vec![
        ("500", Fault::internal_error()),
        ("503 SlowDown", Fault::slow_down()),
        ("503 without a body", Fault::Response(503, String::new())),
        ("502 of a proxy in HTML", Fault::Response(502, "<html><body>Bad Gateway</body></html>".into())),
        ("429", Fault::Response(429, error_xml("TooManyRequests"))),
        ("a reset", Fault::Reset),
        ("a response that was truncated", Fault::TruncateResponse),
    ]
}

/// Runs a check for every fault that passes, all at once.
async fn for_each_passing(check: impl AsyncFn(&str, Fault)) {
    join_all(passing().into_iter().map(|(name, fault)| check(name, fault))).await;
}

#[tokio::test]
async fn a_registration_asks_again() {
    own_stack!();
    for_each_passing(async |name, fault| {
        let case = Case::start().await;
        case.fail(Operation::Create, Times::First(1), fault.clone());
        let file = case.register(100).await;
        assert_eq!(case.count(Operation::Create), 2, "once: {name}");
        let _ = case.put_part(&file, 1, &pdf(100)).await.success(200);
        case.ends_well(&file, 100).await;

        let case = Case::start().await;
        case.fail(Operation::Create, Times::First(2), fault.clone());
        case.register(100).await;
        assert_eq!(case.count(Operation::Create), 3, "twice: {name}");

        let case = Case::start().await;
        case.fail(Operation::Create, Times::Always, fault);
        is_unavailable(&case.try_register().await);
        assert_eq!(case.count(Operation::Create), ATTEMPTS, "always: {name}");
        assert_eq!(case.state().await["files"], json!([]), "nothing is registered");
        case.lift();
        let _ = case.try_register().await.success(201);
    })
    .await;
}

#[tokio::test]
async fn a_completion_asks_again() {
    own_stack!();
    for_each_passing(async |name, fault| {
        // What S3 did before its response was truncated is the business of `super::complete`.
        if matches!(fault, Fault::TruncateResponse) {
            return;
        }
        let case = Case::start().await;
        let file = case.stored(100).await;
        case.fail(Operation::Complete, Times::First(1), fault.clone());
        case.ends_well(&file, 100).await;
        assert_eq!(case.count(Operation::Complete), 2, "once: {name}");

        let case = Case::start().await;
        let file = case.stored(100).await;
        case.fail(Operation::Complete, Times::Always, fault);
        is_unavailable(&case.complete(&file).await);
        assert_eq!(case.count(Operation::Complete), ATTEMPTS, "always: {name}");
        assert_eq!(case.state().await["files"][0]["status"], "pending");
        case.lift();
        case.ends_well(&file, 100).await;
    })
    .await;
}

/// The parts of a file that the client put into the bucket itself are asked of S3.
#[tokio::test]
async fn a_list_of_parts_is_asked_for_again() {
    own_stack!();
    let size = PART_BYTES + MIB;
    let case = Case::start().await;
    let body = json!({ "fileKey": "castle.pdf", "fileSizeBytes": size, "partCount": 2 });
    let registered = case.client.post(&path::files(&case.session), &body).await.success(201);
    let file = registered["fileId"].as_str().expect("an id").to_owned();
    let bytes = pdf(size);
    let mut parts = Vec::new();
    for (index, part) in bytes.chunks(PART_BYTES).enumerate() {
        let url = registered["presignedUrls"][index]["url"].as_str().expect("a URL");
        let etag = case.bucket().put_presigned(url, part.to_vec()).await;
        parts.push(json!({ "partNumber": index + 1, "etag": etag }));
    }
    let complete = async || case.client.post(&path::complete(&case.session, &file), &json!({ "parts": parts })).await;
    for (name, fault) in passing() {
        let before = case.count(Operation::ListParts);
        case.fail(Operation::ListParts, Times::Always, fault);
        is_unavailable(&complete().await);
        assert_eq!(case.count(Operation::ListParts), before + ATTEMPTS, "always: {name}");
        case.lift();
    }
    let before = case.count(Operation::ListParts);
    case.fail(Operation::ListParts, Times::First(1), Fault::internal_error());
    case.fail(Operation::ListParts, Times::First(1), Fault::slow_down());
    let _ = complete().await.success(200);
    assert_eq!(case.count(Operation::ListParts), before + 3);
    case.ends_well(&file, size).await;
}

#[tokio::test]
async fn a_finalize_asks_again_and_gives_its_lock_back() {
    own_stack!();
    let check = async |operation: Operation, name: &str, fault: Fault| {
        let case = Case::start().await;
        let file = case.stored(100).await;
        let _ = case.complete(&file).await.success(200);
        case.fail(operation, Times::Always, fault.clone());
        is_unavailable(&case.finalize().await);
        assert_eq!(case.count(operation), ATTEMPTS, "always: {operation:?} {name}");
        assert_eq!(case.state().await["status"], "active", "{operation:?} {name}");
        case.lift();

        let before = case.count(operation);
        case.fail(operation, Times::First(2), fault);
        let _ = case.finalize().await.success(201);
        assert_eq!(case.count(operation), before + 3, "twice: {operation:?} {name}");
        case.object_is_right(&file, 100).await;
    };
    for_each_passing(async |name, fault| {
        futures::join!(check(Operation::Head, name, fault.clone()), check(Operation::Get, name, fault));
    })
    .await;
}

/// Of several files the one whose checks fail ends the finalize, whatever the others do.
#[tokio::test]
async fn one_file_of_many_that_cannot_be_checked_fails_the_finalize() {
    own_stack!();
    let case = Case::start().await;
    let first = case.client.upload(&case.session, "castle.pdf", "instruction", "application/pdf", &pdf(100)).await;
    let mut files = vec![first];
    for number in 0..8 {
        let name = format!("list-{number}.txt");
        files.push(case.client.upload(&case.session, &name, "parts-list", "text/plain", b"3001 red 4").await);
    }
    let proxy = &super::Faulty::shared().proxy;
    let last = files.last().expect("files").clone();
    proxy.fail(Operation::Get, &last, Times::Always, Fault::internal_error());
    is_unavailable(&case.finalize().await);
    proxy.lift(&last);
    let moc = case.finalize().await.success(201);
    assert_eq!(moc["files"].as_array().map(Vec::len), Some(9));
}

/// A rejection by S3 is a fault of the configuration: asking again would not help.
#[tokio::test]
async fn a_rejection_of_s3_is_not_asked_again() {
    own_stack!();
    for (status, code) in
        [(403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (404, "NoSuchBucket"), (400, "InvalidRequest")]
    {
        let case = Case::start().await;
        case.fail(Operation::Create, Times::Always, Fault::Response(status, error_xml(code)));
        let reply = case.try_register().await;
        is_unavailable(&reply);
        assert_eq!(case.count(Operation::Create), 1, "{code}");
        // The client does not learn what is wrong; the log does.
        assert!(!reply.text().contains(code), "{}", reply.text());
        let _ = super::Faulty::shared().stack.logged(code).await;
    }
}

#[tokio::test]
async fn treats_a_malformed_response_as_an_error() {
    own_stack!();
    for response in ["", "<html></html>", "no XML", "<InitiateMultipartUploadResult/>", "\u{0}\u{1}"] {
        let case = Case::start().await;
        case.fail(Operation::Create, Times::Always, Fault::Response(200, response.into()));
        let reply = case.try_register().await;
        is_unavailable(&reply);
        assert_eq!(case.state().await["files"], json!([]), "{response}");
    }
    // A response that would fill the memory is not read to its end.
    let case = Case::start().await;
    let endless = format!("<InitiateMultipartUploadResult>{}", " ".repeat(4 * MIB));
    case.fail(Operation::Create, Times::Always, Fault::Response(200, endless));
    is_unavailable(&case.try_register().await);
}

#[tokio::test]
async fn a_slow_s3_is_waited_for() {
    own_stack!();
    let case = Case::start().await;
    let delay = Fault::Delay(Duration::from_millis(500));
    for operation in [Operation::Create, Operation::UploadPart, Operation::Complete, Operation::Head] {
        case.fail(operation, Times::First(1), delay.clone());
    }
    let file = case.stored(100).await;
    case.ends_well(&file, 100).await;
    for operation in [Operation::Create, Operation::UploadPart, Operation::Complete, Operation::Head] {
        assert_eq!(case.count(operation), 1, "{operation:?}");
    }
}
