//! Statements of sweeps. Each finds its rows by an index, and changes a bounded number of them.

use moc_application::port::{Backlog, Due, Platform, Resend, StoreError, SweepClaim, Sweeps};
use moc_domain::id::SessionId;
use moc_domain::limits::{SWEEP_COUNT_MAX, SWEEP_ROWS_MAX};
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};
use crate::row::number;

/// When a session counts as ended: the index `sessions_to_sweep` has this expression.
const ENDED: &str = "coalesce(sweep_at, expires_at)";
/// Holds for a session, of the table `sessions`, that nothing can change any more.
const IS_OVER: &str = "(sessions.status = 'cancelled' OR (sessions.status = 'finalized' AND sessions.swept = 1))";

/// The day whose bytes of a user are counted; a row that a request has just inserted has none.
const DAY_START: &str = "day_start > 0 AND day_start";

/// A number of rows, up to [`SWEEP_COUNT_MAX`].
fn count(rows: &str) -> String {
    format!("(SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {SWEEP_COUNT_MAX}) counted)")
}

/// A session id in the first column of a row.
fn session_id(row: &[Value]) -> Result<SessionId, StoreError> {
    let id = match row.first() {
        Some(Value::Text(id)) => SessionId::parse(id),
        _ => None,
    };
    id.ok_or_else(|| StoreError("the store holds a session whose id is corrupt".to_owned()))
}

impl<E: SqlExecutor, P: Platform> SqlStore<E, P> {
    /// How many rows a statement has returned.
    async fn counted(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        Ok(self.execute(statement).await?.len() as u64)
    }
}

