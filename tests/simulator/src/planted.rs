//! Bugs that are planted, to see that the simulator finds them.

use std::rc::Rc;

use futures::FutureExt as _;
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqliteFile, Statement, Value};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The bucket acknowledges some parts and drops them.
    PartDropped,
    /// A finalize that fails releases a lock that another one holds by now.
    LockGivenBackTwice,
    /// Neither the unique key on a MOC's session nor the lock keeps a second MOC out. Either of them is enough: a
    /// session has one MOC without the key as well.
    SecondMoc,
    /// A file is given up although another completion of it has begun.
    GivenUpWhileCompleting,
    /// A rejected file is replaced while a finalize holds its session.
    ReplacedUnderALock,
    /// A file is taken out while a finalize holds its session.
    TakenOutUnderALock,
    /// The lock of a finalize that has died is never taken over.
    DeadLockKept,
    /// Whoever has lost a lock renews it for the one who has it.
    RenewedByAnyone,
    /// Quotas are looked at before a file is registered, and not when it is.
    QuotaOnlyLookedAt,
    /// Sessions are created whatever is open.
    OpenSessionsNotCounted,
    /// A finalize that ends its session takes no number.
    EndNotNumbered,
}

/// A database with a bug.
pub struct Planted {
    pub database: Rc<SqliteFile>,
    pub bug: Option<Bug>,
}

impl Bug {
    pub fn change_schema(self, database: &SqliteFile) {
        if self != Self::SecondMoc {
            return;
        }
        let select =
            "SELECT sql FROM sqlite_schema WHERE tbl_name = 'mocs' AND sql IS NOT NULL ORDER BY type = 'trigger'";
        let rows = database.execute_all(&[Statement::new(select, [])]).now_or_never();
        let rows = rows.expect("SQLite waits for nothing").expect("the schema").remove(0);
        let sql = rows.into_iter().filter_map(|row| match row.into_iter().next() {
            Some(Value::Text(sql)) => Some(sql.replace("session_id TEXT NOT NULL UNIQUE", "session_id TEXT NOT NULL")),
            _ => None,
        });
        let sql: Vec<String> = sql.collect();
        let statements: Vec<&str> = std::iter::once("DROP TABLE mocs").chain(sql.iter().map(String::as_str)).collect();
        let changed = database.transaction(&statements).now_or_never();
        changed.expect("SQLite waits for nothing").expect("another schema");
    }

    fn change(self, statement: &Statement<'_>) -> Statement<'static> {
        let sql = match self {
            Self::LockGivenBackTwice => statement
                .sql
                .replace("status = 'finalizing' AND lock_token = ?2\n", "status = 'finalizing' AND ?2 = ?2\n"),
            Self::SecondMoc => statement.sql.replace("AND status = 'finalizing' AND lock_token = ?11", "AND ?11 = ?11"),
            Self::GivenUpWhileCompleting => statement
                .sql
                .replace("AND coalesce(completing_at, 0) = ?2", "AND ?2 = ?2")
                .replace("ELSE completions + 1 END", "ELSE 1 END"),
            Self::ReplacedUnderALock if statement.sql.starts_with("UPDATE files SET id") => {
                statement.sql.replace("s.status = 'active'", "s.status <> 'cancelled'")
            }
            Self::TakenOutUnderALock if statement.sql.starts_with("INSERT INTO removed_files") => {
                statement.sql.replace("s.status = 'active'", "s.status <> 'cancelled'")
            }
            Self::DeadLockKept => statement.sql.replace("coalesce(finalizing_at, created_at) <= ?4", "?4 IS NULL"),
            Self::RenewedByAnyone if statement.sql.contains("finalizing_at = CASE") => {
                statement.sql.replace("lock_token = ?2", "?2 = ?2")
            }
            Self::QuotaOnlyLookedAt if statement.sql.starts_with("INSERT INTO files") => statement
                .sql
                .replace(") AS uploads) < ", ") AS uploads) < 1000000 + ")
                .replace("+ CAST(?8 AS BIGINT) <= ", "+ CAST(?8 AS BIGINT) <= 1000000 + "),
            Self::OpenSessionsNotCounted => statement.sql.replace("LIMIT ?7)) < ?7", "LIMIT ?7)) <= ?7"),
            Self::EndNotNumbered => {
                statement.sql.replace("status = 'finalized', sequence = sequence + 1", "status = 'finalized'")
            }
            Self::ReplacedUnderALock
            | Self::TakenOutUnderALock
            | Self::PartDropped
            | Self::RenewedByAnyone
            | Self::QuotaOnlyLookedAt => statement.sql.to_string(),
        };
        Statement::new(sql, statement.parameters.clone())
    }
}

impl SqlExecutor for Planted {
    fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        match self.bug {
            Some(bug) => {
                let changed: Vec<Statement<'_>> = statements.iter().map(|statement| bug.change(statement)).collect();
                self.database.execute_all(&changed).await
            }
            None => self.database.execute_all(statements).await,
        }
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        self.database.transaction(statements).await
    }
}
