//! `POST /finalize`
//!
//! The steps: lock the session, validate its files, insert the MOC, give it its files, end the
//! session. Each is one atomic statement and does nothing the second time, so that after a crash
//! between any two the next call ends the work:
//!
//! | interrupted after | what stands | the next call |
//! |---|---|---|
//! | lock | a session `finalizing` without a MOC | waits, and takes the lock when its lease is over |
//! | MOC, or its files | a session `finalizing` with a MOC | gives it its files, ends the session: `resumed` |
//! | session | everything | returns the MOC: `idempotent` |
//!
//! The lock is a lease, which is renewed while the files are validated. A call that loses it drops its work, and the
//! insertion of the MOC needs the lock.
//!
//! Where the host limits the time of a request, the validation ends before that and the lock is given back. What it has
//! verified is recorded, so the next call goes on from there.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::{LockToken, MocId, SessionId, UserId};
use moc_domain::limits::{FINALIZE_HEAL_AFTER_MS, FINALIZE_POLL_MAX_MS, FINALIZE_POLL_MS, FINALIZE_WAIT_MS, LEASE_MS};
use moc_domain::moc::{Description, Moc, slug_candidates, title_conflict};
use moc_domain::session::{Session, Status};

use crate::lease::{self, Lease, Watch};
use crate::port::{Bucket, Inserted, Platform, Published, Step, Store, Trace};
use crate::validate::{self, Timing};
use crate::{deadline, lookup};

/// Whether a call made its MOC, or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalizeOutcome {
    /// It made it.
    Created,
    /// An earlier call had made it.
    Idempotent,
    /// An earlier call was interrupted; this one ended its work.
    Resumed,
}

/// A MOC, and how it was made.
#[derive(Clone, Debug)]
pub struct Finalized {
    pub moc: Moc,
    /// Whether this call made it, or found it.
    pub outcome: FinalizeOutcome,
    /// How long the validation took, where this call made it.
    pub validation: Option<Timing>,
    /// The number of the session's last change.
    pub sequence: u64,
}

/// A session to finalize.
#[derive(Clone, Copy, Debug)]
pub struct FinalizeRequest<'a> {
    /// The user who sends the request.
    pub user: &'a UserId,
    pub id: SessionId,
    /// What the user says of the MOC.
    pub described: &'a Description,
    /// How many files are validated at once.
    pub concurrency: usize,
    /// Longest time that the bucket may take to complete a file, in milliseconds.
    pub completion_timeout_ms: i64,
    /// Whether a webhook is to be delivered.
    pub webhook: bool,
}

/// What the use case works with.
struct Work<'a, S, B, P, T> {
    store: &'a S,
    bucket: &'a B,
    platform: &'a P,
    trace: &'a T,
    request: FinalizeRequest<'a>,
}

/// How a session was found.
enum Found {
    /// It is finalized.
    Finalized(Session),
    /// Another call has left it with this MOC.
    Left(Moc),
    /// This call has its lock.
    Locked(Lease),
}

/// Publishes a session as a MOC, once.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::SessionNotActive`], [`ErrorKind::SessionExpired`],
/// [`ErrorKind::FinalizeInProgress`] where the winner of a race does not end in time,
/// [`ErrorKind::TitleConflict`], those of [`validate::files`], [`ErrorKind::Busy`] if that takes too long for the host,
/// or those of the store and the bucket.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    trace: &impl Trace,
    request: FinalizeRequest<'_>,
) -> Result<Finalized, Error> {
    let work = Work { store, bucket, platform, trace, request };
    match trace.step(Step::ValidateSession, work.find()).await? {
        Found::Finalized(session) => {
            let moc = work.existing(&session).await?;
            let sequence = session.sequence;
            Ok(Finalized { moc, outcome: FinalizeOutcome::Idempotent, validation: None, sequence })
        }
        Found::Left(moc) => work.end(moc, None).await,
        Found::Locked(lease) => work.locked(lease).await,
    }
}

