//! A fixed set of seeds breaks no promise, and planted bugs are found.

use std::time::Instant;

use moc_simulator::{Bug, Options, simulate};

/// Seeds that every run simulates.
const SEEDS: u64 = 300;

#[test]
fn no_seed_breaks_a_promise() {
    let started = Instant::now();
    let (mut steps, mut mocs) = (0, 0);
    for seed in 0..SEEDS {
        match simulate(seed, Options::default()) {
            Ok(report) => (steps, mocs) = (steps + report.steps, mocs + report.mocs),
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{SEEDS} seeds, {steps} steps, {mocs} MOCs, {:?}", started.elapsed());
    // Seeds that fail early prove nothing.
    assert!(mocs as u64 > SEEDS && steps > 500 * SEEDS, "{steps} steps and {mocs} MOCs");
}

/// Seeds that have found a bug of the product.
#[test]
fn seeds_that_failed_once_do_not_fail_again() {
    for seed in [312, 373, 572, 605, 717, 797, 818, 1053, 1139, 1626, 1861, 1905] {
        if let Err(failure) = simulate(seed, Options::default()) {
            panic!("{failure}");
        }
    }
}

#[test]
fn a_seed_always_leads_to_the_same_steps() {
    for seed in [0, 7, 42] {
        let [one, other] = [(); 2].map(|()| simulate(seed, Options::default()));
        assert_eq!(one, other);
    }
    let options = Options { bug: Some(Bug::PartDropped), ..Options::default() };
    let failed = || (0..1_000).find_map(|seed| simulate(seed, options).err());
    assert_eq!(failed(), failed());
}

/// Simulates seeds until one finds the bug.
fn finds(bug: Bug, why: &str, seeds_max: u64) {
    let (started, mut steps) = (Instant::now(), 0);
    for seed in 0..seeds_max {
        match simulate(seed, Options { bug: Some(bug), ..Options::default() }) {
            Ok(report) => steps += report.steps,
            Err(failure) => {
                steps += failure.steps;
                println!("{bug:?}: {} seeds, {steps} steps, {:?}: {}", seed + 1, started.elapsed(), failure.why);
                assert!(failure.why.contains(why), "{failure}");
                return;
            }
        }
    }
    panic!("{bug:?} was not found in {seeds_max} seeds and {steps} steps");
}

#[test]
fn finds_a_part_that_was_acknowledged_and_dropped() {
    finds(Bug::PartDropped, "the bucket has lost part", 100);
}

#[test]
fn finds_a_lock_that_is_given_back_twice() {
    finds(Bug::LockGivenBackTwice, "given back by another finalize", 3_000);
}

#[test]
fn finds_a_second_moc_of_a_session() {
    finds(Bug::SecondMoc, "was published as", 3_000);
}

#[test]
fn finds_a_file_that_is_given_up_while_another_completion_runs() {
    finds(Bug::GivenUpWhileCompleting, "was given up although its bytes are in the bucket", 3_000);
}

#[test]
fn finds_a_file_that_is_replaced_while_a_finalize_holds_its_session() {
    finds(Bug::ReplacedUnderALock, "the completed file", 3_000);
}

#[test]
fn finds_a_file_that_is_taken_out_under_a_lock() {
    finds(Bug::TakenOutUnderALock, "was taken out of a finalizing session", 3_000);
}

#[test]
fn finds_a_lock_of_the_dead_that_nobody_takes_over() {
    finds(Bug::DeadLockKept, "stays locked", 3_000);
}

#[test]
fn finds_a_lock_that_is_renewed_for_another() {
    finds(Bug::RenewedByAnyone, "was renewed by another request", 3_000);
}

#[test]
fn finds_quotas_that_are_only_looked_at() {
    finds(Bug::QuotaOnlyLookedAt, "is over the quota", 3_000);
}

#[test]
fn finds_open_sessions_that_are_not_counted() {
    finds(Bug::OpenSessionsNotCounted, "are open", 3_000);
}

#[test]
fn finds_a_change_that_has_no_number() {
    finds(Bug::EndNotNumbered, "has changed, and its sequence is still", 3_000);
}
