//! Statements on the deliveries of webhooks. A delivery that has ended stays: one small row per MOC, the record of
//! what was sent.

use moc_application::port::{Outbox, Platform, Settled, StoreError};
use moc_domain::delivery::Claim;
use moc_domain::id::MocId;
use moc_domain::limits::WEBHOOK_LEASE_MS;
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::row::{self, DELIVERY, number, one, record};

impl<E: SqlExecutor, P: Platform> SqlStore<E, P> {
    /// Claims the delivery of the MOC that `moc` selects. If the result of this statement is lost and it runs again,
    /// it finds its own lease and claims nothing: the delivery waits until the lease ends.
    async fn claim_one(
        &self,
        moc: &str,
        now: Timestamp,
        parameter: Option<Value>,
    ) -> Result<Option<Claim>, StoreError> {
        let leased_until = now.plus_millis(WEBHOOK_LEASE_MS);
        let sql = format!(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_at = ?2
             WHERE status = 'pending' AND next_attempt_at <= ?1 AND moc_id = {moc} RETURNING {}",
            one(DELIVERY)
        );
        let parameters: Vec<Value> = [now.into(), leased_until.into()].into_iter().chain(parameter).collect();
        let Some(row) = self.first(Statement::new(sql, parameters)).await? else { return Ok(None) };
        row::claim(&record(&row, 0)?, leased_until).map(Some)
    }

    /// Changes a delivery of which this claim is the last one.
    async fn end_attempt(&self, claim: &Claim, change: &str, parameters: [Value; 2]) -> Result<bool, StoreError> {
        let sql = format!("UPDATE webhook_deliveries SET {change} AND moc_id = ?1 AND attempts = ?2 RETURNING 1");
        let [third, fourth] = parameters;
        let parameters = [text(claim.event.moc), u64::from(claim.attempt).into(), third, fourth];
        self.changed(Statement::new(sql, parameters)).await
    }
}

impl<E: SqlExecutor, P: Platform> Outbox for SqlStore<E, P> {
    async fn claim(&self, moc: MocId, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        self.claim_one("?3", now, Some(text(moc))).await
    }

    async fn claim_next(&self, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        // A MOC whose finalize still runs, or was interrupted, does not have all of its files yet. In PostgreSQL two
        // sweeps would wait for one another's row and then claim nothing.
        let skip_locked = if self.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
        let due = format!(
            "(SELECT d.moc_id FROM webhook_deliveries d WHERE d.status = 'pending' AND d.next_attempt_at <= ?1
              AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = d.session_id AND s.status = 'finalizing')
              ORDER BY d.next_attempt_at LIMIT 1 {skip_locked})"
        );
        self.claim_one(&due, now, None).await
    }

    async fn settle(&self, claim: &Claim, state: Settled, cause: Option<&str>) -> Result<bool, StoreError> {
        let status = match state {
            Settled::Delivered => "delivered",
            Settled::Failed => "failed",
        };
        // It may run again: what it has ended by itself it ends once more.
        let change = "status = ?3, cause = ?4 WHERE status IN ('pending', ?3)";
        self.end_attempt(claim, change, [text(status), cause.map(str::to_owned).into()]).await
    }

    async fn postpone(&self, claim: &Claim, due: Timestamp, cause: &str) -> Result<bool, StoreError> {
        let change = "next_attempt_at = ?3, cause = ?4 WHERE status = 'pending'";
        self.end_attempt(claim, change, [due.into(), text(cause)]).await
    }

    async fn pending(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'";
        number(&self.first(Statement::new(sql, [])).await?.unwrap_or_default(), 0)
    }
}
