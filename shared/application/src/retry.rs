//! When a request to the bucket is repeated: up to three times, where it is unreachable or overloaded. A request that
//! got no response in time is not repeated: the client would not wait for another one.

use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;

use crate::port::{
    Bucket, BucketError, CompletedUpload, KeysPage, ObjectHead, PartAddress, PartError, PartsPage, Platform, Scan,
    Transfer, UploadedPart, UploadsPage,
};

/// Attempts of one request.
pub const ATTEMPTS_MAX: u32 = 3;
/// Longest pause before the second attempt; it doubles, and half of it is certain.
const PAUSE_MS: u64 = 200;

/// Waits before the next attempt after `attempts` that failed; `false` if another attempt cannot help.
pub(crate) async fn pause(platform: &impl Platform, attempts: u32, error: &BucketError) -> bool {
    let repeats = matches!(error, BucketError::Unavailable(_)) && attempts < ATTEMPTS_MAX;
    if repeats {
        let pause_ms = PAUSE_MS << (attempts - 1);
        let [random, ..] = platform.random();
        platform.sleep(pause_ms / 2 + pause_ms * u64::from(random) / 512).await;
    }
    repeats
}

/// Repeats an operation that has the same effect when it runs again.
///
/// # Errors
/// The last attempt's.
pub async fn repeated<T>(
    platform: &impl Platform,
    operation: impl AsyncFn() -> Result<T, BucketError>,
) -> Result<T, BucketError> {
    let mut attempts = 1;
    loop {
        match Box::pin(operation()).await {
            Err(error) if pause(platform, attempts, &error).await => attempts += 1,
            outcome => return outcome,
        }
    }
}

/// A bucket whose operations are repeated. Two are not: the stream of a part can be read only once, and whether a
/// completion was sent twice matters to its use case.
pub struct Retrying<B, P> {
    bucket: B,
    platform: P,
}

impl<B: Bucket, P: Platform> Retrying<B, P> {
    pub const fn new(bucket: B, platform: P) -> Self {
        Self { bucket, platform }
    }

    /// The bucket itself.
    pub const fn get_ref(&self) -> &B {
        &self.bucket
    }
}

impl<B: Bucket, P: Platform> Bucket for Retrying<B, P> {
    type Body<'a> = B::Body<'a>;

    async fn create_upload(&self, object: Object<'_>) -> Result<String, BucketError> {
        repeated(&self.platform, async || self.bucket.create_upload(object).await).await
    }

    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        transfer: &Transfer,
        body: Self::Body<'_>,
    ) -> Result<UploadedPart, PartError> {
        self.bucket.upload_part(part, transfer, body).await
    }

    async fn list_parts(
        &self,
        key: &str,
        upload_id: &str,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, BucketError> {
        repeated(&self.platform, async || self.bucket.list_parts(key, upload_id, after).await).await
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[ETag],
    ) -> Result<CompletedUpload, BucketError> {
        self.bucket.complete_upload(key, upload_id, parts).await
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        repeated(&self.platform, async || self.bucket.abort_upload(key, upload_id).await).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError> {
        repeated(&self.platform, async || self.bucket.head(key).await).await
    }

    async fn read(&self, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
        repeated(&self.platform, async || self.bucket.read(key, offset, bytes).await).await
    }

    async fn scan(&self, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError> {
        repeated(&self.platform, async || self.bucket.scan(key, wanted).await).await
    }

    async fn put(&self, key: &str, media_type: &str, bytes: &[u8]) -> Result<(), BucketError> {
        repeated(&self.platform, async || self.bucket.put(key, media_type, bytes).await).await
    }

    async fn retype(&self, object: Object<'_>, media_type: &str) -> Result<ETag, BucketError> {
        repeated(&self.platform, async || self.bucket.retype(object, media_type).await).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        repeated(&self.platform, async || self.bucket.delete(key).await).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<UploadsPage, BucketError> {
        repeated(&self.platform, async || self.bucket.list_uploads(prefix).await).await
    }

    async fn list_keys(&self, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError> {
        repeated(&self.platform, async || self.bucket.list_keys(prefix, after).await).await
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures::FutureExt as _;
    use moc_domain::time::Timestamp;

    use super::*;

    /// Records the pauses.
    struct Pauses(RefCell<Vec<u64>>, u8);

    impl Platform for Pauses {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn random(&self) -> [u8; 10] {
            [self.1; 10]
        }

        async fn sleep(&self, millis: u64) {
            self.0.borrow_mut().push(millis);
        }
    }

    fn attempts(error: &BucketError, random: u8) -> (u32, Vec<u64>) {
        let platform = Pauses(RefCell::default(), random);
        let attempts = Cell::new(0);
        let outcome = repeated(&platform, async || {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error.clone())
        });
        assert_eq!(outcome.now_or_never(), Some(Err(error.clone())));
        (attempts.get(), platform.0.take())
    }

    #[test]
    fn only_what_may_succeed_is_repeated() {
        let unavailable = BucketError::Unavailable("503".into());
        assert_eq!(attempts(&unavailable, 0), (3, vec![100, 200]));
        assert_eq!(attempts(&unavailable, 255), (3, vec![199, 399]));
        for error in [
            BucketError::Silent("30 s".into()),
            BucketError::NoSuchUpload,
            BucketError::InvalidPart("1".into()),
            BucketError::Rejected("403".into()),
        ] {
            assert_eq!(attempts(&error, 0), (1, vec![]), "{error:?}");
        }
    }
}
