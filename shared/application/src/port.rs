//! The ports: what the use cases need from outside.

mod bucket;
mod issuer;
mod secret;
mod store;
mod sweep;

use moc_domain::delivery::Claim;
use moc_domain::error::Error;
use moc_domain::id::MocId;
use moc_domain::part::PartNumber;
use moc_domain::time::Timestamp;

pub use bucket::{
    Bucket, BucketError, CompletedUpload, KeysPage, ListedPart, ListedUpload, ObjectHead, PartAddress, PartError,
    PartsPage, Scan, Transfer, UploadedPart, UploadsPage,
};
pub use issuer::{FetchState, Issuer, KeySetRecord, KeySets};
pub use secret::Secrets;
pub use store::{
    Completing, Files, Inserted, Mocs, Opened, Outbox, Published, Registered, Removed, Sessions, Settled, Store,
    StoreError, ThumbnailQueue,
};
pub use sweep::{Backlog, Due, Resend, SweepClaim, Sweeps};

/// The clock, randomness and waiting.
pub trait Platform {
    fn now(&self) -> Timestamp;
    /// Ten random bytes, for an id.
    fn random(&self) -> [u8; 10];
    /// Waits for so many milliseconds.
    async fn sleep(&self, millis: u64);
    /// When work that waits or holds something has to be over, where the host limits the time of a request: in time to
    /// let go of it and to respond. `None` for no limit.
    fn ends_at(&self) -> Option<Timestamp> {
        None
    }
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

/// The receiver of webhooks.
pub trait Receiver {
    /// Attempts a delivery once, in [`moc_domain::limits::WEBHOOK_ATTEMPT_TIMEOUT_MS`] at most. The error says
    /// why it has not been taken, for the log.
    async fn send(&self, claim: &Claim) -> Result<(), String>;
    /// Called when a delivery is given up.
    fn given_up(&self, claim: &Claim, cause: &str);
}

/// Why a thumbnail was not made; the texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThumbnailError {
    /// Another attempt fails in the same way.
    Undecodable(String),
    /// The bucket or the thumbnailer failed, or it took too long.
    Failed(String),
}

/// Makes thumbnails.
pub trait Thumbnails {
    /// Largest picture that it takes.
    fn source_max_bytes(&self) -> u64;
    /// Makes the thumbnail of an object of the bucket and puts it there, by their keys, in this time at most.
    async fn make(&self, picture: &str, thumbnail: &str, limit_ms: u64) -> Result<(), ThumbnailError>;
    /// Called when an attempt has failed.
    fn failed(&self, moc: MocId, cause: &str, is_retried: bool);
}
