//! Faults of ports: which call fails, whether it took effect before, and with which error.

use std::cell::RefCell;
use std::future::pending;
use std::ops::RangeInclusive;
use std::rc::Rc;

use moc_application::port::{
    Bucket, BucketError, CompletedUpload, KeysPage, ObjectHead, PartAddress, PartError, PartsPage, Platform as _, Scan,
    Transfer, UploadedPart, UploadsPage,
};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;

use crate::platform::ManualPlatform;

/// One call of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name of the port's method.
    pub operation: &'static str,
    /// What it works on: a key, or a statement.
    pub target: String,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<E> {
    Proceed,
    /// It fails and has no effect.
    Before(E),
    /// It takes effect and its response is lost.
    After(E),
    /// It has no effect, and no response ever.
    Hang,
}

/// Decides on every call of a port.
pub trait Gate<E> {
    /// Waits until the call may take effect. The effect follows without another wait.
    async fn enter(&self, call: &Call) -> Verdict<E>;

    /// Waits until the response of the call may arrive.
    async fn leave(&self, call: &Call, error: Option<&E>);
}

impl<E, G: Gate<E>> Gate<E> for Rc<G> {
    async fn enter(&self, call: &Call) -> Verdict<E> {
        (**self).enter(call).await
    }

    async fn leave(&self, call: &Call, error: Option<&E>) {
        (**self).leave(call, error).await;
    }
}

impl<E, G: Gate<E>> Gate<E> for &G {
    async fn enter(&self, call: &Call) -> Verdict<E> {
        (**self).enter(call).await
    }

    async fn leave(&self, call: &Call, error: Option<&E>) {
        (**self).leave(call, error).await;
    }
}

enum Rule<E> {
    Verdict(Verdict<E>),
    Delay(ManualPlatform, u64),
    Event(Option<Box<dyn FnOnce()>>),
}

struct Planned<E> {
    pattern: String,
    calls: RangeInclusive<u32>,
    seen: u32,
    rule: Rule<E>,
}

/// Faults that are planned by the number of a call, counted from 1 among those whose operation or target contains a
/// pattern.
pub struct Script<E> {
    planned: RefCell<Vec<Planned<E>>>,
    calls: RefCell<Vec<Call>>,
}

impl<E> Default for Script<E> {
    fn default() -> Self {
        Self { planned: RefCell::default(), calls: RefCell::default() }
    }
}

impl<E: Clone> Script<E> {
    fn plan(&self, pattern: &str, calls: RangeInclusive<u32>, rule: Rule<E>) {
        self.planned.borrow_mut().push(Planned { pattern: pattern.to_owned(), calls, seen: 0, rule });
    }

    /// These calls fail without an effect.
    pub fn before(&self, pattern: &str, calls: RangeInclusive<u32>, error: E) {
        self.plan(pattern, calls, Rule::Verdict(Verdict::Before(error)));
    }

    /// These calls take effect, and fail.
    pub fn after(&self, pattern: &str, calls: RangeInclusive<u32>, error: E) {
        self.plan(pattern, calls, Rule::Verdict(Verdict::After(error)));
    }

    /// These calls get no response.
    pub fn hang(&self, pattern: &str, calls: RangeInclusive<u32>) {
        self.plan(pattern, calls, Rule::Verdict(Verdict::Hang));
    }

    /// These calls take so many milliseconds of this clock before they have an effect.
    pub fn slow(&self, pattern: &str, calls: RangeInclusive<u32>, platform: &ManualPlatform, millis: u64) {
        self.plan(pattern, calls, Rule::Delay(platform.clone(), millis));
    }

    /// Something else happens just before this call.
    pub fn meanwhile(&self, pattern: &str, call: u32, event: impl FnOnce() + 'static) {
        self.plan(pattern, call..=call, Rule::Event(Some(Box::new(event))));
    }

    /// How many calls there were whose operation or target contains `pattern`.
    #[must_use]
    pub fn count(&self, pattern: &str) -> usize {
        self.calls.borrow().iter().filter(|call| matches(call, pattern)).count()
    }

    /// All calls, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }

    fn verdict(&self, call: &Call) -> (Verdict<E>, Option<(ManualPlatform, u64)>) {
        self.calls.borrow_mut().push(call.clone());
        let mut events = Vec::new();
        let (mut verdict, mut delay) = (Verdict::Proceed, None);
        for planned in self.planned.borrow_mut().iter_mut().filter(|planned| matches(call, &planned.pattern)) {
            planned.seen += 1;
            if planned.calls.contains(&planned.seen) {
                match &mut planned.rule {
                    Rule::Verdict(planned) => verdict = planned.clone(),
                    Rule::Delay(platform, millis) => delay = Some((platform.clone(), *millis)),
                    Rule::Event(event) => events.extend(event.take()),
                }
            }
        }
        // They may call the port in their turn.
        events.into_iter().for_each(|event| event());
        (verdict, delay)
    }
}

