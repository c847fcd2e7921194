//! A database whose statements pass a gate.

use std::rc::Rc;

use moc_store::{Dialect, Rows, SqlError, SqlExecutor, Statement};

use crate::fault::{Call, Gate, pass};

/// A database whose statements pass a gate. Other connections may share it, with gates of their own.
pub struct FaultyExecutor<X, G> {
    executor: Rc<X>,
    gate: G,
}

impl<X: SqlExecutor, G: Gate<SqlError>> FaultyExecutor<X, G> {
    pub const fn new(executor: Rc<X>, gate: G) -> Self {
        Self { executor, gate }
    }
}

impl<X: SqlExecutor, G: Gate<SqlError>> SqlExecutor for FaultyExecutor<X, G> {
    fn dialect(&self) -> Dialect {
        self.executor.dialect()
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let sql: Vec<&str> = statements.iter().map(|statement| statement.sql.as_ref()).collect();
        let call = Call { operation: "execute_all", target: sql.join("; ") };
        pass(
            &self.gate,
            call,
            async || self.executor.execute_all(statements).await,
            |error: &SqlError| Some(error.clone()),
        )
        .await
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        let call = Call { operation: "transaction", target: statements.join("; ") };
        pass(
            &self.gate,
            call,
            async || self.executor.transaction(statements).await,
            |error: &SqlError| Some(error.clone()),
        )
        .await
    }
}
