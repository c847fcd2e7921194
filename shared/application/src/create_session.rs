//! `POST /sessions`

use moc_domain::error::Error;
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::{RATE_WINDOW_MS, SESSION_LIFETIME_MS};
use moc_domain::quota::{Quota, SessionQuotas, window_start};
use moc_domain::session::{FIRST_SEQUENCE, Session, Status};

use crate::port::{Opened, Platform, Store};

/// Creates a session for files of `declared_bytes` together.
///
/// # Errors
/// [`ErrorKind::QuotaExceeded`](moc_domain::error::ErrorKind::QuotaExceeded),
/// [`ErrorKind::RateLimitExceeded`](moc_domain::error::ErrorKind::RateLimitExceeded), or the store's.
pub async fn run(
    store: &impl Store,
    platform: &impl Platform,
    user: UserId,
    part_size_bytes: u64,
    declared_bytes: u64,
    quotas: SessionQuotas,
) -> Result<Session, Error> {
    quotas.check_declared(declared_bytes)?;
    let now = platform.now();
    if let Some(limit) = quotas.per_hour {
        if quotas.open.is_some() {
            // Who has too many open ones is not counted. The insertion below is what decides.
            quotas.check_open(&store.usage(&user, now).await?, now)?;
        }
        let began = window_start(now, RATE_WINDOW_MS);
        if store.count_session(&user, began).await? > limit {
            return Err(Quota::SessionsPerHour.used_up(limit, began.plus_millis(RATE_WINDOW_MS), now).into());
        }
    }
    let session = Session {
        id: SessionId::new(now, platform.random()),
        user,
        status: Status::Active,
        part_size_bytes,
        created_at: now,
        expires_at: now.plus_millis(SESSION_LIFETIME_MS),
        finalizing_at: None,
        moc_id: None,
        sequence: FIRST_SEQUENCE,
    };
    if quotas.open.is_none() {
        store.insert_session(&session).await?;
        return Ok(session);
    }
    match store.open_session(&session, &quotas).await? {
        Opened::Done => Ok(session),
        Opened::OverQuota(kind) => Err(kind.into()),
    }
}
