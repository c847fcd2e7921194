//! Statements on thumbnails that are to be made.

use moc_application::port::{Platform, StoreError, ThumbnailQueue};
use moc_domain::id::{LockToken, MocId};
use moc_domain::limits::THUMBNAIL_LEASE_MS;
use moc_domain::thumbnail::{LastAttempt, ThumbnailClaim};
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::row::{self, THUMBNAIL, one, record};

impl<E: SqlExecutor, P: Platform> ThumbnailQueue for SqlStore<E, P> {
    async fn want_thumbnail(&self, moc: MocId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO thumbnails (moc_id, due_at)
            SELECT id, CAST(?2 AS BIGINT) FROM mocs WHERE id = ?1 AND thumbnail_key IS NULL ON CONFLICT DO NOTHING";
        self.execute(Statement::new(sql, [text(moc), now.into()])).await?;
        Ok(())
    }

    async fn can_make_thumbnail(&self, moc: MocId, now: Timestamp) -> Result<Option<LastAttempt>, StoreError> {
        let sql = "SELECT CASE WHEN t.cause IS NULL THEN 0 ELSE 1 END
            FROM thumbnail_slots s LEFT JOIN thumbnails t ON t.moc_id = ?1
            WHERE s.leased_until <= ?2 AND (t.moc_id IS NULL OR t.due_at <= ?2) LIMIT 1";
        let Some(row) = self.first(Statement::new(sql, [text(moc), now.into()])).await? else { return Ok(None) };
        Ok(Some(if row::number(&row, 0)? == 0 { LastAttempt::Unknown } else { LastAttempt::Failed }))
    }

    async fn claim_thumbnail(
        &self,
        holder: LockToken,
        first: MocId,
        now: Timestamp,
    ) -> Result<Option<ThumbnailClaim>, StoreError> {
        // In PostgreSQL two instances would wait for one another's row and then claim nothing.
        let skip_locked = if self.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
        let slot = format!(
            "UPDATE thumbnail_slots SET holder = ?1, leased_until = ?3
             WHERE (leased_until <= ?2 OR holder = ?1) AND slot = (
               SELECT slot FROM thumbnail_slots WHERE leased_until <= ?2 OR holder = ?1
               ORDER BY CASE WHEN holder = ?1 THEN 0 ELSE 1 END, slot LIMIT 1 {skip_locked})
             AND EXISTS (SELECT 1 FROM thumbnails WHERE due_at <= ?2)"
        );
        let thumbnail = format!(
            "UPDATE thumbnails SET attempts = attempts + 1, due_at = ?3, cause = NULL
             WHERE due_at <= ?2 AND moc_id = coalesce(
               (SELECT moc_id FROM thumbnails WHERE moc_id = ?4 AND due_at <= ?2 {skip_locked}),
               (SELECT moc_id FROM thumbnails WHERE due_at <= ?2 ORDER BY due_at LIMIT 1 {skip_locked}))
             AND EXISTS (SELECT 1 FROM thumbnail_slots WHERE holder = ?1 AND leased_until = ?3)
             RETURNING {}",
            one(THUMBNAIL)
        );
        let of_slot = [text(holder), now.into(), now.plus_millis(THUMBNAIL_LEASE_MS).into()];
        let of_thumbnail: Vec<Value> = of_slot.iter().cloned().chain([text(first)]).collect();
        let statements = [Statement::new(slot, of_slot), Statement::new(thumbnail, of_thumbnail)];
        let results = self.execute_all(&statements).await?;
        let Some(row) = results.last().and_then(|rows| rows.first()) else { return Ok(None) };
        row::thumbnail(&record(row, 0)?).map(Some)
    }

    async fn end_thumbnail(
        &self,
        claim: ThumbnailClaim,
        due: Option<Timestamp>,
        cause: &str,
    ) -> Result<(), StoreError> {
        // A number that is NULL has no type in PostgreSQL's protocol.
        let due_at = if due.is_some() { "?4" } else { "NULL" };
        let sql = format!("UPDATE thumbnails SET due_at = {due_at}, cause = ?3 WHERE moc_id = ?1 AND attempts = ?2");
        let parameters = [text(claim.moc), u64::from(claim.attempt).into(), text(cause)];
        let parameters: Vec<Value> = parameters.into_iter().chain(due.map(Value::from)).collect();
        self.execute(Statement::new(sql, parameters)).await?;
        Ok(())
    }

    async fn leave_thumbnails(&self, holder: LockToken, now: Timestamp) -> Result<bool, StoreError> {
        let statements = [
            Statement::new(
                "UPDATE thumbnail_slots SET holder = NULL, leased_until = 0 WHERE holder = ?1 RETURNING 1",
                [text(holder)],
            ),
            Statement::new("SELECT 1 FROM thumbnails WHERE due_at <= ?1 LIMIT 1", [now.into()]),
        ];
        let results = self.execute_all(&statements).await?;
        Ok(results.iter().all(|rows| !rows.is_empty()))
    }
}
