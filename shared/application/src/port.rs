//! The ports: what the use cases need from outside.

use moc_domain::checksum::{Checksums, Mismatch};
use moc_domain::content::Content;
use moc_domain::delivery::Claim;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, LockToken, MocId, SessionId, UserId};
use moc_domain::moc::Moc;
use moc_domain::part::PartNumber;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

/// The clock, randomness and waiting.
pub trait Platform {
    fn now(&self) -> Timestamp;
    /// Ten random bytes, for an id.
    fn random(&self) -> [u8; 10];
    /// Waits for so many milliseconds.
    async fn sleep(&self, millis: u64);
}

/// A step of a finalize, as traces name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding the session and taking its lock.
    ValidateSession,
    /// Checking the files.
    ValidateFiles,
    /// Inserting the MOC.
    CreateMoc,
    /// Giving it its files.
    CreateFiles,
    /// Making its thumbnail.
    GenerateThumbnail,
    /// Delivering its webhook.
    SendWebhook,
}

impl Step {
    /// The name of its span.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ValidateSession => "validate.session",
            Self::ValidateFiles => "validate.files",
            Self::CreateMoc => "create.moc",
            Self::CreateFiles => "create.files",
            Self::GenerateThumbnail => "generate.thumbnail",
            Self::SendWebhook => "send.webhook",
        }
    }
}

/// Observes the steps of a request.
pub trait Trace {
    /// Does some work as a step.
    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error>;
}

/// The store failed or is unreachable; the text is for the log.
#[derive(Debug)]
pub struct StoreError(pub String);

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::with_source(ErrorKind::StoreUnavailable, error.0)
    }
}

/// What became of a registration.
#[derive(Debug, PartialEq, Eq)]
pub enum Registered {
    /// The file is in the session.
    Done,
    /// The session has a file of that category and name already.
    Duplicate(FileId),
    /// The session holds as many files as it may.
    Full,
    /// The session takes no more files.
    NotActive,
}

/// What became of a MOC's insertion.
#[derive(Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in the store.
    Done,
    /// The session has a MOC already.
    SessionTaken,
    /// The user has another MOC of that slug.
    SlugTaken,
    /// Another finalize has taken the lock.
    LockLost,
}

/// Sessions, files, parts and MOCs. Every change of state is one conditional, atomic step, so that
/// any number of instances may work on one session; none needs a transaction held across calls.
pub trait Store {
    /// Adds one to the sessions that `user` has created in the window that began at
    /// `window_start`, and returns their number.
    async fn count_session(&self, user: &UserId, window_start: Timestamp) -> Result<u64, StoreError>;
    async fn insert_session(&self, session: &Session) -> Result<(), StoreError>;
    /// The session with that id, of any user.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// The session with its files, in the order of their registration.
    async fn session_with_files(&self, id: SessionId) -> Result<Option<(Session, Vec<File>)>, StoreError>;
    /// Sets the end of an active session, never to an earlier time.
    async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError>;
    /// Cancels an active session, also an expired one. `false` if it is not active.
    async fn cancel_session(&self, id: SessionId) -> Result<bool, StoreError>;

    /// Adds a file to an active session that holds fewer than `files_max`.
    async fn insert_file(&self, file: &File, files_max: u64) -> Result<Registered, StoreError>;
    /// A file and its session.
    async fn file(&self, session: SessionId, file: FileId) -> Result<Option<(Session, File)>, StoreError>;
    /// A file and its session, with its stored parts in order.
    async fn file_with_parts(
        &self,
        session: SessionId,
        file: FileId,
    ) -> Result<Option<(Session, File, Vec<StoredPart>)>, StoreError>;
    /// Records a part, or replaces its record, while the session is active and the file pending,
    /// and returns what is stored since; `None` if one of them no longer is. The cost does not grow with the parts
    /// stored.
    async fn record_part(
        &self,
        file: FileId,
        part: &StoredPart,
        sha256: Option<[u8; 32]>,
    ) -> Result<Option<Progress>, StoreError>;
    /// Completes a pending file of an active session. `false` if one of them no longer is.
    async fn complete_file(&self, file: &File, etag: &ETag, now: Timestamp) -> Result<bool, StoreError>;
    /// Marks a completed file as one that a new registration replaces.
    async fn reject_file(&self, file: FileId) -> Result<(), StoreError>;
    /// Deletes a pending file whose multipart upload no longer exists, or a rejected one of an active
    /// session, so that it can be registered again.
    /// `false` if there was nothing to forget.
    async fn forget_file(&self, file: FileId) -> Result<bool, StoreError>;

