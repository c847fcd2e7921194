//! `POST http://sweeper.spin.internal/sweep`: removes what nobody needs any more.
//!
//! A session is swept [`moc_domain::limits::SWEEP_AFTER_MS`] after its end. A claim, which is a lease, cancels it if it
//! has expired; so from then on nothing can change it, and none of its objects can become a MOC's:
//!
//! | session | in the bucket | in the store |
//! |---|---|---|
//! | cancelled, or expired | its files are cleared as by a cancellation, then all that the bucket lists of it is removed | its rows are deleted |
//! | finalized | all that the bucket lists of it is removed, but for its MOC's objects | it is marked as swept, and its rows are deleted after the retention |
//! | left by a finalize that crashed | | the MOC is completed, or the lock released: then as above |
//! | worked on by a finalize, or with a file that the bucket may be completing | what can be cleared | it is put back |
//!
//! What the bucket lists includes what has no record: uploads of registrations that were interrupted, and objects of
//! rejected files whose deletion failed.
//!
//! | interrupted after | what is left | then |
//! |---|---|---|
//! | claim | a lease | it ends, and the next sweep claims the session |
//! | some of the files | the record of those that are cleared | the same; these are not asked about again |
//! | some of the rows | a session without a part of its rows, still cancelled or swept | the same |

use std::cell::RefCell;

use futures::stream::{self, StreamExt as _};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::session_prefix;
use moc_domain::id::SessionId;
use moc_domain::limits::{
    ABORT_CONCURRENCY, SWEEP_AFTER_MS, SWEEP_CLAIMS_MAX_MS, SWEEP_CONCURRENCY, SWEEP_FAILURES_MAX, SWEEP_PAGES_MAX,
    SWEEP_PAUSE_MS, SWEEP_SESSION_MAX_MS,
};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;

use crate::cancel_session::{self, Clearing};
use crate::port::{Backlog, Bucket, BucketError, Due, ListedUpload, Platform, Store, StoreError, SweepClaim, Sweeps};
use crate::{deadline, lookup};

/// Most statements that delete rows of one session before it is put back.
const REMOVALS_MAX: u32 = 100;

/// What to sweep.
#[derive(Clone, Copy, Debug)]
pub struct SweepRequest {
    /// Most sessions to claim, and most finalized ones whose rows are deleted.
    pub sessions: u64,
    /// How long the rows of finalized sessions are kept, in milliseconds; `None` for ever.
    pub retention_ms: Option<i64>,
    /// Longest time that the bucket may take to complete a file, in milliseconds.
    pub completion_timeout_ms: i64,
}

/// What a sweep has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepOutcome {
    /// Sessions that were removed: expired, cancelled, or finalized and no longer kept.
    pub removed: u64,
    /// Finalized sessions of which the bucket was cleared, but for their MOCs.
    pub cleared: u64,
    /// Sessions that could not be cleared, or not to the end. A later sweep goes on.
    pub postponed: u64,
    /// Uploads and objects without a record that were removed from the bucket.
    pub leftovers: u64,
    /// Counts of users' sessions and of their bytes that were deleted.
    pub counts: u64,
    /// Records of delivered webhooks that were deleted.
    pub deliveries: u64,
    /// How much is due still.
    pub left: Backlog,
    /// Why the first session could not be cleared, for the log.
    pub failure: Option<String>,
    /// Why the bucket does not list what it has, for the log: nothing without a record is found then.
    pub unlisted: Option<String>,
}

/// Whether a sweep that comes now would find a session: one cheap statement.
///
/// # Errors
/// The store's.
pub async fn is_due(store: &impl Sweeps, platform: &impl Platform) -> Result<bool, StoreError> {
    store.has_ended_sessions(&Due::at(platform.now(), None)).await
}

/// Sweeps, as much as the request and the time allow. A sweep that finds nothing due is one statement.
///
/// # Errors
/// Those of the store. What the bucket fails at is counted, and left to a later sweep.
pub async fn run(
    store: &(impl Store + Sweeps),
    bucket: &impl Bucket,
    platform: &impl Platform,
    request: SweepRequest,
) -> Result<SweepOutcome, Error> {
    let due = Due::at(platform.now(), request.retention_ms);
    let backlog = store.backlog(&due).await?;
    let work = Work { store, bucket, platform, request, outcome: RefCell::default() };
    if backlog.sessions > 0 {
        work.sweep_sessions().await?;
    }
    if backlog.retired > 0 {
        work.remove_retired(&due).await?;
    }
    let mut outcome = work.outcome.into_inner();
    if backlog.counts > 0 {
        outcome.counts = store.remove_counts(&due).await?;
    }
    if backlog.deliveries > 0 {
        outcome.deliveries = store.remove_deliveries(&due).await?;
    }
    let has_worked = Backlog { failed_deliveries: 0, ..backlog } != Backlog::default();
    outcome.left =
        if has_worked { store.backlog(&Due::at(platform.now(), request.retention_ms)).await? } else { backlog };
    Ok(outcome)
}

