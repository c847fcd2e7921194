//! An S3 and a store that fail: each fault with the promised response, and nothing lost.

mod batch;
mod complete;
mod outage;
mod parts;
mod removal;
mod retried;
mod silence;
mod store;
mod validation;

use std::sync::OnceLock;

use moc_tests::content::pdf;
use moc_tests::fault_proxy::{Fault, FaultProxy, Operation, Times};
use moc_tests::{Bucket, Client, Response, Stack, path};
use serde_json::Value;

/// How often a request to S3 is sent before it is given up.
const ATTEMPTS: usize = 3;

/// A host whose S3 is behind a proxy.
pub(crate) struct Faulty {
    pub(crate) proxy: FaultProxy,
    pub(crate) stack: Stack,
}

impl Faulty {
    pub(crate) fn start() -> Self {
        let proxy = FaultProxy::start(moc_tests::s3_url());
        let stack = Stack::start(&[("s3_endpoint", &proxy.endpoint())]);
        Self { proxy, stack }
    }

    /// One for all tests whose faults are those of their own session.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Faulty> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }
}

/// A session on the shared faulty stack, and the faults of its own objects.
struct Case {
    client: Client,
    session: String,
}

impl Case {
    async fn start() -> Self {
        let client = Faulty::shared().stack.client();
        let session = client.create_session().await;
        Self { client, session }
    }

    fn fail(&self, operation: Operation, times: Times, fault: Fault) {
        Faulty::shared().proxy.fail(operation, &self.session, times, fault);
    }

    fn lift(&self) {
        Faulty::shared().proxy.lift(&self.session);
    }

    /// How many requests for an operation on this session's objects S3 or the proxy got.
    fn count(&self, operation: Operation) -> usize {
        Faulty::shared().proxy.count(operation, &self.session)
    }

    /// The bucket, past the proxy.
    fn bucket(&self) -> Bucket {
        Stack::shared().bucket()
    }

    /// The key of `castle.pdf`.
    fn key(&self, file: &str) -> String {
        format!("uploads/dev-user/{}/{file}/castle.pdf", self.session)
    }

    async fn register(&self, size: usize) -> String {
        self.client.register_pdf(&self.session, size).await
    }

    /// Registers a PDF of 100 bytes, or is rejected.
    async fn try_register(&self) -> Response {
        self.client.try_register(&self.session, "castle.pdf", "instruction", "application/pdf", 100).await
    }

    /// Registers a PDF of so many bytes and sends all of its parts.
    async fn stored(&self, size: usize) -> String {
        let file = self.register(size).await;
        self.client.put_parts(&self.session, &file, &pdf(size)).await;
        file
    }

    async fn put_part(&self, file: &str, number: u64, bytes: &[u8]) -> Response {
        self.client.put_part(&self.session, file, number, bytes.to_vec()).await
    }

    async fn complete(&self, file: &str) -> Response {
        self.client.complete(&self.session, file).await
    }

    async fn finalize(&self) -> Response {
        self.client.finalize(&self.session, &moc_tests::unique_title()).await
    }

    async fn state(&self) -> Value {
        self.client.get(&path::session(&self.session)).await.success(200)
    }

    /// Completes the file, finalizes the session, and compares the object byte for byte.
    async fn ends_well(&self, file: &str, size: usize) {
        let _ = self.complete(file).await.success(200);
        let moc = self.finalize().await.success(201);
        assert_eq!(moc["files"].as_array().map(Vec::len), Some(1), "{moc}");
        self.object_is_right(file, size).await;
    }

    async fn object_is_right(&self, file: &str, size: usize) {
        let object = self.bucket().get(&self.key(file)).await;
        assert!(object.is_some_and(|object| object == pdf(size)), "the object has other bytes");
    }
}

/// What causes name in the log must not hold signatures: every fault is a chance to show them.
impl Drop for Case {
    fn drop(&mut self) {
        self.lift();
        if !std::thread::panicking() {
            assert_eq!(Faulty::shared().stack.leaks(), Vec::<String>::new(), "the log reveals secrets");
        }
    }
}

#[track_caller]
fn is_unavailable(reply: &Response) {
    let body = reply.problem(503, "S3_UNAVAILABLE");
    assert_eq!(body["retryable"], true);
    let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{seconds:?}");
}
