//! Statements on the key sets of tokens' issuers.

use moc_application::port::{FetchState, KeySetRecord, KeySets, Platform, StoreError};
use moc_domain::limits::KEY_SET_CLOCK_ERROR_MS;
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{SqlExecutor, Statement, Value, text};

impl<E: SqlExecutor, P: Platform> KeySets for SqlStore<E, P> {
    async fn key_set(&self, url: &str) -> Result<Option<KeySetRecord>, StoreError> {
        let sql = "SELECT document, fetched_at, next_fetch_at, state FROM issuer_keys WHERE url = ?1";
        let Some(row) = self.first(Statement::new(sql, [text(url)])).await? else { return Ok(None) };
        match <[Value; 4]>::try_from(row) {
            Ok(
                [Value::Text(document), Value::Integer(fetched_at), Value::Integer(next_fetch_at), Value::Text(state)],
            ) => {
                let state = match state.as_str() {
                    "done" => FetchState::Done,
                    "failed" => FetchState::Failed,
                    _ => FetchState::Running,
                };
                let [fetched_at, next_fetch_at] = [fetched_at, next_fetch_at].map(Timestamp::from_millis);
                Ok(Some(KeySetRecord { document, fetched_at, next_fetch_at, state }))
            }
            _ => Err(StoreError("the store holds a key set that is corrupt".into())),
        }
    }

    async fn claim_fetch(&self, url: &str, now: Timestamp, lease: Timestamp) -> Result<bool, StoreError> {
        // A statement that waited for a busy store has an old `now`: it must not take the pause of a fetch that has ended
        // meanwhile for the time of a wrong clock. If the result is lost and the statement runs again, it finds its own
        // lease and claims nothing: the next fetch waits until the lease ends.
        let sql = "INSERT INTO issuer_keys (url, next_fetch_at, state) VALUES (?1, ?3, 'running')
            ON CONFLICT (url) DO UPDATE SET next_fetch_at = excluded.next_fetch_at, state = excluded.state
            WHERE issuer_keys.next_fetch_at <= ?2 OR issuer_keys.next_fetch_at > ?4 RETURNING 1";
        let wrong = lease.plus_millis(KEY_SET_CLOCK_ERROR_MS);
        self.changed(Statement::new(sql, [text(url), now.into(), lease.into(), wrong.into()])).await
    }

    async fn end_fetch(
        &self,
        url: &str,
        lease: Timestamp,
        fetched: Option<(&str, Timestamp)>,
        next_fetch_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut parameters = vec![text(url), lease.into(), next_fetch_at.into()];
        let sql = if let Some((document, fetched_at)) = fetched {
            parameters.extend([text(document), fetched_at.into()]);
            "UPDATE issuer_keys SET next_fetch_at = ?3, state = 'done', document = ?4, fetched_at = ?5
             WHERE url = ?1 AND next_fetch_at = ?2 AND state = 'running'"
        } else {
            "UPDATE issuer_keys SET next_fetch_at = ?3, state = 'failed'
             WHERE url = ?1 AND next_fetch_at = ?2 AND state = 'running'"
        };
        self.execute(Statement::new(sql, parameters)).await?;
        Ok(())
    }
}