fn matches(call: &Call, pattern: &str) -> bool {
    call.operation.contains(pattern) || call.target.contains(pattern)
}

impl<E: Clone> Gate<E> for Script<E> {
    async fn enter(&self, call: &Call) -> Verdict<E> {
        let (verdict, delay) = self.verdict(call);
        if let Some((platform, millis)) = delay {
            platform.sleep(millis).await;
        }
        verdict
    }

    async fn leave(&self, _: &Call, _: Option<&E>) {}
}

/// Lets a call through a gate.
pub(crate) async fn pass<T, E, F: From<E> + Clone>(
    gate: &impl Gate<E>,
    call: Call,
    effect: impl AsyncFnOnce() -> Result<T, F>,
    to_log: impl Fn(&F) -> Option<E>,
) -> Result<T, F> {
    let result = match gate.enter(&call).await {
        Verdict::Proceed => effect().await,
        Verdict::Before(error) => Err(error.into()),
        Verdict::After(error) => effect().await.and(Err(error.into())),
        Verdict::Hang => pending().await,
    };
    let error = result.as_ref().err().and_then(to_log);
    gate.leave(&call, error.as_ref()).await;
    result
}

/// A bucket whose calls pass a gate.
pub struct Faulty<B, G> {
    bucket: B,
    gate: G,
}

impl<B: Bucket, G: Gate<BucketError>> Faulty<B, G> {
    pub const fn new(bucket: B, gate: G) -> Self {
        Self { bucket, gate }
    }

    async fn pass<T>(
        &self,
        operation: &'static str,
        key: &str,
        effect: impl AsyncFnOnce() -> Result<T, BucketError>,
    ) -> Result<T, BucketError> {
        let call = Call { operation, target: key.to_owned() };
        pass(&self.gate, call, effect, |error| Some(error.clone())).await
    }
}

impl<B: Bucket, G: Gate<BucketError>> Bucket for Faulty<B, G> {
    type Body<'a> = B::Body<'a>;

    async fn create_upload(&self, object: Object<'_>) -> Result<String, BucketError> {
        self.pass("create_upload", object.key, async || self.bucket.create_upload(object).await).await
    }

    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        transfer: &Transfer,
        body: Self::Body<'_>,
    ) -> Result<UploadedPart, PartError> {
        let call = Call { operation: "upload_part", target: format!("{}#{}", part.key, part.number.get()) };
        let effect = async || self.bucket.upload_part(part, transfer, body).await;
        let to_log = |error: &PartError| match error {
            PartError::Bucket(error) => Some(error.clone()),
            PartError::Interrupted(_) | PartError::TimedOut { .. } | PartError::Differs(_) | PartError::Busy => None,
        };
        pass::<_, BucketError, PartError>(&self.gate, call, effect, to_log).await
    }

    async fn list_parts(
        &self,
        key: &str,
        upload_id: &str,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, BucketError> {
        self.pass("list_parts", key, async || self.bucket.list_parts(key, upload_id, after).await).await
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[ETag],
    ) -> Result<CompletedUpload, BucketError> {
        self.pass("complete_upload", key, async || self.bucket.complete_upload(key, upload_id, parts).await).await
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        self.pass("abort_upload", key, async || self.bucket.abort_upload(key, upload_id).await).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError> {
        self.pass("head", key, async || self.bucket.head(key).await).await
    }

    async fn read(&self, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
        self.pass("read", key, async || self.bucket.read(key, offset, bytes).await).await
    }

    async fn scan(&self, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError> {
        self.pass("scan", key, async || self.bucket.scan(key, wanted).await).await
    }

    async fn put(&self, key: &str, media_type: &str, bytes: &[u8]) -> Result<(), BucketError> {
        self.pass("put", key, async || self.bucket.put(key, media_type, bytes).await).await
    }

    async fn retype(&self, object: Object<'_>, media_type: &str) -> Result<ETag, BucketError> {
        self.pass("retype", object.key, async || self.bucket.retype(object, media_type).await).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.pass("delete", key, async || self.bucket.delete(key).await).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<UploadsPage, BucketError> {
        self.pass("list_uploads", prefix, async || self.bucket.list_uploads(prefix).await).await
    }

    async fn list_keys(&self, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError> {
        self.pass("list_keys", prefix, async || self.bucket.list_keys(prefix, after).await).await
    }

    fn presign_part(&self, part: PartAddress<'_>, size_bytes: u64, md5: Option<[u8; 16]>, ttl_seconds: u64) -> String {
        self.bucket.presign_part(part, size_bytes, md5, ttl_seconds)
    }

    fn part_etag(&self, md5: [u8; 16]) -> ETag {
        self.bucket.part_etag(md5)
    }

    fn object_etag(&self, parts: &[ETag]) -> Option<ETag> {
        self.bucket.object_etag(parts)
    }
}
