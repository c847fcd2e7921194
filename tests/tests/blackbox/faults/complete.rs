//! Completions whose response does not come, or comes and is none.

use moc_tests::content::{MIB, PART_BYTES, multipart_etag, pdf};
use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::own_stack;

use super::{ATTEMPTS, Case, is_unavailable};

fn etag(size: usize) -> String {
    multipart_etag(pdf(size).chunks(PART_BYTES))
}

/// S3 made the object and the response was lost: the object itself says so.
#[tokio::test]
async fn a_lost_response_is_recovered() {
    own_stack!();
    let size = PART_BYTES + MIB;
    for fault in [Fault::LoseResponse, Fault::TruncateResponse] {
        for times in [Times::First(1), Times::Always] {
            let case = Case::start().await;
            let file = case.stored(size).await;
            case.fail(Operation::Complete, times, fault.clone());
            let completed = case.complete(&file).await.success(200);
            assert_eq!(completed["etag"], etag(size), "{fault:?} {times:?}");
            assert_eq!(completed["sizeBytes"], size);
            let attempts = if matches!(times, Times::Always) { ATTEMPTS } else { 2 };
            assert_eq!(case.count(Operation::Complete), attempts, "{fault:?} {times:?}");
            assert_eq!(case.count(Operation::Head), 1, "{fault:?} {times:?}");
            case.lift();
            // Again: the same, from the store alone.
            assert_eq!(case.complete(&file).await.success(200)["etag"], completed["etag"]);
            assert_eq!(case.count(Operation::Complete), attempts);
            case.ends_well(&file, size).await;
        }
    }
}

/// Neither the response nor the object can be had: the next call recovers it.
#[tokio::test]
async fn an_response_that_cannot_be_recovered_yet_is_recovered_later() {
    own_stack!();
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    case.fail(Operation::Complete, Times::Always, Fault::LoseResponse);
    case.fail(Operation::Head, Times::Always, Fault::internal_error());
    is_unavailable(&case.complete(&file).await);
    assert_eq!((case.count(Operation::Complete), case.count(Operation::Head)), (ATTEMPTS, ATTEMPTS));
    assert_eq!(case.state().await["files"][0]["status"], "pending");
    case.lift();
    let completed = case.complete(&file).await.success(200);
    assert_eq!(completed["etag"], etag(3_000));
    case.ends_well(&file, 3_000).await;
}

#[tokio::test]
async fn treats_a_200_with_an_error_inside_as_an_error() {
    own_stack!();
    let size = PART_BYTES + 1;
    let case = Case::start().await;
    let file = case.stored(size).await;
    case.fail(Operation::Complete, Times::Always, Fault::error_inside());
    is_unavailable(&case.complete(&file).await);
    assert_eq!(case.count(Operation::Complete), ATTEMPTS);
    assert_eq!(case.state().await["files"][0]["status"], "pending");
    case.lift();
    case.fail(Operation::Complete, Times::First(1), Fault::error_inside());
    assert_eq!(case.complete(&file).await.success(200)["etag"], etag(size));
    assert_eq!(case.count(Operation::Complete), ATTEMPTS + 2);
    case.ends_well(&file, size).await;
}

/// While it works, S3 sends spaces, so that the connection stays: before all, or after the first line.
#[tokio::test]
async fn a_200_with_an_error_inside_may_take_its_time() {
    own_stack!();
    let xml = error_xml("InternalError");
    for response in [xml.replace("?>\n", "?>\n    \n   "), format!("   \n  {xml}")] {
        let case = Case::start().await;
        let file = case.stored(3_000).await;
        case.fail(Operation::Complete, Times::First(1), Fault::Response(200, response.clone()));
        let reply = case.complete(&file).await;
        assert_eq!(reply.status, 200, "{response:?}: {}", reply.text());
        assert_eq!(reply.json()["etag"], etag(3_000));
        assert_eq!(case.count(Operation::Complete), 2, "{response:?}");
        case.ends_well(&file, 3_000).await;
    }
}

/// An object of the same key that is another one does not pass for the lost response's.
#[tokio::test]
async fn another_object_is_not_taken_for_the_lost_one() {
    own_stack!();
    let case = Case::start().await;
    let file = case.stored(3_000).await;
    case.bucket().put(&case.key(&file), vec![b'x'; 3_000]).await;
    case.fail(Operation::Complete, Times::Always, Fault::Reset);
    is_unavailable(&case.complete(&file).await);
    case.lift();
    case.ends_well(&file, 3_000).await;
}

/// Many completions of one file at once, the first response lost: one object, and each response is
/// right, or says that it is to be asked for again: S3 may be at work still.
#[tokio::test]
async fn completions_at_once_agree_although_an_response_is_lost() {
    own_stack!();
    for size in [3_000, 3 * PART_BYTES] {
        let case = Case::start().await;
        let file = case.stored(size).await;
        case.fail(Operation::Complete, Times::First(1), Fault::LoseResponse);
        for reply in futures::future::join_all((0..8).map(|_| case.complete(&file))).await {
            if reply.status == 503 {
                is_unavailable(&reply);
            } else {
                assert_eq!(reply.success(200)["etag"], etag(size));
            }
        }
        assert_eq!(case.complete(&file).await.success(200)["etag"], etag(size));
        case.ends_well(&file, size).await;
    }
}

/// S3 says that it has made something else of the parts: nobody may take that for the file.
#[tokio::test]
async fn an_object_that_does_not_follow_from_its_parts_is_rejected() {
    own_stack!();
    let wrong = "d41d8cd98f00b204e9800998ecf8427e-1";
    for (size, deleted) in [(3_000, true), (PART_BYTES + 1, false)] {
        let case = Case::start().await;
        let file = case.stored(size).await;
        if !deleted {
            case.fail(Operation::Delete, Times::First(3), Fault::slow_down());
        }
        let made = format!(
            "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <ETag>&quot;{wrong}&quot;</ETag></CompleteMultipartUploadResult>"
        );
        case.fail(Operation::Complete, Times::First(1), Fault::Response(200, made));
        let problem = case.complete(&file).await.problem(400, "CHECKSUM_MISMATCH");
        assert_eq!((&problem["algorithm"], &problem["fileId"]), (&"md5".into(), &file.as_str().into()));
        assert_eq!(format!("\"{}\"", problem["expected"].as_str().expect("an ETag")), etag(size));
        assert_eq!(problem["actual"], wrong);
        // The file can be registered and sent again.
        assert_eq!(case.state().await["status"], "active");
        let again = case.stored(size).await;
        let _ = case.complete(&again).await.success(200);
        case.ends_well(&again, size).await;
    }
}
