//! The bucket over S3's REST interface: addresses presigned by rusty-s3, sent over Spin's outbound
//! HTTP. Addresses hold signatures, so none is ever logged.

mod error;
mod hasher;
mod objects;
mod part_bytes;
mod part_upload;
mod retry;
mod uploads;
mod xml;

use std::rc::Rc;
use std::time::Duration;

use moc_application::port::{
    Bucket, BucketError, CompletedUpload, ListedPart, ObjectHead, PartAddress, Platform as _, UploadedPart,
};
use moc_config::BucketSettings;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use rusty_s3::actions::{S3Action, UploadPart};
use rusty_s3::{Credentials, UrlStyle};
use url::Url;

pub use part_upload::PartBody;

use crate::outbound::Response;
use crate::platform::WasiPlatform;
use crate::settings;

/// How long an address is valid that is used at once.
const PRESIGNED_FOR: Duration = Duration::from_secs(60);

pub struct S3Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
}

impl S3Bucket {
    /// The bucket that the variables name.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where a variable is missing or cannot be read.
    pub async fn open() -> Result<Self, Error> {
        let settings: Rc<BucketSettings> = settings::bucket().await?;
        let BucketSettings { endpoint, region, bucket, access_key_id, secret_access_key } = (*settings).clone();
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, bucket, region)
            .map_err(|error| Error::with_source(ErrorKind::Internal, error.to_string()))?;
        Ok(Self { bucket, credentials: Credentials::new(access_key_id, secret_access_key) })
    }
}

impl S3Bucket {
    /// An object whose bytes are not read yet; `None` if there is none.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn open_object(&self, key: &str) -> Result<Option<Response>, BucketError> {
        retry::tried(async || objects::get(self, key).await).await
    }

    /// Puts an object (S3 `PutObject`).
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn put(&self, key: &str, media_type: &str, body: &[u8]) -> Result<(), BucketError> {
        objects::put(self, key, media_type, body).await
    }
}

/// The address of an action. By a clock that is passed in: the one of rusty-s3 brings the texts of
/// all errors of its calendar with it, 50 KiB of them.
fn presigned<'a>(action: &impl S3Action<'a>, ttl: Duration) -> Url {
    let now = jiff::Timestamp::from_millisecond(WasiPlatform.now().as_millis()).unwrap_or_default();
    action.sign_with_time(ttl, &now)
}

impl Bucket for S3Bucket {
    type Body = PartBody;

    async fn create_upload(&self, key: &str, content: Content) -> Result<String, BucketError> {
        uploads::create(self, key, content).await
    }

    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        bytes: u64,
        body: PartBody,
    ) -> Result<UploadedPart, BucketError> {
        part_upload::upload(self, part, bytes, body).await
    }

    async fn upload_bytes(
        &self,
        part: PartAddress<'_>,
        bytes: &[u8],
        wants_sha256: bool,
        timeout_ms: u64,
    ) -> Result<UploadedPart, BucketError> {
        part_bytes::upload(self, part, bytes, wants_sha256, timeout_ms).await
    }

    async fn list_parts(&self, key: &str, upload_id: &str) -> Result<Vec<ListedPart>, BucketError> {
        uploads::list_parts(self, key, upload_id).await
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[ETag],
    ) -> Result<CompletedUpload, BucketError> {
        uploads::complete(self, key, upload_id, parts).await
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        uploads::abort(self, key, upload_id).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError> {
        objects::head(self, key).await
    }

    async fn first_bytes(&self, key: &str, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
        objects::first_bytes(self, key, bytes).await
    }

    async fn checksums(&self, key: &str, wanted: &Checksums) -> Result<Option<Checksums>, BucketError> {
        objects::checksums(self, key, wanted).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        objects::delete(self, key).await
    }

    fn presign_part(&self, part: PartAddress<'_>, ttl_seconds: u64) -> String {
        let action =
            UploadPart::new(&self.bucket, Some(&self.credentials), part.key, part.number.get(), part.upload_id);
        presigned(&action, Duration::from_secs(ttl_seconds)).to_string()
    }
}

/// Whether S3 says that the object is under SSE-KMS.
fn is_kms(reply: &Response) -> bool {
    reply.header("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:kms"))
}