impl<E: SqlExecutor, P: Platform> Sweeps for SqlStore<E, P> {
    async fn has_ended_sessions(&self, due: &Due) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 FROM sessions WHERE swept = 0 AND {ENDED} <= ?1 LIMIT 1");
        self.changed(Statement::new(sql, [due.ended.into()])).await
    }

    async fn backlog(&self, due: &Due) -> Result<Backlog, StoreError> {
        let sql = format!(
            "SELECT {}, {}, {} + {}, {}, {}",
            count(&format!("sessions WHERE swept = 0 AND {ENDED} <= ?1")),
            count("sessions WHERE swept = 1 AND expires_at <= ?2"),
            count("session_counts WHERE window_start <= ?3"),
            count(&format!("user_quotas WHERE {DAY_START} <= ?3")),
            count("webhook_deliveries WHERE status = 'delivered' AND next_attempt_at <= ?4"),
            count("webhook_deliveries WHERE status = 'failed'"),
        );
        let retired = due.retired.unwrap_or(Timestamp::from_millis(i64::MIN));
        let parameters = [due.ended.into(), retired.into(), due.counts.into(), due.deliveries.into()];
        let row = self.first(Statement::new(sql, parameters)).await?.unwrap_or_default();
        let count = |column| number(&row, column);
        Ok(Backlog {
            sessions: count(0)?,
            retired: count(1)?,
            counts: count(2)?,
            deliveries: count(3)?,
            failed_deliveries: count(4)?,
        })
    }

    async fn claim_ended(&self, due: &Due) -> Result<Option<SweepClaim>, StoreError> {
        // In PostgreSQL two sweeps would wait for one another's row and then claim nothing.
        let skip_locked = if self.is_postgres() { "FOR UPDATE SKIP LOCKED" } else { "" };
        let is_due = format!("swept = 0 AND {ENDED} <= ?1 AND expires_at <= ?1");
        let sql = format!(
            "UPDATE sessions SET sweep_at = ?2, sequence = sequence + CASE WHEN status = 'active' THEN 1 ELSE 0 END,
               status = CASE WHEN status = 'active' THEN 'cancelled' ELSE status END
             WHERE {is_due}
               AND id = (SELECT id FROM sessions WHERE {is_due} ORDER BY {ENDED} LIMIT 1 {skip_locked})
             RETURNING id"
        );
        let leased = SweepClaim::leased(due);
        let Some(row) = self.first(Statement::new(sql, [due.ended.into(), leased.into()])).await? else {
            return Ok(None);
        };
        Ok(Some(SweepClaim::new(session_id(&row)?, due)))
    }

    async fn put_back(&self, claim: &SweepClaim, ended: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET sweep_at = ?3 WHERE id = ?1 AND sweep_at = ?2 AND swept = 0";
        self.execute(Statement::new(sql, [text(claim.session), claim.leased.into(), ended.into()])).await?;
        Ok(())
    }

    async fn mark_swept(&self, session: SessionId) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET swept = 1 WHERE id = ?1 AND status = 'finalized'";
        self.execute(Statement::new(sql, [text(session)])).await?;
        Ok(())
    }

    async fn retired_sessions(&self, due: &Due, count: u64) -> Result<Vec<SessionId>, StoreError> {
        let Some(retired) = due.retired else { return Ok(Vec::new()) };
        let sql = "SELECT id FROM sessions WHERE swept = 1 AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
        let rows = self.execute(Statement::new(sql, [retired.into(), count.min(SWEEP_COUNT_MAX).into()])).await?;
        rows.iter().map(|row| session_id(row)).collect()
    }

    async fn remove_session(&self, session: SessionId) -> Result<bool, StoreError> {
        let is_over = format!("EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND {IS_OVER})");
        let parts = format!(
            "DELETE FROM parts WHERE (file_id, part_number) IN (
               SELECT p.file_id, p.part_number FROM files f JOIN parts p ON p.file_id = f.id
               WHERE f.session_id = ?1 LIMIT {SWEEP_ROWS_MAX}) AND {is_over}"
        );
        let files = format!(
            "DELETE FROM files WHERE session_id = ?1 AND NOT EXISTS (SELECT 1 FROM parts WHERE file_id = files.id)
               AND {is_over} AND (cleared = 1 OR EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND swept = 1))"
        );
        // The bucket is cleared of them, and only their deletion has failed.
        let cleared = "DELETE FROM removed_files WHERE session_id = ?1
               AND EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND swept = 1)";
        let whole = format!(
            "DELETE FROM sessions WHERE id = ?1 AND {IS_OVER}
               AND NOT EXISTS (SELECT 1 FROM files WHERE session_id = ?1)
               AND NOT EXISTS (SELECT 1 FROM removed_files WHERE session_id = ?1)"
        );
        let exists = "SELECT 1 FROM sessions WHERE id = ?1";
        let statements = [parts, files, cleared.to_owned(), whole, exists.to_owned()];
        let results = self.execute_all(&statements.map(|sql| Statement::new(sql, [text(session)]))).await?;
        Ok(results.last().is_some_and(Vec::is_empty))
    }

    async fn remove_counts(&self, due: &Due) -> Result<u64, StoreError> {
        let statements = [("session_counts", "window_start", "window_start"), ("user_quotas", DAY_START, "day_start")]
            .map(|(table, start, column)| {
                let sql = format!(
                    "DELETE FROM {table} WHERE {start} <= ?1 AND user_id IN (
                       SELECT user_id FROM {table} WHERE {start} <= ?1 ORDER BY {column}
                       LIMIT {SWEEP_ROWS_MAX}) RETURNING 1"
                );
                Statement::new(sql, [due.counts.into()])
            });
        let results = self.execute_all(&statements).await?;
        Ok(results.iter().map(|rows| rows.len() as u64).sum())
    }

    async fn remove_deliveries(&self, due: &Due) -> Result<u64, StoreError> {
        let is_due = "status = 'delivered' AND next_attempt_at <= ?1";
        let sql = format!(
            "DELETE FROM webhook_deliveries WHERE {is_due} AND moc_id IN (
               SELECT moc_id FROM webhook_deliveries WHERE {is_due} ORDER BY next_attempt_at
               LIMIT {SWEEP_ROWS_MAX}) RETURNING 1"
        );
        self.counted(Statement::new(sql, [due.deliveries.into()])).await
    }

    async fn resend(&self, which: &Resend, now: Timestamp) -> Result<u64, StoreError> {
        // Whoever had a claim on an earlier attempt has lost it: its lease is over.
        let has_failed = "status = 'failed' AND next_attempt_at <= ?1";
        let (chosen, parameters): (String, Vec<Value>) = match which {
            Resend::Of(mocs) if mocs.is_empty() => return Ok(0),
            Resend::Of(mocs) => {
                let placeholders: Vec<String> = (2..mocs.len() + 2).map(|number| format!("?{number}")).collect();
                (placeholders.join(", "), mocs.iter().map(text).collect())
            }
            Resend::Oldest(count) => {
                let oldest = format!(
                    "SELECT moc_id FROM webhook_deliveries WHERE {has_failed} ORDER BY next_attempt_at LIMIT ?2"
                );
                (oldest, vec![(*count).into()])
            }
        };
        let sql = format!(
            "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = ?1
             WHERE {has_failed} AND moc_id IN ({chosen}) RETURNING 1"
        );
        let parameters: Vec<Value> = [now.into()].into_iter().chain(parameters).collect();
        self.counted(Statement::new(sql, parameters)).await
    }
}

