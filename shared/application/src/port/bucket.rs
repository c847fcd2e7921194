//! The bucket: multipart uploads and objects of S3.

use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use moc_domain::text::Charset;

/// Why an operation on the bucket failed; the texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketError {
    /// It is unreachable, overloaded, or its responses are malformed. The operation may have taken effect.
    Unavailable(String),
    /// It did not respond in time; this request must not wait for it again.
    Silent(String),
    /// There is no such multipart upload (S3 `NoSuchUpload`).
    NoSuchUpload,
    /// A part of a completion is missing under its ETag (S3 `InvalidPart`, `InvalidPartOrder`,
    /// `EntityTooSmall`).
    InvalidPart(String),
    /// It rejects the request: a fault of this service or of its configuration.
    Rejected(String),
}

impl From<BucketError> for Error {
    fn from(error: BucketError) -> Self {
        let cause = match error {
            BucketError::Unavailable(cause)
            | BucketError::Silent(cause)
            | BucketError::InvalidPart(cause)
            | BucketError::Rejected(cause) => cause,
            BucketError::NoSuchUpload => "NoSuchUpload".into(),
        };
        Self::with_source(ErrorKind::BucketUnavailable, cause)
    }
}

/// Why a part is not in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartError {
    /// The bucket failed.
    Bucket(BucketError),
    /// The client's body ended or broke before it was complete; the text is for the log.
    Interrupted(String),
    /// The client's body did not arrive in [`Transfer::timeout_ms`], or too slowly ([`moc_domain::pace::Pace`]).
    TimedOut {
        /// How long was waited for it, in milliseconds.
        elapsed_ms: u64,
    },
    /// The client's body does not have the checksums that it must have; it has these.
    Differs(Checksums),
    /// There is no memory for a part that has to be whole before the bucket gets it.
    Busy,
}

impl From<BucketError> for PartError {
    fn from(error: BucketError) -> Self {
        Self::Bucket(error)
    }
}

/// How a part is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// In bytes.
    pub size_bytes: u64,
    /// The checksums that the part must have. Its last bytes are held back until they are verified, so that a wrong
    /// part never becomes one in the bucket.
    pub must_have: Checksums,
    /// Whether its MD5 is computed.
    pub wants_md5: bool,
    /// Whether its SHA-256 is computed.
    pub wants_sha256: bool,
    /// Longest time that the body may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A part that S3 has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    pub etag: ETag,
    /// The checksums that were computed.
    pub computed: Checksums,
    /// Whether the ETag says what the bytes are: not under SSE-KMS
    /// ([Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)).
    pub is_etag_of_bytes: bool,
}

/// What S3 says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    pub size_bytes: u64,
    pub etag: ETag,
    /// As [`UploadedPart::is_etag_of_bytes`].
    pub is_etag_of_bytes: bool,
    /// `Content-Type`.
    pub media_type: Option<String>,
}

/// What a read of all bytes of an object has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Those that were wanted.
    pub checksums: Checksums,
    /// What it is written in, if it is text, as [`moc_domain::text::TextCheck`] judges.
    pub charset: Option<Charset>,
}

/// An object that S3 has assembled from parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedUpload {
    pub etag: ETag,
    /// As [`UploadedPart::is_etag_of_bytes`].
    pub is_etag_of_bytes: bool,
}

/// A part as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    pub number: PartNumber,
    pub size_bytes: u64,
    pub etag: ETag,
}

/// A page of an upload's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartsPage {
    pub parts: Vec<ListedPart>,
    /// After which part the next page begins; `None` on the last page.
    pub next: Option<PartNumber>,
}

/// An open multipart upload as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// The key of the object that it would make.
    pub key: String,
    pub id: String,
}

/// The first open multipart uploads of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadsPage {
    pub uploads: Vec<ListedUpload>,
    /// Whether there are more.
    pub is_truncated: bool,
}

/// A page of the keys of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysPage {
    /// In order.
    pub keys: Vec<String>,
    /// Whether there are more after the last one.
    pub is_truncated: bool,
}

/// One part of a multipart upload.
#[derive(Clone, Copy, Debug)]
pub struct PartAddress<'a> {
    /// The object's key.
    pub key: &'a str,
    pub upload_id: &'a str,
    pub number: PartNumber,
}

/// Multipart uploads and objects of one bucket. Every operation sends one request: when it is repeated is decided by
/// [`crate::retry`].
pub trait Bucket {
    /// The bytes of a part: a stream from the client, or bytes in memory.
    type Body<'a>: From<&'a [u8]>;

    /// Starts the multipart upload of an object (S3 `CreateMultipartUpload`), with what its responses will say of it;
    /// returns its id.
    async fn create_upload(&self, object: Object<'_>) -> Result<String, BucketError>;
    /// Sends a part (S3 `UploadPart`).
    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        transfer: &Transfer,
        body: Self::Body<'_>,
    ) -> Result<UploadedPart, PartError>;
    /// A page of the parts of an upload (S3 `ListParts`), those after `after`, in order.
    async fn list_parts(&self, key: &str, upload_id: &str, after: Option<PartNumber>)
    -> Result<PartsPage, BucketError>;
    /// Makes an object of an upload (S3 `CompleteMultipartUpload`) from its parts' ETags in order.
    async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[ETag])
    -> Result<CompletedUpload, BucketError>;
    /// Aborts an upload (S3 `AbortMultipartUpload`).
    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError>;
    /// The size and ETag of an object (S3 `HeadObject`); `None` if there is none.
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError>;
    /// `bytes` bytes of an object from `offset` on (S3 `GetObject` with a range), fewer where it ends before; `None`
    /// if there is no object.
    async fn read(&self, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError>;
    /// Reads a whole object (S3 `GetObject`) once: computes those checksums that `wanted` has, and judges whether it is
    /// text; `None` if there is no object. The memory that it takes does not grow with the object.
    async fn scan(&self, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError>;
    /// Writes an object (S3 `PutObject`).
    async fn put(&self, key: &str, media_type: &str, bytes: &[u8]) -> Result<(), BucketError>;
    /// Gives an object of at most [`moc_domain::limits::COPY_MAX_BYTES`] another `Content-Type` (S3 `CopyObject` onto
    /// itself); returns the ETag that it has then.
    async fn retype(&self, object: Object<'_>, media_type: &str) -> Result<ETag, BucketError>;
    /// Deletes an object (S3 `DeleteObject`). One that is missing is no error.
    async fn delete(&self, key: &str) -> Result<(), BucketError>;
    /// The first open multipart uploads whose keys begin with `prefix` (S3 `ListMultipartUploads`),
    /// [`moc_domain::limits::BUCKET_PAGE_MAX`] at most.
    async fn list_uploads(&self, prefix: &str) -> Result<UploadsPage, BucketError>;
    /// The keys of objects that begin with `prefix` and come after `after`, in order (S3 `ListObjectsV2`),
    /// [`moc_domain::limits::BUCKET_PAGE_MAX`] at most.
    async fn list_keys(&self, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError>;
    /// Where a client can put a part of exactly this size, and with this MD5 as `Content-MD5` if there is one, by itself
    /// until `ttl_seconds` have passed.
    fn presign_part(&self, part: PartAddress<'_>, size_bytes: u64, md5: Option<[u8; 16]>, ttl_seconds: u64) -> String;

    /// The ETag of a part whose bytes have this MD5.
    fn part_etag(&self, md5: [u8; 16]) -> ETag;
    /// The ETag of an object that is made of parts with these ETags, in order; `None` if it does not follow from them.
    fn object_etag(&self, parts: &[ETag]) -> Option<ETag>;
}