struct Work<'a, S, B, P> {
    store: &'a S,
    bucket: &'a B,
    platform: &'a P,
    request: SweepRequest,
    outcome: RefCell<SweepOutcome>,
}

/// What has become of a session.
enum Swept {
    /// It has no row any more.
    Removed,
    /// The bucket has nothing of it but its MOC's objects.
    Cleared,
    /// Somebody works on it, or there was too much for one sweep.
    Unfinished,
}

impl<S: Store + Sweeps, B: Bucket, P: Platform> Work<'_, S, B, P> {
    /// Sweeps sessions, several at once; claims none that it may have no time for, and none after some have failed.
    async fn sweep_sessions(&self) -> Result<(), Error> {
        let until = self.platform.now().plus_millis(SWEEP_CLAIMS_MAX_MS);
        let error = RefCell::new(None);
        let claims = stream::unfold(self.request.sessions, async |left| {
            let now = self.platform.now();
            let has_failed = self.outcome.borrow().postponed >= SWEEP_FAILURES_MAX || error.borrow().is_some();
            if left == 0 || has_failed || self.is_late(until) {
                return None;
            }
            match self.store.claim_ended(&Due::at(now, None)).await {
                Ok(claim) => claim.map(|claim| (claim, left - 1)),
                Err(failed) => {
                    error.replace(Some(failed));
                    None
                }
            }
        });
        let sweeping = claims.for_each_concurrent(SWEEP_CONCURRENCY, async |claim| {
            if let Err(failed) = self.sweep_session(claim).await {
                error.replace(Some(failed));
            }
        });
        sweeping.await;
        error.into_inner().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Sweeps a session, and puts it back unless that has come to its end.
    async fn sweep_session(&self, claim: SweepClaim) -> Result<(), StoreError> {
        let sweeping = deadline::in_shorter_time(self.platform, SWEEP_SESSION_MAX_MS, self.swept(claim.session));
        let pause_ms = match sweeping.await {
            Some(Ok(Swept::Removed)) => {
                self.outcome.borrow_mut().removed += 1;
                return Ok(());
            }
            Some(Ok(Swept::Cleared)) => {
                self.outcome.borrow_mut().cleared += 1;
                return Ok(());
            }
            // Its lease ends.
            Some(Err(Error { kind: ErrorKind::StoreUnavailable, source })) => {
                return Err(StoreError(source.unwrap_or_default()));
            }
            // Its time is over, and what it has cleared is recorded.
            None | Some(Err(Error { kind: ErrorKind::Busy, .. })) => 0,
            Some(Err(error)) => {
                let cause = error.source.unwrap_or_else(|| format!("{:?}", error.kind));
                let failure = || format!("session {}: {cause}", claim.session);
                self.outcome.borrow_mut().failure.get_or_insert_with(failure);
                SWEEP_PAUSE_MS
            }
            Some(Ok(Swept::Unfinished)) => SWEEP_PAUSE_MS,
        };
        self.outcome.borrow_mut().postponed += 1;
        self.store.put_back(&claim, self.platform.now().plus_millis(pause_ms - SWEEP_AFTER_MS)).await
    }

    async fn swept(&self, id: SessionId) -> Result<Swept, Error> {
        // Another sweep may have had it.
        let Some(session) = self.store.session(id).await? else { return Ok(Swept::Removed) };
        match session.status {
            Status::Cancelled => self.remove(&session).await,
            Status::Finalized => self.clear_finalized(&session).await,
            Status::Finalizing => self.left_by_finalize(session).await,
            Status::Active => Ok(Swept::Unfinished),
        }
    }

    /// A session that a finalize works on, or has left by a crash.
    async fn left_by_finalize(&self, session: Session) -> Result<Swept, Error> {
        if let Some(moc) = self.store.moc_of_session(session.id).await? {
            self.store.complete_moc(moc.id, session.id).await?;
            return self.clear_finalized(&session).await;
        }
        let session = lookup::without_stale_lock(self.store, self.platform, session).await?;
        // It has expired: nobody can have extended it since the claim.
        if session.is_expired(self.platform.now()) && self.store.cancel_session(session.id).await? {
            return self.remove(&session).await;
        }
        Ok(Swept::Unfinished)
    }

    /// Removes a cancelled session from the bucket and then from the store.
    async fn remove(&self, session: &Session) -> Result<Swept, Error> {
        self.clear(session.id).await?;
        if !self.remove_leftovers(session, &[]).await? || !self.remove_rows(session.id).await? {
            return Ok(Swept::Unfinished);
        }
        Ok(Swept::Removed)
    }

    /// Clears the bucket of the files of a cancelled session, and of those that were taken out of any.
    async fn clear(&self, session: SessionId) -> Result<(), Error> {
        let files = self.store.uncleared_files(session).await?;
        let completion_timeout_ms = self.request.completion_timeout_ms;
        // As in a cancellation that is repeated: a server that rejects the abort of an upload that is over may do so.
        let clearing = Clearing { session, lease: None, files: &files, again: true, completion_timeout_ms };
        cancel_session::clear_all(self.store, self.bucket, self.platform, clearing).await
    }

    /// Removes what the bucket has of a finalized session but its MOC's objects.
    async fn clear_finalized(&self, session: &Session) -> Result<Swept, Error> {
        self.clear(session.id).await?;
        // Without a MOC nobody can say which objects are to stay: all do.
        if let Some(moc) = self.store.moc_of_session(session.id).await? {
            let kept: Vec<&str> = moc.files.iter().map(|file| file.key.as_str()).collect();
            if !self.remove_leftovers(session, &kept).await? {
                return Ok(Swept::Unfinished);
            }
        }
        self.store.mark_swept(session.id).await?;
        Ok(Swept::Cleared)
    }

    /// Removes what the bucket lists of a session but the objects with these keys; `false` if there is more than one
    /// sweep removes.
    async fn remove_leftovers(&self, session: &Session, kept: &[&str]) -> Result<bool, Error> {
        let prefix = session_prefix(&session.user, session.id);
        // A server that ignores the prefix lists objects of others.
        let is_own = |key: &str| key.starts_with(&prefix);
        let mut pages = 0;
        while let Some(page) = self.listed(self.bucket.list_uploads(&prefix).await)? {
            // One may have the key of an object: a registration whose request was repeated has two.
            let uploads = page.uploads.iter().filter(|upload| is_own(&upload.key));
            let abort = async |upload: &ListedUpload| match self.bucket.abort_upload(&upload.key, &upload.id).await {
                Err(BucketError::NoSuchUpload) => Ok(()),
                aborted => aborted,
            };
            self.each(stream::iter(uploads).map(abort)).await?;
            pages += 1;
            if !page.is_truncated {
                break;
            }
            if pages == SWEEP_PAGES_MAX {
                return Ok(false);
            }
        }
        let (mut pages, mut after) = (0, None);
        while let Some(page) = self.listed(self.bucket.list_keys(&prefix, after.as_deref()).await)? {
            let keys = page.keys.iter().filter(|key| is_own(key) && !kept.contains(&key.as_str()));
            self.each(stream::iter(keys).map(async |key| self.bucket.delete(key).await)).await?;
            pages += 1;
            // A server that repeats a page must not be asked for ever.
            let last = page.keys.last().filter(|last| after.as_ref() < Some(*last)).cloned();
            if !page.is_truncated || last.is_none() {
                break;
            }
            if pages == SWEEP_PAGES_MAX {
                return Ok(false);
            }
            after = last;
        }
        Ok(true)
    }

    /// A page of a list; `None` if the bucket rejects to list: access to the list may be denied, or unsupported.
    fn listed<T>(&self, page: Result<T, BucketError>) -> Result<Option<T>, BucketError> {
        match page {
            Err(BucketError::Rejected(cause)) => {
                self.outcome.borrow_mut().unlisted.get_or_insert(cause);
                Ok(None)
            }
            page => page.map(Some),
        }
    }

    /// Does all removals, several at once, and counts those that succeed.
    ///
    /// # Errors
    /// One of theirs.
    async fn each(
        &self,
        removals: impl stream::Stream<Item = impl Future<Output = Result<(), BucketError>>>,
    ) -> Result<(), BucketError> {
        let mut result = Ok(());
        let mut removing = std::pin::pin!(removals.buffer_unordered(ABORT_CONCURRENCY));
        while let Some(removed) = removing.next().await {
            match removed {
                Ok(()) => self.outcome.borrow_mut().leftovers += 1,
                failed => result = failed,
            }
        }
        result
    }

    /// Deletes the rows of a session; `false` if they are too many for one sweep.
    async fn remove_rows(&self, id: SessionId) -> Result<bool, StoreError> {
        for _ in 0..REMOVALS_MAX {
            if self.store.remove_session(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the rows of finalized sessions that are kept no longer.
    async fn remove_retired(&self, due: &Due) -> Result<(), Error> {
        let until = self.platform.now().plus_millis(SWEEP_CLAIMS_MAX_MS);
        for id in self.store.retired_sessions(due, self.request.sessions).await? {
            if self.is_late(until) {
                break;
            }
            let is_removed = self.remove_rows(id).await?;
            let mut outcome = self.outcome.borrow_mut();
            if is_removed { outcome.removed += 1 } else { outcome.postponed += 1 }
        }
        Ok(())
    }

    fn is_late(&self, until: Timestamp) -> bool {
        self.platform.now() >= until || deadline::left_ms(self.platform) == Some(0)
    }
}
