//! The store: sessions, files with their parts, MOCs, and the outbox of webhooks.
//!
//! Every change of state is one conditional, atomic step with the same effect when it runs again, so any number of
//! instances may work on one session and no transaction is held across calls.

use moc_domain::content::Content;
use moc_domain::delivery::Claim;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, Rejection, StoredPart};
use moc_domain::id::{FileId, LockToken, MocId, SessionId, UserId};
use moc_domain::moc::Moc;
use moc_domain::part::PartNumber;
use moc_domain::quota::{FileQuotas, SessionQuotas, Usage};
use moc_domain::session::{Session, SessionProgress};
use moc_domain::thumbnail::{LastAttempt, ThumbnailClaim};
use moc_domain::time::Timestamp;

/// The store failed or is unreachable; the text is for the log.
#[derive(Debug)]
pub struct StoreError(pub String);

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::with_source(ErrorKind::StoreUnavailable, error.0)
    }
}

/// The result of [`Files::insert_file`].
#[derive(Debug, PartialEq, Eq)]
pub enum Registered {
    /// The session has the file, as of the change of this number.
    Done { sequence: u64 },
    /// The session already has a file of that category and name.
    Duplicate(FileId),
    /// The session has as many files as it may.
    Full,
    /// A quota is used up: for this reason.
    OverQuota(ErrorKind),
    /// The session is not active.
    NotActive,
}

impl Registered {
    /// Whether the session has the file.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// The result of [`Sessions::open_session`].
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// The store has the session.
    Done,
    /// A quota is used up: for this reason.
    OverQuota(ErrorKind),
}

/// The result of [`Mocs::complete_moc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// With its files.
    pub moc: Moc,
    /// The number of its session's last change.
    pub sequence: u64,
}

/// The result of [`Mocs::insert_moc`].
#[derive(Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The store has the MOC.
    Done,
    /// The session already has a MOC.
    SessionTaken,
    /// The user has another MOC with that slug.
    SlugTaken,
    /// Another finalize holds the session's lock.
    LockLost,
}

/// A completion that is about to be requested from the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completing {
    /// When it began. No other completion of the file has the same time, so that it shows whether another one has begun
    /// since.
    pub at: Timestamp,
    /// How many completions the bucket may be working on, this one included. The store may count one of them twice.
    pub requests: u64,
}

/// A file that was taken out of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    pub file: File,
    /// Whether an earlier call has taken it out.
    pub again: bool,
}

