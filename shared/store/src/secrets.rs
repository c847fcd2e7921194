//! Statements on the secrets that the application makes for itself.

use moc_application::port::{Platform, Secrets, StoreError};
use moc_domain::time::Timestamp;

use crate::SqlStore;
use crate::executor::{Rows, SqlExecutor, Statement, Value, text};

const READ: &str = "SELECT value FROM secrets WHERE name = ?1";

fn value(rows: Rows) -> Result<Option<String>, StoreError> {
    match rows.into_iter().next().as_deref() {
        None => Ok(None),
        Some([Value::Text(value)]) => Ok(Some(value.clone())),
        Some(_) => Err(StoreError("the store holds a secret that is corrupt".into())),
    }
}

impl<E: SqlExecutor, P: Platform> Secrets for SqlStore<E, P> {
    async fn secret(&self, name: &str) -> Result<Option<String>, StoreError> {
        value(self.execute(Statement::new(READ, [text(name)])).await?)
    }

    async fn make_secret(&self, name: &str, fresh: &str, now: Timestamp) -> Result<String, StoreError> {
        let sql = "INSERT INTO secrets (name, value, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING";
        let insert = Statement::new(sql, [text(name), text(fresh), now.into()]);
        let mut results = self.execute_all(&[insert, Statement::new(READ, [text(name)])]).await?;
        let kept = value(results.pop().unwrap_or_default())?;
        kept.ok_or_else(|| StoreError("a secret was deleted while it was made".into()))
    }
}
