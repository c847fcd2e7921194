//! S3 fails while a batch is taken: what is in memory is sent again, and each part fails or succeeds by itself.

use std::time::Duration;

use moc_tests::content::{MIB, PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::{own_stack, path, unlimited_requests, wait_for};
use serde_json::json;

use super::{ATTEMPTS, Case, is_unavailable};
use crate::batch::{form, form_of, outcomes, post, stored};

#[tokio::test]
async fn a_part_whose_bytes_are_in_memory_is_sent_again() {
    own_stack!();
    let size = 3_000;
    for (name, fault) in [
        ("a reset", Fault::Reset),
        ("500", Fault::internal_error()),
        ("503 before the body is read", Fault::EarlyResponse(503, error_xml("SlowDown"))),
        ("half of the body", Fault::CutRequest),
        ("half of the response's head", Fault::TruncateResponse),
        ("a lost response", Fault::LoseResponse),
        ("200 without an ETag", Fault::Response(200, String::new())),
    ] {
        let case = Case::start().await;
        let file = case.register(size).await;
        case.fail(Operation::UploadPart, Times::First(2), fault);
        let reply = post(&case.client, &case.session, &file, form_of(&pdf(size), &[1])).await;
        assert_eq!(reply.success(200), stored(&pdf(size), &[1]), "{name}");
        assert_eq!(case.count(Operation::UploadPart), ATTEMPTS, "{name}");
        case.ends_well(&file, size).await;
    }
}

#[tokio::test]
async fn one_part_that_s3_rejects_leaves_the_others_stored() {
    own_stack!();
    let size = 2 * PART_BYTES + 10;
    let case = Case::start().await;
    let file = case.register(size).await;
    // Not to be tried again. Both may be on their way by then, or part 3 not read yet.
    case.fail(Operation::UploadPart, Times::First(1), Fault::Response(403, error_xml("AccessDenied")));
    let reply = post(&case.client, &case.session, &file, form_of(&pdf(size), &[2, 3])).await;
    is_unavailable(&reply);
    let problem = reply.json();
    let (stored, failed): (Vec<_>, Vec<_>) = outcomes(&problem).into_iter().partition(|part| part.1 == "stored");
    assert!(matches!(failed[..], [(2 | 3, "failed", Some("S3_UNAVAILABLE"))]), "{problem}");
    let stored: Vec<u64> = stored.iter().map(|part| part.0).collect();
    assert_eq!(case.client.stored_parts(&case.session, &file).await, stored);

    for numbers in [&[1][..], &[2, 3]] {
        let _ = post(&case.client, &case.session, &file, form_of(&pdf(size), numbers)).await.success(200);
    }
    case.ends_well(&file, size).await;
}

/// Where the bucket is unavailable nothing more is read, and the client that still sends sees why.
#[tokio::test]
async fn a_bucket_that_is_unavailable_ends_the_batch() {
    own_stack!();
    unlimited_requests!();
    let size = 3 * PART_BYTES + 10;
    let case = Case::start().await;
    let file = case.register(size).await;
    case.fail(Operation::UploadPart, Times::Always, Fault::internal_error());
    let reply = post(&case.client, &case.session, &file, form_of(&pdf(size), &[4, 1, 2, 3])).await;
    is_unavailable(&reply);
    let problem = reply.json();
    assert!(outcomes(&problem).iter().all(|part| (part.1, part.2) == ("failed", Some("S3_UNAVAILABLE"))), "{problem}");
    assert_eq!(case.client.stored_parts(&case.session, &file).await, [0_u64; 0]);
    assert_eq!(case.state().await["files"][0]["partsCompleted"], 0);
    case.lift();
    let _ = post(&case.client, &case.session, &file, form_of(&pdf(size), &[4, 1, 2, 3])).await.success(200);
    case.ends_well(&file, size).await;
}

/// A part that stays in flight does not hold up those that come after it.
#[tokio::test]
async fn the_next_part_is_read_while_one_is_sent() {
    own_stack!();
    let size = 2 * PART_BYTES - MIB;
    let case = Case::start().await;
    let file = case.register(size).await;
    case.fail(Operation::UploadPart, Times::First(1), Fault::Hold);
    let sending = post(&case.client, &case.session, &file, form_of(&pdf(size), &[1, 2]));
    let second_is_stored = async {
        let stored = async || (case.client.stored_parts(&case.session, &file).await.len() == 1).then_some(());
        wait_for("the other part", Duration::from_secs(10), stored).await;
        case.lift();
    };
    let (reply, ()) = futures::future::join(sending, second_is_stored).await;
    assert_eq!(reply.success(200), stored(&pdf(size), &[1, 2]));
    case.ends_well(&file, size).await;
}

#[tokio::test]
async fn a_session_that_is_cancelled_meanwhile_takes_no_more() {
    own_stack!();
    let case = Case::start().await;
    let file = case.register(10).await;
    case.fail(Operation::UploadPart, Times::Always, Fault::Hold);
    let sending = post(&case.client, &case.session, &file, form(&[("part1", &pdf(10))]));
    let cancelling = async {
        let arrived = async || (case.count(Operation::UploadPart) == 1).then_some(());
        wait_for("the part", Duration::from_secs(10), arrived).await;
        assert_eq!(case.client.delete(&path::session(&case.session)).await.status, 204);
        case.lift();
    };
    let (reply, ()) = futures::future::join(sending, cancelling).await;
    let problem = reply.problem(409, "SESSION_NOT_ACTIVE");
    assert_eq!(problem["sessionStatus"], "cancelled");
    assert_eq!(
        problem["parts"],
        json!([{
            "partNumber": 1, "status": "failed", "code": "SESSION_NOT_ACTIVE", "detail": problem["detail"],
        }])
    );
}
