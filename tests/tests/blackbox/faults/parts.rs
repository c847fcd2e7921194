//! S3 fails while a part streams through: the client gets an error, nothing is recorded, and the same
//! part sent again is taken.

use moc_tests::content::{MIB, PART_BYTES, content_md5, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::raw::Connection;
use moc_tests::{Response, own_stack, path};
use serde_json::json;

use super::{Case, Faulty, is_unavailable};

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("a reset", Fault::Reset),
        ("500", Fault::internal_error()),
        ("500 before the body is read", Fault::EarlyResponse(500, error_xml("InternalError"))),
        ("503 SlowDown", Fault::slow_down()),
        ("503 SlowDown before the body is read", Fault::EarlyResponse(503, error_xml("SlowDown"))),
        ("429", Fault::Response(429, error_xml("TooManyRequests"))),
        ("403", Fault::Response(403, error_xml("AccessDenied"))),
        ("half of the body", Fault::CutRequest),
        ("half of the response's head", Fault::TruncateResponse),
        ("a lost response", Fault::LoseResponse),
        ("200 without an ETag", Fault::Response(200, String::new())),
    ]
}

/// Sends a part and reads the response even where the connection breaks before the part has gone
/// out: S3 can fail while the client still sends, and nobody reads the rest then.
async fn put(case: &Case, file: &str, number: u64, bytes: &[u8], checked: bool) -> Response {
    let (length, md5) = (bytes.len().to_string(), content_md5(bytes));
    let headers = [("Content-Length", length.as_str()), ("Content-MD5", md5.as_str())];
    let headers = if checked { &headers[..] } else { &headers[..1] };
    let path = path::part(&case.session, file, number);
    let mut connection = Connection::start(Faulty::shared().stack.base_url(), "PUT", &path, headers).await;
    connection.send(bytes).await;
    connection.reply().await
}

/// Sends part 1 of a file of `size` bytes under every fault, with a checksum or without.
async fn fails_and_recovers(size: usize, checked: bool) {
    let bytes = pdf(size);
    let first = &bytes[..size.min(PART_BYTES)];
    for (name, fault) in faults() {
        let case = Case::start().await;
        let file = case.register(size).await;
        case.fail(Operation::UploadPart, Times::Always, fault);
        let reply = put(&case, &file, 1, first, checked).await;
        assert_eq!(reply.status, 503, "{name}: {}", reply.text());
        is_unavailable(&reply);
        // Its bytes have been taken from the client's stream: only the client has them again.
        assert_eq!(case.count(Operation::UploadPart), 1, "{name}");
        assert_eq!(case.client.stored_parts(&case.session, &file).await, [0_u64; 0], "{name}");
        let state = case.state().await;
        assert_eq!(state["files"][0]["partsCompleted"], 0, "{name}");
        assert_eq!(state["files"][0]["bytesCompleted"], 0, "{name}");

        case.lift();
        let _ = put(&case, &file, 1, first, checked).await.success(200);
        for (number, part) in (2..).zip(bytes.chunks(PART_BYTES).skip(1)) {
            let _ = case.put_part(&file, number, part).await.success(200);
        }
        case.ends_well(&file, size).await;
    }
}

#[tokio::test]
async fn a_small_part() {
    own_stack!();
    fails_and_recovers(3_000, false).await;
}

#[tokio::test]
async fn a_small_part_with_a_checksum() {
    own_stack!();
    fails_and_recovers(3_000, true).await;
}

#[tokio::test]
async fn a_part_of_five_mebibytes() {
    own_stack!();
    fails_and_recovers(PART_BYTES + MIB, false).await;
}

#[tokio::test]
async fn a_part_of_five_mebibytes_with_a_checksum() {
    own_stack!();
    fails_and_recovers(PART_BYTES + MIB, true).await;
}

/// A part that replaces one fails: the one before still counts, in the store and in the bucket.
#[tokio::test]
async fn a_replacement_that_fails_leaves_the_part_before() {
    own_stack!();
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    for fault in [Fault::internal_error(), Fault::CutRequest] {
        case.fail(Operation::UploadPart, Times::Always, fault);
        is_unavailable(&case.put_part(&file, 1, &[0; 3_000]).await);
        case.lift();
        assert_eq!(case.client.stored_parts(&case.session, &file).await, [1]);
    }
    case.ends_well(&file, 3_000).await;
}

/// Other parts go on while one fails.
#[tokio::test]
async fn one_part_of_several_at_once_fails() {
    own_stack!();
    let size = 3 * PART_BYTES;
    let case = Case::start().await;
    let file = case.register(size).await;
    case.fail(Operation::UploadPart, Times::First(1), Fault::CutRequest);
    let bytes = pdf(size);
    let puts = (1..).zip(bytes.chunks(PART_BYTES)).map(|(number, part)| put(&case, &file, number, part, false));
    let replies = futures::future::join_all(puts).await;
    let failed: Vec<u64> =
        (1..).zip(&replies).filter(|(_, reply)| reply.status != 200).map(|(number, _)| number).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let number = failed[0];
    is_unavailable(&replies[usize::try_from(number).expect("small") - 1]);
    let stored = case.client.stored_parts(&case.session, &file).await;
    assert_eq!(stored, (1..=3).filter(|stored| *stored != number).collect::<Vec<u64>>());
    let missing = case.complete(&file).await.problem(400, "PART_COUNT_MISMATCH");
    assert_eq!(missing["missing"], json!([number]));
    let part = bytes.chunks(PART_BYTES).nth(usize::try_from(number).expect("small") - 1).expect("a part");
    let _ = case.put_part(&file, number, part).await.success(200);
    case.ends_well(&file, size).await;
}