#[cfg(all(test, feature = "sqlite-file"))]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use futures::FutureExt as _;
    use moc_application::port::Sessions as _;
    use moc_domain::id::{MocId, UserId};

    use super::*;
    use crate::{Dialect, Rows, SqlError, SqliteFile};

    struct Still;

    impl Platform for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1)
        }

        fn random(&self) -> [u8; 10] {
            [0; 10]
        }

        async fn sleep(&self, _: u64) {}
    }

    /// Keeps how SQLite reads the tables in each statement.
    struct Explained {
        database: SqliteFile,
        plans: Rc<RefCell<Vec<String>>>,
    }

    impl SqlExecutor for Explained {
        fn dialect(&self) -> Dialect {
            Dialect::Sqlite
        }

        async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
            for Statement { sql, parameters } in statements {
                // The comment says that there are rows.
                let plan = Statement::new(format!("EXPLAIN QUERY PLAN {sql} -- RETURNING"), parameters.clone());
                if let Ok(rows) = self.database.execute_all(&[plan]).await {
                    let text = |row: &Vec<Value>| row.last().map(|plan| format!("{plan:?} of {sql}"));
                    self.plans.borrow_mut().extend(rows.iter().flatten().filter_map(text));
                }
            }
            self.database.execute_all(statements).await
        }

        async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
            self.database.transaction(statements).await
        }
    }

    #[test]
    fn no_statement_reads_a_whole_table() {
        let plans = Rc::new(RefCell::default());
        let executor = Explained { database: SqliteFile::in_memory("plans").unwrap(), plans: Rc::clone(&plans) };
        let store = SqlStore::new(executor, Still, Rc::new(Cell::new(false)));
        let due = Due::at(Still.now(), Some(0));
        let session = SessionId::new(Still.now(), [0; 10]);
        let claim = SweepClaim::new(session, &due);
        // The first statement makes the schema.
        let user = UserId::parse("user").unwrap();
        store.count_session(&user, Still.now()).now_or_never().unwrap().unwrap();
        plans.borrow_mut().clear();
        let everything = async {
            store.has_ended_sessions(&due).await?;
            store.backlog(&due).await?;
            store.claim_ended(&due).await?;
            store.put_back(&claim, Still.now()).await?;
            store.mark_swept(session).await?;
            store.retired_sessions(&due, 1).await?;
            store.remove_session(session).await?;
            store.remove_counts(&due).await?;
            store.remove_deliveries(&due).await?;
            store.resend(&Resend::Of(vec![MocId::new(Still.now(), [0; 10])]), Still.now()).await?;
            store.resend(&Resend::Oldest(1), Still.now()).await
        };
        everything.now_or_never().unwrap().unwrap();
        let plans = plans.borrow();
        let searches = plans.iter().filter(|plan| plan.contains("SEARCH")).count();
        assert!(searches >= 15, "{searches} of {}: {plans:#?}", plans.len());
        let scans: Vec<_> = plans.iter().filter(|plan| plan.contains("SCAN") && !plan.contains("counted")).collect();
        assert!(scans.is_empty(), "{scans:#?}");
        let sorts: Vec<_> = plans.iter().filter(|plan| plan.contains("TEMP B-TREE")).collect();
        assert!(sorts.is_empty(), "{sorts:#?}");
    }
}
