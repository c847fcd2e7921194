//! An S3 that accepts a request and never responds. All waits run at once: together they take as long
//! as one.

use std::time::{Duration, Instant};

use futures::future::{LocalBoxFuture, join_all};
use moc_tests::content::pdf;
use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{Response, own_stack, path, unlimited_requests};

use super::{Case, is_unavailable};

/// How long the first byte of a response may take, and what a busy machine may add.
const LIMIT: std::ops::Range<Duration> = Duration::from_secs(30)..Duration::from_secs(36);

/// A call that S3 leaves without a response, and the same call once S3 speaks again.
async fn silent(case: &Case, operations: &[Operation], file: &str, call: impl AsyncFn() -> Response) {
    for operation in operations {
        case.fail(*operation, Times::Always, Fault::Silence);
    }
    let before = case.count(operations[0]);
    let started = Instant::now();
    let reply = call().await;
    let elapsed = started.elapsed();
    assert_eq!(reply.status, 503, "{operations:?}: {}", reply.text());
    is_unavailable(&reply);
    assert!(LIMIT.contains(&elapsed), "{operations:?}: {elapsed:?}");
    // What did not come in half a minute is not waited for again: the client's patience is short.
    assert_eq!(case.count(operations[0]), before + 1, "{operations:?}");
    case.lift();
    let reply = call().await;
    assert!((200..300).contains(&reply.status), "{operations:?}, again: {}", reply.text());
    if !file.is_empty() && operations[0] != Operation::Abort {
        case.ends_well_from_anywhere(file).await;
    }
}

impl Case {
    /// Whatever is left to do of a file of 3,000 bytes.
    async fn ends_well_from_anywhere(&self, file: &str) {
        let _ = self.complete(file).await.success(200);
        let moc = self.finalize().await;
        assert!(matches!(moc.status, 200 | 201), "{}", moc.text());
        self.object_is_right(file, 3_000).await;
    }
}

#[tokio::test]
async fn it_is_waited_for_half_a_minute() {
    own_stack!();
    unlimited_requests!();
    let waits: Vec<LocalBoxFuture<'static, ()>> = vec![
        Box::pin(async {
            let case = Case::start().await;
            silent(&case, &[Operation::Create], "", async || case.try_register().await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.register(3_000).await;
            silent(&case, &[Operation::UploadPart], &file, async || case.put_part(&file, 1, &pdf(3_000)).await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.stored(3_000).await;
            silent(&case, &[Operation::Complete], &file, async || case.complete(&file).await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.stored(3_000).await;
            silent(&case, &[Operation::Complete, Operation::Head], &file, async || case.complete(&file).await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.stored(3_000).await;
            let _ = case.complete(&file).await.success(200);
            silent(&case, &[Operation::Head], &file, async || case.finalize().await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.stored(3_000).await;
            let _ = case.complete(&file).await.success(200);
            silent(&case, &[Operation::Head, Operation::Get], &file, async || case.finalize().await).await;
        }),
        Box::pin(async {
            let case = Case::start().await;
            let file = case.stored(3_000).await;
            let cancel = async || case.client.delete(&path::session(&case.session)).await;
            silent(&case, &[Operation::Abort, Operation::Delete], &file, cancel).await;
        }),
    ];
    join_all(waits).await;
}
