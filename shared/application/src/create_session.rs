//! `POST /sessions`

use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::{RATE_WINDOW_MS, SESSION_LIFETIME_MS};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;

use crate::port::{Platform, Store};

/// Creates a session.
///
/// # Errors
/// [`ErrorKind::RateLimitExceeded`], or the store's.
pub async fn run(
    store: &impl Store,
    platform: &impl Platform,
    user: UserId,
    part_size_bytes: u64,
    sessions_per_hour: Option<u64>,
) -> Result<Session, Error> {
    let now = platform.now();
    if let Some(limit) = sessions_per_hour {
        let window_start = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(RATE_WINDOW_MS));
        if store.count_session(&user, window_start).await? > limit {
            let next_allowed_at = window_start.plus_millis(RATE_WINDOW_MS);
            let wait_ms = u64::try_from(next_allowed_at.millis_since(now)).unwrap_or(0);
            let kind = ErrorKind::RateLimitExceeded {
                limit,
                window_seconds: RATE_WINDOW_MS.unsigned_abs() / 1000,
                retry_after_seconds: wait_ms.div_ceil(1000).max(1),
                next_allowed_at,
            };
            return Err(kind.into());
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
    };
    store.insert_session(&session).await?;
    Ok(session)
}
