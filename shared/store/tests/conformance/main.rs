//! The store's promises, kept over every database: SQLite, PostgreSQL at two isolation levels, and libSQL over HTTP.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod database;
mod libsql;
mod postgres;

use database::{Database, block_on};
use moc_store::conformance;

/// One test per case and database.
macro_rules! over_every_database {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[test] fn $case() { run(Database::sqlite(), async |database| conformance::$case(database).await) })+
        }
        mod postgres_read_committed {
            use super::*;
            $(#[test] fn $case() { run(Database::postgres("read committed"), async |database| conformance::$case(database).await) })+
        }
        mod postgres_serializable {
            use super::*;
            $(#[test] fn $case() { run(Database::postgres("serializable"), async |database| conformance::$case(database).await) })+
        }
        mod libsql_over_http {
            use super::*;
            $(#[test] fn $case() { run(Database::libsql(), async |database| conformance::$case(database).await) })+
        }
    };
}

moc_store::store_cases!(over_every_database);

/// Runs a case on a database of its own, or says why it does not.
fn run(database: Result<Database, &'static str>, case: impl AsyncFnOnce(&Database)) {
    match database {
        Ok(database) => block_on(case(&database)),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "on CI nothing may be skipped: {reason}");
            println!("SKIPPED: {reason}");
        }
    }
}
