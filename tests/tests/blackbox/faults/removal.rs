//! S3 fails while a file is taken out: its record is deleted already, and the same request goes on.

use moc_tests::fault_proxy::{Fault, Operation, Times, error_xml};
use moc_tests::{own_stack, path};
use serde_json::json;

use super::{ATTEMPTS, Case, is_unavailable};

#[tokio::test]
async fn a_file_whose_upload_could_not_be_aborted_is_cleared_by_the_same_request_again() {
    own_stack!();
    let case = Case::start().await;
    let file = case.register(1_000).await;
    case.fail(Operation::Abort, Times::First(3), Fault::Response(503, error_xml("SlowDown")));
    is_unavailable(&case.client.delete(&path::file(&case.session, &file)).await);
    assert_eq!(case.client.get(&path::session(&case.session)).await.success(200)["files"], json!([]));
    assert_eq!(case.client.delete(&path::file(&case.session, &file)).await.status, 204);
    assert_eq!(case.count(Operation::Abort), ATTEMPTS + 1);
    // Nothing is left to do.
    assert_eq!(case.client.delete(&path::file(&case.session, &file)).await.status, 204);
    assert_eq!(case.count(Operation::Abort), ATTEMPTS + 1);
}