    /// Locks a session for a finalize: an active one in time, or one whose lock is stale since
    /// `stale_before`. `false` if another finalize holds it or the session is over.
    async fn lock_session(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Releases the lock, if `token` still holds it and there is no MOC: the session is active again.
    async fn unlock_session(&self, id: SessionId, token: LockToken) -> Result<(), StoreError>;
    /// Inserts a MOC without its files while `token` holds the lock of its session, and with it the
    /// delivery of its webhook if one is wanted.
    async fn insert_moc(&self, moc: &Moc, token: LockToken, webhook: bool) -> Result<Inserted, StoreError>;
    /// Gives a MOC the completed files of its session; those that it has stay.
    async fn insert_moc_files(&self, moc: MocId, session: SessionId) -> Result<(), StoreError>;
    /// Ends a session that has become a MOC.
    async fn finish_session(&self, id: SessionId, moc: MocId) -> Result<(), StoreError>;
    /// Gives a MOC its thumbnail.
    async fn set_thumbnail(&self, moc: MocId, key: &str) -> Result<(), StoreError>;
    /// Those of `slugs` that the user's MOCs have.
    async fn taken_slugs(&self, user: &UserId, slugs: &[String]) -> Result<Vec<String>, StoreError>;
    /// A MOC with its files.
    async fn moc(&self, id: MocId) -> Result<Option<Moc>, StoreError>;
    /// The MOC that a session has become, with its files.
    async fn moc_of_session(&self, id: SessionId) -> Result<Option<Moc>, StoreError>;
}

/// Why an operation on the bucket failed; the texts are for the log.
#[derive(Debug)]
pub enum BucketError {
    /// It is unreachable, overloaded, or its responses are malformed: retrying may help.
    Unavailable(String),
    /// It did not respond in time; this request must not wait for it again.
    Silent(String),
    /// There is no such multipart upload (S3 `NoSuchUpload`).
    NoSuchUpload,
    /// A part of a completion is missing under its ETag (S3 `InvalidPart`, `InvalidPartOrder`,
    /// `EntityTooSmall`).
    InvalidPart(String),
    /// The bytes that arrived are not those that the client announced. The part was not stored.
    Checksum(Mismatch),
    /// The client's body ended, stalled or broke before it was complete.
    BodyInterrupted(String),
    /// The part took longer than it may.
    TimedOut {
        /// How long, in milliseconds.
        elapsed_ms: u64,
    },
    /// It rejects the request: a fault of this service or of its configuration.
    Rejected(String),
}

impl From<BucketError> for Error {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::BodyInterrupted(cause) => {
                let detail = "The request body ended before its announced length. Send it again.".into();
                Self::with_source(ErrorKind::MalformedBody { detail }, cause)
            }
            BucketError::Unavailable(cause)
            | BucketError::Silent(cause)
            | BucketError::InvalidPart(cause)
            | BucketError::Rejected(cause) => Self::with_source(ErrorKind::BucketUnavailable, cause),
            other => Self::with_source(ErrorKind::BucketUnavailable, format!("{other:?}")),
        }
    }
}

/// What S3 knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    pub size_bytes: u64,
    pub etag: ETag,
}

/// A part that S3 has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    pub etag: ETag,
    /// Set if it was computed while the part streamed.
    pub sha256: Option<[u8; 32]>,
}

/// An object that S3 has assembled from parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedUpload {
    pub etag: ETag,
    /// Whether it follows from the parts' ETags. Under SSE-KMS it does not, as S3 says.
    pub is_composite: bool,
}

/// A part as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    pub number: PartNumber,
    pub size_bytes: u64,
    /// Missing on some servers that are not quite compatible with S3.
    pub etag: Option<ETag>,
}

/// One part of a multipart upload.
#[derive(Clone, Copy, Debug)]
pub struct PartAddress<'a> {
    /// The object's key.
    pub key: &'a str,
    pub upload_id: &'a str,
    pub number: PartNumber,
}

/// A part of a batch as it came.
#[derive(Debug)]
pub enum Arrived<T> {
    /// It has the bytes that were expected.
    Whole(T),
    /// It has another size: this many bytes, which are not kept.
    Other(u64),
}

/// The parts of a batch, one after the other as the client sends them.
pub trait Form {
    /// The bytes of a part, which are in memory until they are dropped.
    type Bytes: AsRef<[u8]>;