/// Upload sessions. Each change of a session or its files that watchers see also takes the next number of the session,
/// in one step with the change ([`SessionProgress::sequence`]). A step that runs again may take further ones.
pub trait Sessions {
    /// Adds one to the sessions that `user` created in the window that began at `window_start`; returns their number.
    async fn count_session(&self, user: &UserId, window_start: Timestamp) -> Result<u64, StoreError>;
    /// Inserts a session.
    async fn insert_session(&self, session: &Session) -> Result<(), StoreError>;
    /// Inserts a session of a user who has fewer open ones than the quotas allow at the time of its creation.
    async fn open_session(&self, session: &Session, quotas: &SessionQuotas) -> Result<Opened, StoreError>;
    /// What a user has open, and has registered today.
    async fn usage(&self, user: &UserId, now: Timestamp) -> Result<Usage, StoreError>;
    /// A session of any user.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// What shows whether a session has changed: one read by its key, which costs the same whatever it has.
    async fn progress(&self, id: SessionId) -> Result<Option<SessionProgress>, StoreError>;
    /// A session with its files, in the order of their registration.
    async fn session_with_files(&self, id: SessionId) -> Result<Option<(Session, Vec<File>)>, StoreError>;
    /// Moves the end of an active session, never to an earlier time.
    async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError>;
    /// Cancels an active session, expired or not. `false` if it is not active.
    async fn cancel_session(&self, id: SessionId) -> Result<bool, StoreError>;
    /// Locks a cancelled session for a request that clears the bucket. `false` if another one has taken or renewed
    /// the lock after `stale_before`.
    async fn lock_clearing(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Ends that lock, if `token` still holds it.
    async fn unlock_clearing(&self, id: SessionId, token: LockToken) -> Result<(), StoreError>;
    /// Locks a session for a finalize: an active one that has not expired, or one whose lock was taken or renewed last
    /// at or before `stale_before`. `false` if another finalize holds it or the session is over.
    async fn lock_session(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Renews the lock of a session that is being finalized or cleared; `false` if `token` no longer holds it. The time
    /// of a lock moves on with each renewal, whatever the clock shows.
    async fn renew_lock(&self, id: SessionId, token: LockToken, now: Timestamp) -> Result<bool, StoreError>;
    /// Deletes a session with its files, parts, MOC and delivery, whatever its state; their objects stay.
    async fn delete_session(&self, id: SessionId) -> Result<(), StoreError>;
    /// Makes a session active again, if `token` still holds its lock and it has no MOC.
    async fn unlock_session(&self, id: SessionId, token: LockToken) -> Result<(), StoreError>;
}

/// Files of a session, and their parts.
pub trait Files {
    /// Adds a file to an active session that has fewer than `files_max`, and counts its bytes, within these quotas.
    async fn insert_file(&self, file: &File, files_max: u64, quotas: &FileQuotas) -> Result<Registered, StoreError>;
    /// Puts a file in the place of a rejected one of the same session, category and name, while the session is active,
    /// within these quotas: at any time the session has one of the two. Only bytes that it has more are counted.
    async fn replace_file(&self, rejected: FileId, file: &File, quotas: &FileQuotas) -> Result<Registered, StoreError>;
    /// A file and its session.
    async fn file(&self, session: SessionId, file: FileId) -> Result<Option<(Session, File)>, StoreError>;
    /// A file and its session, with its stored parts in the order of their numbers.
    async fn file_with_parts(
        &self,
        session: SessionId,
        file: FileId,
    ) -> Result<Option<(Session, File, Vec<StoredPart>)>, StoreError>;
    /// Records a part or replaces its record, and returns what is stored since; `None` unless the session is active
    /// and the file pending. The cost does not depend on the number of parts stored.
    async fn record_part(
        &self,
        file: FileId,
        part: &StoredPart,
        sha256: Option<[u8; 32]>,
    ) -> Result<Option<Progress>, StoreError>;
    /// Records parts of different numbers, in the order of these, at a client's word or as the bucket lists them: all
    /// of them, or none unless the session is active and the file pending (`None`). Returns what is stored after each
    /// of them, with a number of its own. A part that is recorded under this ETag already stays as it is. The file has
    /// claims from then on ([`File::has_claims`]).
    async fn claim_parts(&self, file: FileId, parts: &[StoredPart]) -> Result<Option<Vec<Progress>>, StoreError>;
    /// Deletes the records of those parts of a pending file that are recorded under these ETags.
    async fn take_back_parts(&self, file: FileId, parts: &[(PartNumber, ETag)]) -> Result<(), StoreError>;
    /// Records that a completion of a pending file of an active session is requested from the bucket, before it is;
    /// `None` unless both are. If the last one began at or before `over_before`, all earlier ones are over.
    async fn begin_completion(
        &self,
        file: FileId,
        now: Timestamp,
        over_before: Timestamp,
    ) -> Result<Option<Completing>, StoreError>;
    /// Records that no completion of a pending file is under way any more.
    async fn end_completion(&self, file: FileId) -> Result<(), StoreError>;
    /// Completes a pending file of an active session, with the SHA-256 of its last part as `file` has it; returns the
    /// number of the change, `None` unless both are.
    async fn complete_file(&self, file: &File, etag: &ETag, now: Timestamp) -> Result<Option<u64>, StoreError>;
    /// Marks a completed file as one that a new registration replaces, and keeps why, while `token` holds the lock of
    /// its session and that has no MOC. `false` otherwise: the file is, or may become, a part of a MOC.
    async fn reject_file(&self, file: FileId, rejection: &Rejection, token: LockToken) -> Result<bool, StoreError>;
    /// Records that a read of all bytes of a completed file, whose object has this ETag, has found nothing wrong.
    async fn verify_file(&self, file: FileId, etag: &ETag) -> Result<(), StoreError>;
    /// Records what the bytes of a completed file are, and the ETag that its object has since it says so.
    async fn retype_file(&self, file: FileId, content: Content, etag: &ETag) -> Result<(), StoreError>;
    /// Takes a file out of an active session, so that its name and its place are free. Until the bucket is cleared of
    /// it ([`Files::clear_files`]) every call returns it; `None` if there is no such file, the session is not active,
    /// or the bucket is to be cleared of `uncleared_max` files that were taken out of it before.
    async fn remove_file(
        &self,
        session: SessionId,
        file: FileId,
        uncleared_max: u64,
    ) -> Result<Option<Removed>, StoreError>;
    /// The files of a session that may still have an upload or an object in the bucket, and belong to no MOC: those
    /// that no cancellation has cleared, unless the session is finalized, and those that were taken out of it.
    async fn uncleared_files(&self, session: SessionId) -> Result<Vec<File>, StoreError>;
    /// Records that the bucket is cleared of these files of a cancelled session, or taken out of any session.
    async fn clear_files(&self, session: SessionId, files: &[FileId]) -> Result<(), StoreError>;
    /// Deletes a pending file whose multipart upload no longer exists, so that it can be registered again; `false`
    /// unless its last completion began at `completing_at`, or none did.
    async fn forget_file(&self, file: FileId, completing_at: Option<Timestamp>) -> Result<bool, StoreError>;
}

/// Published MOCs.
pub trait Mocs {
    /// Inserts a MOC without its files while `token` holds the lock of its session, and with it the delivery of its
    /// webhook if `webhook` is set.
    async fn insert_moc(&self, moc: &Moc, token: LockToken, webhook: bool) -> Result<Inserted, StoreError>;
    /// Gives a MOC the completed files of its session and ends the session; `None` if the MOC does not exist.
    async fn complete_moc(&self, moc: MocId, session: SessionId) -> Result<Option<Published>, StoreError>;
    /// Sets the object key of a MOC's thumbnail, which has not to be made any more.
    async fn set_thumbnail(&self, moc: MocId, key: &str) -> Result<(), StoreError>;
    /// Those of `slugs` that the user's MOCs have.
    async fn taken_slugs(&self, user: &UserId, slugs: &[String]) -> Result<Vec<String>, StoreError>;
    /// A MOC with its files.
    async fn moc(&self, id: MocId) -> Result<Option<Moc>, StoreError>;
    /// The MOC that a session became, with its files.
    async fn moc_of_session(&self, id: SessionId) -> Result<Option<Moc>, StoreError>;
}

/// The final state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has accepted it.
    Delivered,
    /// No attempt is left.
    Failed,
}

/// Deliveries of webhooks, each inserted together with its MOC. A claim is a lease: no two instances send a delivery
/// at once, and one whose instance crashed is due again when the lease ends.
pub trait Outbox {
    /// Claims the delivery of a MOC's webhook, if it is due.
    async fn claim(&self, moc: MocId, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// Claims the delivery that has been due longest.
    async fn claim_next(&self, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// Ends a delivery; `cause` says why its last attempt failed. `false` if the claim is no longer the last one.
    async fn settle(&self, claim: &Claim, state: Settled, cause: Option<&str>) -> Result<bool, StoreError>;
    /// Makes a delivery due at `due` after an attempt that failed. `false` if the claim is no longer the last one.
    async fn postpone(&self, claim: &Claim, due: Timestamp, cause: &str) -> Result<bool, StoreError>;
    /// The number of deliveries that have not ended.
    async fn pending(&self) -> Result<u64, StoreError>;
}

/// Thumbnails that are to be made. A claim is a lease, of the thumbnail and of a slot: no two instances make one
/// thumbnail at once, nor more thumbnails than there are slots, and one whose instance crashed is due again when the
/// lease ends.
pub trait ThumbnailQueue {
    /// Makes the thumbnail of a MOC due, unless it has one or there was an attempt already.
    async fn want_thumbnail(&self, moc: MocId, now: Timestamp) -> Result<(), StoreError>;
    /// The last attempt at a MOC's thumbnail, if a slot is free and the thumbnail is due, or nobody has made it so.
    async fn can_make_thumbnail(&self, moc: MocId, now: Timestamp) -> Result<Option<LastAttempt>, StoreError>;
    /// Claims the thumbnail of `first` if it is due, or the one that has been due longest, and a slot for `holder`,
    /// which may have it already; `None` if no thumbnail is due or other holders have all slots.
    async fn claim_thumbnail(
        &self,
        holder: LockToken,
        first: MocId,
        now: Timestamp,
    ) -> Result<Option<ThumbnailClaim>, StoreError>;
    /// Ends an attempt that failed: the thumbnail is due again at `due`, or given up. Does nothing if the claim is no
    /// longer the last one.
    async fn end_thumbnail(&self, claim: ThumbnailClaim, due: Option<Timestamp>, cause: &str)
    -> Result<(), StoreError>;
    /// Gives a slot back; `true` if `holder` had one and a thumbnail is due.
    async fn leave_thumbnails(&self, holder: LockToken, now: Timestamp) -> Result<bool, StoreError>;
}

/// Sessions, files and MOCs in one store.
pub trait Store: Sessions + Files + Mocs {}

impl<T: Sessions + Files + Mocs> Store for T {}
