//! The store's promises, kept over every database: SQLite, PostgreSQL at two isolation levels, and libSQL over HTTP.

mod cases;
mod database;
mod libsql;
mod postgres;

use database::Database;

/// One test per case and database.
macro_rules! conformance {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[test] fn $case() { run(Database::sqlite(), cases::$case) })+
        }
        mod postgres_read_committed {
            use super::*;
            $(#[test] fn $case() { run(Database::postgres("read committed"), cases::$case) })+
        }
        mod postgres_serializable {
            use super::*;
            $(#[test] fn $case() { run(Database::postgres("serializable"), cases::$case) })+
        }
        mod libsql_over_http {
            use super::*;
            $(#[test] fn $case() { run(Database::libsql(), cases::$case) })+
        }
    };
}

conformance!(
    keeps_sessions_files_and_parts,
    counts_sessions_per_window,
    rejects_files_of_full_inactive_and_unknown_sessions,
    counts_a_part_once_however_often_it_is_stored,
    counts_parts_that_are_stored_at_once,
    stores_no_part_after_completion_or_cancellation,
    completes_once_beside_late_parts,
    forgets_pending_and_rejected_files_only,
    locks_once_and_unlocks_for_the_holder_only,
    publishes_one_moc_per_session_and_slug,
    inserts_no_moc_after_the_lock_was_lost,
    finalizes_once_of_two_at_once,
    gives_a_slug_to_one_of_two_sessions_at_once,
    claims_each_delivery_once_among_sweeps,
    ends_only_the_last_claim,
    migrates_once_of_several_starts_at_once,
    works_on_a_schema_with_later_additions,
);

/// Runs a case on a database of its own, or says why it does not.
fn run(database: Result<Database, &'static str>, case: impl FnOnce(&Database)) {
    match database {
        Ok(database) => case(&database),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "on CI nothing may be skipped: {reason}");
            println!("SKIPPED: {reason}");
        }
    }
}
