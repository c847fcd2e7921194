//! The lock of a session is a lease: who works under it renews it, and stops where it is lost.
//!
//! Whether a lock is held is decided by its token alone, in each statement: clocks only say when another request may
//! take it. What it costs if they are wrong is work that is done twice.

use std::pin::pin;

use futures::future::{Either, select};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{LEASE_MS, LEASE_RENEW_MS, LEASE_RETRY_MS};
use moc_domain::time::Timestamp;

use crate::port::{Platform, Store};

/// The lock of a session that this request has taken.
#[derive(Clone, Copy)]
pub(crate) struct Lease {
    pub session: SessionId,
    pub token: LockToken,
    pub taken_at: Timestamp,
}

/// Why work under a lease was dropped.
pub(crate) enum Stopped {
    /// Another request has the lock.
    Lost,
    /// The store was unavailable until the lease was over.
    Failed(Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Lost => ErrorKind::FinalizeInProgress.into(),
            Stopped::Failed(error) => error,
        }
    }
}

/// Does work and renews the lease meanwhile. Work that ends within [`LEASE_RENEW_MS`] causes no renewal.
pub(crate) async fn held<T>(
    store: &impl Store,
    platform: &impl Platform,
    lease: Lease,
    work: impl Future<Output = T>,
) -> Result<T, Stopped> {
    match select(pin!(work), pin!(renew(store, platform, lease))).await {
        Either::Left((outcome, _)) => Ok(outcome),
        Either::Right((stopped, _)) => Err(stopped),
    }
}

/// Renews a lease for as long as that is possible.
async fn renew(store: &impl Store, platform: &impl Platform, lease: Lease) -> Stopped {
    let mut renewed_at = lease.taken_at;
    loop {
        let due_in_ms = LEASE_RENEW_MS - platform.now().millis_since(renewed_at);
        platform.sleep(u64::try_from(due_in_ms).unwrap_or(0)).await;
        // One that comes late, because the host was busy, gets the time of an attempt too.
        let ends_at = renewed_at.plus_millis(LEASE_MS).max(platform.now().plus_millis(LEASE_RENEW_MS));
        match renew_until(store, platform, lease, ends_at).await {
            Ok(at) => renewed_at = at,
            Err(stopped) => return stopped,
        }
    }
}

/// Renews a lease once, with as many attempts as there is time for; returns when it did.
async fn renew_until(
    store: &impl Store,
    platform: &impl Platform,
    lease: Lease,
    ends_at: Timestamp,
) -> Result<Timestamp, Stopped> {
    let left_ms = || u64::try_from(ends_at.millis_since(platform.now())).unwrap_or(0);
    let attempts = async {
        loop {
            let now = platform.now();
            match store.renew_lock(lease.session, lease.token, now).await {
                Ok(true) => return Ok(now),
                Ok(false) => return Err(Stopped::Lost),
                Err(error) if left_ms() <= LEASE_RETRY_MS => return Err(Stopped::Failed(error.into())),
                Err(_) => platform.sleep(LEASE_RETRY_MS).await,
            }
        }
    };
    match select(pin!(attempts), pin!(platform.sleep(left_ms()))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            let source = "the store did not respond until the lease of the session was over";
            Err(Stopped::Failed(Error::with_source(ErrorKind::StoreUnavailable, source)))
        }
    }
}

/// What a waiting request has seen of a lock: when that was renewed last, and since when it has seen that.
#[derive(Default)]
pub(crate) struct Watch(Option<(Timestamp, Timestamp)>);

impl Watch {
    /// A lock that was renewed last at or before this time may be taken: its lease is over by this instance's clock, or
    /// it was not renewed for as long as this request has watched it, whatever clock its holder had.
    pub fn stale_before(&mut self, locked_at: Timestamp, now: Timestamp) -> Timestamp {
        let by_clock = now.plus_millis(-LEASE_MS);
        match self.0 {
            Some((seen, since)) if seen == locked_at && now.millis_since(since) >= LEASE_MS => by_clock.max(locked_at),
            Some((seen, _)) if seen == locked_at => by_clock,
            _ => {
                self.0 = Some((locked_at, now));
                by_clock
            }
        }
    }
}
