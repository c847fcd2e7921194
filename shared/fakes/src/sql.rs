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

fn error(error: &SqlError) -> Option<SqlError> {
    Some(error.clone())
}

impl<X: SqlExecutor, G: Gate<SqlError>> SqlExecutor for FaultyExecutor<X, G> {
    fn dialect(&self) -> Dialect {
        self.executor.dialect()
    }

    /// Each statement passes by itself: a broken connection or another client may come between two of them.
    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        let mut results = Vec::with_capacity(statements.len());
        for statement in statements {
            let call = Call { operation: "execute", target: statement.sql.to_string() };
            let effect = async || self.executor.execute_all(std::slice::from_ref(statement)).await;
            results.extend(pass(&self.gate, call, effect, error).await?);
        }
        Ok(results)
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        let call = Call { operation: "transaction", target: statements.join("; ") };
        pass(&self.gate, call, async || self.executor.transaction(statements).await, error).await
    }
}
