//! The bucket over S3's REST interface: presigned URLs, requested over Spin's outbound HTTP. They hold
//! signatures, so none is ever logged.

mod call;
mod download;
mod error;
mod etag;
mod hasher;
mod headers;
mod lists;
mod objects;
mod part_upload;
mod sign;
mod trailer;
mod uploads;
mod xml;

use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moc_application::port::{
    Bucket, BucketError, CompletedUpload, KeysPage, ObjectHead, PartAddress, PartError, PartsPage, Platform as _, Scan,
    Transfer, UploadedPart, UploadsPage,
};
use moc_application::retry::{self, Retrying};
use moc_config::{BucketSettings, Encryption};
use moc_domain::checksum::Checksums;
use moc_domain::error::Error;
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

pub use download::Downloads;
pub use part_upload::PartBody;

use crate::outbound::Response;
use crate::platform::WasiPlatform;
use crate::settings;
use crate::trace::Trace;

use self::sign::{Signer, Unsigned};

/// How long a URL is valid that is used at once.
const PRESIGNED_FOR_SECONDS: u64 = 60;
/// The code of the problem that an error of the bucket becomes.
const BUCKET_UNAVAILABLE: &str = "S3_UNAVAILABLE";

/// The bucket that the variables name. Its requests are repeated where that may help.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable is missing or cannot be read.
pub async fn open() -> Result<Retrying<S3Bucket, WasiPlatform>, Error> {
    open_traced(&Trace::OFF).await
}

/// As [`open`], with a span for each of its requests.
///
/// # Errors
/// As [`open`].
pub async fn open_traced(trace: &Trace) -> Result<Retrying<S3Bucket, WasiPlatform>, Error> {
    let settings: Rc<BucketSettings> = settings::bucket().await?;
    let (signer, public_signer) = (Signer::new(&settings), Signer::public(&settings));
    let bucket = S3Bucket { settings, signer, public_signer, trace: trace.clone() };
    Ok(Retrying::new(bucket, WasiPlatform))
}

pub struct S3Bucket {
    settings: Rc<BucketSettings>,
    signer: Signer,
    public_signer: Signer,
    trace: Trace,
}

impl S3Bucket {
    /// An object whose bytes are not read yet; `None` if there is none.
    ///
    /// # Errors
    /// See [`BucketError`].
    pub async fn open_object(&self, key: &str) -> Result<Option<Response>, BucketError> {
        retry::repeated(&WasiPlatform, async || objects::get(self, key).await).await
    }

    /// Whether an ETag says what the bytes are: not under SSE-KMS, whose ETags have the form of those that do.
    fn is_of_bytes(&self, etag: &ETag, is_kms: bool) -> bool {
        let is_kms = is_kms || self.settings.objects.encryption.as_ref().is_some_and(Encryption::is_kms);
        !is_kms && etag::is_of_bytes(etag)
    }

    /// The URL of a request that is sent at once. See [`Unsigned`].
    fn presigned(&self, method: &Method, key: &str, query: &[(&str, &str)], headers: &[(&str, &str)]) -> Url {
        let request = Unsigned { method: verb(method), key, query, headers, ttl_seconds: PRESIGNED_FOR_SECONDS };
        self.signer.presign(&request, WasiPlatform.now())
    }
}

/// The methods that S3 has.
const fn verb(method: &Method) -> &'static str {
    match method {
        Method::Delete => "DELETE",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        _ => "GET",
    }
}

impl Bucket for S3Bucket {
    type Body<'a> = PartBody<'a>;

    async fn create_upload(&self, object: Object<'_>) -> Result<String, BucketError> {
        uploads::create(self, object).await
    }

    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        transfer: &Transfer,
        body: Self::Body<'_>,
    ) -> Result<UploadedPart, PartError> {
        part_upload::upload(self, part, transfer, body).await
    }

    async fn list_parts(
        &self,
        key: &str,
        upload_id: &str,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, BucketError> {
        uploads::list_parts(self, key, upload_id, after).await
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

    async fn read(&self, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
        objects::read_range(self, key, offset, bytes).await
    }

    async fn scan(&self, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError> {
        objects::scan(self, key, wanted).await
    }

    async fn put(&self, key: &str, media_type: &str, bytes: &[u8]) -> Result<(), BucketError> {
        objects::put(self, key, media_type, bytes).await
    }

    async fn retype(&self, object: Object<'_>, media_type: &str) -> Result<ETag, BucketError> {
        objects::retype(self, object, media_type).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        objects::delete(self, key).await
    }

    async fn list_uploads(&self, prefix: &str) -> Result<UploadsPage, BucketError> {
        lists::uploads(self, prefix).await
    }

    async fn list_keys(&self, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError> {
        lists::keys(self, prefix, after).await
    }

    fn presign_part(&self, part: PartAddress<'_>, size_bytes: u64, md5: Option<[u8; 16]>, ttl_seconds: u64) -> String {
        let (number, length) = (part.number.get().to_string(), size_bytes.to_string());
        let md5 = md5.map(|md5| BASE64_STANDARD.encode(md5));
        let mut headers = vec![("content-length", length.as_str())];
        headers.extend(md5.as_deref().map(|md5| ("content-md5", md5)));
        let request = Unsigned {
            method: "PUT",
            key: part.key,
            query: &[("partNumber", &number), ("uploadId", part.upload_id)],
            headers: &headers,
            ttl_seconds,
        };
        self.public_signer.presign(&request, WasiPlatform.now()).into()
    }

    fn part_etag(&self, md5: [u8; 16]) -> ETag {
        ETag::of_digest(md5)
    }

    fn object_etag(&self, parts: &[ETag]) -> Option<ETag> {
        etag::of_object(parts)
    }
}

/// Whether S3 says that the object is under SSE-KMS.
fn is_kms(reply: &Response) -> bool {
    reply.header("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:kms"))
}