    /// The number of the next part; `None` after the last one.
    async fn next(&mut self) -> Result<Option<PartNumber>, Error>;
    /// The bytes of that part, kept where there are `expected_bytes` of them.
    async fn read(&mut self, expected_bytes: u64) -> Result<Arrived<Self::Bytes>, Error>;
}

/// The bucket: multipart uploads and objects.
pub trait Bucket {
    /// The bytes of a part as they come from the client.
    type Body;

    /// Starts a multipart upload (S3 `CreateMultipartUpload`); returns its id.
    async fn create_upload(&self, key: &str, content: Content) -> Result<String, BucketError>;
    /// Streams a part (S3 `UploadPart`).
    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        bytes: u64,
        body: Self::Body,
    ) -> Result<UploadedPart, BucketError>;
    /// Sends a part whose bytes are in memory (S3 `UploadPart`), again where that may help; `timeout_ms` is for one
    /// attempt.
    async fn upload_bytes(
        &self,
        part: PartAddress<'_>,
        bytes: &[u8],
        wants_sha256: bool,
        timeout_ms: u64,
    ) -> Result<UploadedPart, BucketError>;
    /// The parts of an upload (S3 `ListParts`), all pages of it.
    async fn list_parts(&self, key: &str, upload_id: &str) -> Result<Vec<ListedPart>, BucketError>;
    /// Makes an object of an upload (S3 `CompleteMultipartUpload`) from its parts' ETags in order.
    async fn complete_upload(&self, key: &str, upload_id: &str, parts: &[ETag])
    -> Result<CompletedUpload, BucketError>;
    /// Aborts an upload (S3 `AbortMultipartUpload`). One that is missing is no error.
    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError>;
    /// The size and metadata of an object (S3 `HeadObject`); `None` if there is none.
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError>;
    /// The first `bytes` bytes of an object (S3 `GetObject` with a range), fewer where it is
    /// smaller; `None` if there is none.
    async fn first_bytes(&self, key: &str, bytes: u64) -> Result<Option<Vec<u8>>, BucketError>;
    /// Reads a whole object (S3 `GetObject`) and computes those checksums that `wanted` has; `None` if there is
    /// no object. The memory that it takes does not grow with the object.
    async fn checksums(&self, key: &str, wanted: &Checksums) -> Result<Option<Checksums>, BucketError>;
    /// Deletes an object (S3 `DeleteObject`). One that is missing is no error.
    async fn delete(&self, key: &str) -> Result<(), BucketError>;
    /// Where a client can put a part by itself until `ttl_seconds` have passed.
    fn presign_part(&self, part: PartAddress<'_>, ttl_seconds: u64) -> String;
}

/// What a delivery has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has it.
    Delivered,
    /// No attempt is left.
    Failed,
}

/// The deliveries of webhooks, each written together with its MOC. A delivery is claimed for one attempt by
/// one atomic step, so that no two instances send it at once, and a claim of which nothing more is heard
/// ends by itself.
pub trait Outbox {
    /// Claims the delivery of a MOC's webhook until `now` and the length of a lease, if it is due.
    async fn claim(&self, moc: MocId, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// As [`Outbox::claim`], of the delivery that is due longest.
    async fn claim_next(&self, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// Settles a delivery; `cause` says why its last attempt has failed. `false` if the claim is no longer
    /// the last one.
    async fn settle(&self, claim: &Claim, as_what: Settled, cause: Option<&str>) -> Result<bool, StoreError>;
    /// Makes a delivery due at `due`, its attempt having failed for this cause. `false` if the claim is no
    /// longer the last one.
    async fn postpone(&self, claim: &Claim, due: Timestamp, cause: &str) -> Result<bool, StoreError>;
    /// How many deliveries are not settled.
    async fn pending(&self) -> Result<u64, StoreError>;
}

/// The receiver of webhooks.
pub trait Receiver {
    /// Attempts a delivery once, in [`moc_domain::limits::WEBHOOK_ATTEMPT_TIMEOUT_MS`] at most. The error says
    /// why it has not been taken, for the log.
    async fn send(&self, claim: &Claim) -> Result<(), String>;
    /// Called when a delivery is given up.
    fn given_up(&self, claim: &Claim, cause: &str);
}

/// Makes thumbnails.
pub trait Thumbnails {
    /// Makes the thumbnail of an object of the bucket and puts it there, by their keys.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] with the cause, or the bucket's.
    async fn make(&self, picture: &str, thumbnail: &str) -> Result<(), Error>;
}
