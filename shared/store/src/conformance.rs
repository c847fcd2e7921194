//! What every store promises: see the ports in [`moc_application::port`].
//!
//! Each case takes a database of its own, and panics where the store breaks the promise.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "it is a test")]
#![allow(clippy::missing_panics_doc, reason = "so does every case")]

mod cases;
mod claims;
mod key_sets;
mod quotas;
mod removed;
mod secrets;
mod sequence;
mod sweeps;
mod taken_away;

use moc_application::port::Platform;

pub use cases::*;
pub use claims::*;
pub use key_sets::*;
pub use quotas::*;
pub use removed::*;
pub use secrets::*;
pub use sequence::*;
pub use sweeps::*;
pub use taken_away::*;

use crate::{SqlExecutor, SqlStore};

/// A database of one case's own.
pub trait Database: Sized {
    type Executor: SqlExecutor;
    type Platform: Platform;

    /// A store on a connection of its own where connections are not shared.
    async fn store(&self) -> Store<Self>;

    /// Runs `count` clients at once, each with a store of its own; returns what they return.
    async fn concurrently<T: Send>(
        &self,
        count: usize,
        client: impl AsyncFn(&Store<Self>, usize) -> T + Sync,
    ) -> Vec<T>;
}

/// A store in a database.
pub type Store<D> = SqlStore<<D as Database>::Executor, <D as Database>::Platform>;

/// Passes the names of all cases to a macro.
#[macro_export]
macro_rules! store_cases {
    ($macro:ident) => {
        $macro!(
            keeps_sessions_files_and_parts,
            counts_sessions_per_window,
            rejects_files_of_full_inactive_and_unknown_sessions,
            registers_no_more_files_than_allowed_at_once,
            counts_a_part_once_however_often_it_is_stored,
            counts_parts_that_are_stored_at_once,
            stores_no_part_after_completion_or_cancellation,
            counts_claimed_parts_in_their_order,
            keeps_a_part_that_is_claimed_under_its_etag,
            claims_no_part_after_completion_or_cancellation,
            counts_parts_that_are_claimed_and_sent_at_once,
            takes_back_parts_under_their_etags_only,
            takes_each_part_back_once_of_several_at_once,
            shows_whether_a_session_has_changed,
            numbers_every_change_of_a_file,
            numbers_the_end_of_a_session,
            numbers_parts_of_several_files_in_their_order,
            one_number_is_one_state,
            completes_once_beside_late_parts,
            counts_completions_that_may_still_run,
            completes_with_the_checksum_that_the_caller_has_seen,
            forgets_pending_files_only,
            forgets_no_file_whose_completion_has_begun_since,
            replaces_a_rejected_file,
            replaces_no_file_of_a_session_that_is_not_active,
            replaces_once_and_not_under_a_lock,
            takes_a_file_out_and_keeps_what_is_to_be_cleared,
            takes_no_file_out_of_another_or_inactive_session,
            deletes_what_is_to_be_cleared_with_its_session,
            takes_no_more_files_out_than_may_be_uncleared,
            takes_a_file_out_once_and_not_under_a_lock,
            records_no_part_of_a_file_that_is_taken_out,
            keeps_what_was_verified_of_completed_files,
            publishes_a_file_as_what_its_bytes_are,
            clears_files_of_cancelled_sessions_only,
            rejects_for_the_holder_only_and_before_the_moc,
            lets_one_request_clear_a_cancelled_session,
            locks_once_and_unlocks_for_the_holder_only,
            renews_a_lock_for_its_holder_only,
            opens_no_more_sessions_than_allowed_at_once,
            counts_sessions_that_are_open_only,
            registers_no_more_uploads_than_allowed_at_once,
            registers_no_more_bytes_of_a_session_than_allowed_at_once,
            registers_no_more_bytes_of_a_day_than_allowed_at_once,
            counts_bytes_once_and_only_of_what_was_registered,
            replaces_within_the_quotas,
            publishes_one_moc_per_session_and_slug,
            inserts_no_moc_after_the_lock_was_lost,
            finalizes_once_of_two_at_once,
            gives_a_slug_to_one_of_two_sessions_at_once,
            claims_each_delivery_once_among_sweeps,
            ends_only_the_last_claim,
            fetches_a_key_set_once_among_servers,
            claims_no_fetch_late,
            ends_only_the_fetch_that_was_claimed,
            makes_a_secret_once_among_servers,
            makes_one_thumbnail_at_a_time,
            attempts_a_thumbnail_again_when_it_is_due,
            claims_the_wanted_thumbnail_before_those_due_longer,
            claims_each_ended_session_once_among_sweeps,
            puts_back_only_the_last_claim_of_a_session,
            completes_no_file_of_a_claimed_session,
            removes_only_sessions_that_are_over_and_cleared,
            removes_finalized_sessions_without_their_mocs,
            removes_old_counts_and_delivered_webhooks,
            resends_failed_deliveries_whose_lease_is_over,
            migrates_once_of_several_starts_at_once,
            works_on_a_schema_with_later_additions,
        );
    };
}

macro_rules! runner {
    ($($case:ident),+ $(,)?) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];

        /// Runs the case of this name; `false` if there is none.
        pub async fn run<D: Database>(case: &str, database: &D) -> bool {
            match case {
                $(stringify!($case) => Box::pin($case(database)).await,)+
                _ => return false,
            }
            true
        }
    };
}

store_cases!(runner);
