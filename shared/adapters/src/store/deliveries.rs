//! Statements on the deliveries of webhooks. A delivery that is settled stays: one small row a MOC, the
//! record of what was sent.

use moc_application::port::{Outbox, Settled, StoreError};
use moc_domain::delivery::{Claim, MocFinalized};
use moc_domain::id::{MocId, SessionId, UserId};
use moc_domain::limits::WEBHOOK_LEASE_MS;
use moc_domain::time::Timestamp;
use serde::Deserialize;
use spin_sdk::sqlite::Value;

use super::SqliteStore;
use super::row::{corrupt, json, number, text, time};

/// What begins an attempt. Where its response is lost and it runs again, it finds its own lease and claims
/// nothing: the delivery then waits until that ends.
const CLAIM: &str = "UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_at = ?2
    WHERE status = 'pending' AND next_attempt_at <= ?1 AND moc_id = ";
/// The expression whose value [`ClaimRow`] reads.
const CLAIMED: &str = "json_array(moc_id, session_id, user_id, occurred_at, attempts)";

/// See [`CLAIMED`].
#[derive(Deserialize)]
struct ClaimRow(String, String, String, i64, u32);

impl ClaimRow {
    fn leased(self, leased_until: Timestamp) -> Option<Claim> {
        let Self(moc, session, user, at, attempt) = self;
        let event = MocFinalized {
            moc: MocId::parse(&moc)?,
            session: SessionId::parse(&session)?,
            user: UserId::parse(&user)?,
            at: Timestamp::from_millis(at),
        };
        Some(Claim { event, attempt, leased_until })
    }
}

impl SqliteStore {
    async fn claim_one(&self, which: &str, now: Timestamp, more: Option<Value>) -> Result<Option<Claim>, StoreError> {
        let leased_until = now.plus_millis(WEBHOOK_LEASE_MS);
        let statement = format!("{CLAIM}{which} RETURNING {CLAIMED}");
        let parameters: Vec<Value> = [time(now), time(leased_until)].into_iter().chain(more).collect();
        let Some(row) = self.0.first(&statement, &parameters).await? else { return Ok(None) };
        json::<ClaimRow>(&row, 0)?.leased(leased_until).map(Some).ok_or_else(|| corrupt("delivery"))
    }

    /// Changes a delivery of which this claim is the last one.
    async fn after_try(&self, claim: &Claim, change: &str, more: [Value; 2]) -> Result<bool, StoreError> {
        let statement = format!("UPDATE webhook_deliveries SET {change} AND moc_id = ?1 AND attempts = ?2 RETURNING 1");
        let [third, fourth] = more;
        let parameters = [text(claim.event.moc), Value::Integer(claim.attempt.into()), third, fourth];
        Ok(self.0.first(&statement, &parameters).await?.is_some())
    }
}

impl Outbox for SqliteStore {
    async fn claim(&self, moc: MocId, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        self.claim_one("?3", now, Some(text(moc))).await
    }

    async fn claim_next(&self, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        // A MOC whose finalize is still at work, or was interrupted, has not all of its files yet.
        let due = "(SELECT moc_id FROM webhook_deliveries d WHERE d.status = 'pending' AND d.next_attempt_at <= ?1
          AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = d.session_id AND s.status = 'finalizing')
          ORDER BY d.next_attempt_at LIMIT 1)";
        self.claim_one(due, now, None).await
    }

    async fn settle(&self, claim: &Claim, as_what: Settled, cause: Option<&str>) -> Result<bool, StoreError> {
        let status = match as_what {
            Settled::Delivered => "delivered",
            Settled::Failed => "failed",
        };
        // It may run again: what it has settled by itself it settles once more.
        let change = "status = ?3, cause = ?4 WHERE status IN ('pending', ?3)";
        self.after_try(claim, change, [text(status), cause.map(str::to_owned).into()]).await
    }

    async fn postpone(&self, claim: &Claim, due: Timestamp, cause: &str) -> Result<bool, StoreError> {
        let change = "next_attempt_at = ?3, cause = ?4 WHERE status = 'pending'";
        self.after_try(claim, change, [time(due), text(cause)]).await
    }

    async fn pending(&self) -> Result<u64, StoreError> {
        let statement = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'";
        number(&self.0.first(statement, &[]).await?.unwrap_or_default(), 0)
    }
}