impl<S: Store, B: Bucket, P: Platform, T: Trace> Work<'_, S, B, P, T> {
    /// Waits until the session is this call's, or somebody else has ended it.
    async fn find(&self) -> Result<Found, Error> {
        let FinalizeRequest { user, id, .. } = self.request;
        let started = self.platform.now();
        let mut pause_ms = FINALIZE_POLL_MS;
        let mut watch = Watch::default();
        loop {
            let session = lookup::session(self.store, user, id).await?;
            let now = self.platform.now();
            let stale_before = watch.stale_before(session.locked_at(), now);
            match session.status {
                Status::Cancelled => return Err(ErrorKind::SessionNotActive { status: session.status }.into()),
                Status::Finalized => return Ok(Found::Finalized(session)),
                Status::Active if session.is_expired(now) => {
                    return Err(ErrorKind::SessionExpired { expires_at: session.expires_at, now }.into());
                }
                Status::Finalizing if session.locked_at() > stale_before => {
                    if let Some(moc) = self.left_by_crash().await? {
                        return Ok(Found::Left(moc));
                    }
                }
                Status::Active | Status::Finalizing => {
                    let token = LockToken::new(now, self.platform.random());
                    if self.store.lock_session(id, token, now, stale_before).await? {
                        return Ok(Found::Locked(Lease { session: id, token, taken_at: now }));
                    }
                }
            }
            let waited_ms = self.platform.now().millis_since(started).unsigned_abs();
            let left_ms = FINALIZE_WAIT_MS.saturating_sub(waited_ms);
            let left_ms = deadline::left_ms(self.platform).map_or(left_ms, |request_ms| left_ms.min(request_ms));
            if left_ms == 0 {
                return Err(ErrorKind::FinalizeInProgress.into());
            }
            // A lease that ends sooner is not waited for any longer.
            let lease_ms = session.locked_at().plus_millis(LEASE_MS).millis_since(self.platform.now());
            let lease_ms = u64::try_from(lease_ms).ok().filter(|lease_ms| *lease_ms > 0).unwrap_or(u64::MAX);
            self.platform.sleep(pause_ms.min(left_ms).min(lease_ms)).await;
            pause_ms = (2 * pause_ms).min(FINALIZE_POLL_MAX_MS);
        }
    }

    /// Everything under the lock. What fails before the MOC stands gives the lock back; what fails
    /// after it leaves the lock, and the next call goes on from there.
    async fn locked(&self, lease: Lease) -> Result<Finalized, Error> {
        let (moc, validation) = match self.validated(lease).await {
            Ok(made) => made,
            Err(error) => {
                // A store that is unavailable now leaves a lock that goes stale.
                let _ = self.store.unlock_session(self.request.id, lease.token).await;
                return Err(error);
            }
        };
        self.end(moc, validation).await
    }

    /// The MOC in the store; with the validation where this call has made it.
    async fn validated(&self, lease: Lease) -> Result<(Moc, Option<Timing>), Error> {
        let FinalizeRequest { user, id, described, concurrency, completion_timeout_ms, .. } = self.request;
        if let Some(moc) = self.store.moc_of_session(id).await? {
            return Ok((moc, None));
        }
        let slug = described.slug();
        // Cheap, and early: the insert below is what decides.
        let taken = self.taken(&slug).await?;
        if taken.contains(&slug) {
            return Err(title_conflict(&slug, &taken).into());
        }
        // Read under the lock: from here on no file comes and none completes.
        let (_, files) = lookup::session_with_files(self.store, user, id).await?;
        let (store, bucket, platform) = (self.store, self.bucket, self.platform);
        let token = lease.token;
        let validating = validate::files(store, bucket, platform, token, &files, concurrency, completion_timeout_ms);
        let in_time = async {
            let validated = deadline::in_time(platform, lease::held(store, platform, lease, validating)).await;
            let over = || Err(deadline::over("the verification of the files"));
            validated.map_or_else(over, |held| held.unwrap_or_else(|stopped| Err(stopped.into())))
        };
        let validation = self.trace.step(Step::ValidateFiles, in_time).await?;
        let now = self.platform.now();
        let moc = Moc {
            id: MocId::new(now, self.platform.random()),
            session_id: id,
            user: user.clone(),
            description: described.clone(),
            slug,
            files: Vec::new(),
            thumbnail_key: None,
            thumbnail_given_up: false,
            created_at: now,
        };
        self.trace.step(Step::CreateMoc, self.insert(moc, token, validation)).await
    }

    async fn insert(&self, moc: Moc, token: LockToken, validation: Timing) -> Result<(Moc, Option<Timing>), Error> {
        match self.store.insert_moc(&moc, token, self.request.webhook).await? {
            Inserted::Done => Ok((moc, Some(validation))),
            Inserted::SlugTaken => Err(title_conflict(&moc.slug, &self.taken(&moc.slug).await?).into()),
            // This call was so slow that its lease ended.
            Inserted::LockLost => Err(ErrorKind::FinalizeInProgress.into()),
            Inserted::SessionTaken => {
                let moc = self.store.moc_of_session(moc.session_id).await?;
                let missing = || Error::with_source(ErrorKind::StoreUnavailable, "the session's MOC does not exist");
                Ok((moc.ok_or_else(missing)?, None))
            }
        }
    }

    async fn taken(&self, slug: &str) -> Result<Vec<String>, Error> {
        Ok(self.store.taken_slugs(self.request.user, &slug_candidates(slug)).await?)
    }

    /// Gives the MOC its files and ends the session: both may be done again.
    async fn end(&self, moc: Moc, validation: Option<Timing>) -> Result<Finalized, Error> {
        let completing = async {
            let completed = self.store.complete_moc(moc.id, self.request.id).await?;
            completed.ok_or_else(|| Error::with_source(ErrorKind::StoreUnavailable, "the MOC was deleted"))
        };
        let Published { moc, sequence } = self.trace.step(Step::CreateFiles, completing).await?;
        let outcome = if validation.is_some() { FinalizeOutcome::Created } else { FinalizeOutcome::Resumed };
        Ok(Finalized { moc, outcome, validation, sequence })
    }

    /// The MOC of a session that another call holds, if it has stood for so long that this call
    /// must have died: the steps after it take milliseconds.
    async fn left_by_crash(&self) -> Result<Option<Moc>, Error> {
        let moc = self.store.moc_of_session(self.request.id).await?;
        let now = self.platform.now();
        Ok(moc.filter(|moc| now.millis_since(moc.created_at) >= FINALIZE_HEAL_AFTER_MS))
    }

    async fn existing(&self, session: &Session) -> Result<Moc, Error> {
        let moc = match session.moc_id {
            Some(id) => self.store.moc(id).await?,
            None => self.store.moc_of_session(self.request.id).await?,
        };
        moc.ok_or_else(|| Error::with_source(ErrorKind::Internal, "a finalized session has no MOC"))
    }
}
