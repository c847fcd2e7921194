//! A deterministic simulation: real use cases on a real SQL store, with a bucket in memory, a clock that nobody waits
//! for, and faults everywhere.
//!
//! A seed fixes everything: who moves next, what fails, and when. After every step a model checks that
//!
//! - an acknowledged part is in the store and in the bucket until its upload is completed or its session cancelled,
//! - a part has the bytes of the last acknowledged version, or of one that was sent at the same time,
//! - so does a completed file's object, which stays,
//! - a pending file's counters are those of its stored parts, and every stored part has a file,
//! - a file's record is deleted only if its bytes are nowhere and its completion was not acknowledged; one that a
//!   finalize has rejected gives its place to another one in the same step,
//! - a session has one MOC, whose id and title never change, with all completed files, and its objects exist,
//! - a lock is taken from another request only when its lease is over, and renewed and released only by its holder,
//! - a finalize is rejected because of another one only while the lease of that one may last,
//! - what is new is within the user's quotas, and each registration is counted once,
//! - a webhook comes after the MOC's files, and is given up only after its last attempt,
//! - another user finds nothing.
//!
//! Once every script has ended, nothing fails any more: a client that goes on can publish every session that has enough
//! time left. Then the clock moves far: sessions that a finalize has left are finalized again, cancelled ones cancelled
//! again, and webhooks swept. Then no session is locked, every webhook has been delivered or given up, and every object
//! and upload belongs to a file of a session that is not cancelled.
//! Exempt are, until the session is swept,
//!
//! - uploads whose creation had no response or whose abort failed, and those of a registration that a crash or the
//!   store ended: the bucket's lifecycle rule ends them,
//! - objects of a rejected file whose deletion failed, or was ended by a crash or by the store: the use case ignores
//!   that.
//!
//! Sweeps come among all that. At the end, when every session has ended, they come with faults and then without: after
//! them the bucket has the MOCs' objects, no upload, and the store neither sessions nor files nor what users registered
//! on days that are long over.

mod client;
mod model;
mod planted;
mod scheduler;
mod scripts;
mod snapshot;
mod world;

use std::fmt;

pub use planted::Bug;

use client::Client;
use world::World;

/// A simulation of more steps does not end.
const STEPS_MAX: u64 = 200_000;

/// What to simulate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A bug to plant.
    pub bug: Option<Bug>,
    /// Whether every step is printed.
    pub is_traced: bool,
}

/// A simulation that broke no promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub steps: u64,
    /// A hash of everything that happened.
    pub hash: u64,
    /// How much time has passed in it, in milliseconds.
    pub simulated_ms: i64,
    pub mocs: usize,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub why: String,
    pub steps: u64,
    /// What happened last: the step, the time in milliseconds, who, and what.
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.why)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Simulates what follows from a seed.
///
/// # Errors
/// [`Failure`] if the product breaks a promise.
pub fn simulate(seed: u64, options: Options) -> Result<Report, Failure> {
    let world = World::new(seed, &options);
    let simulated = run(&world);
    world.scheduler.clear();
    let scheduler = &world.scheduler;
    match simulated {
        Ok(mocs) => {
            let (steps, hash) = (scheduler.steps(), scheduler.hash());
            Ok(Report { steps, hash, simulated_ms: scheduler.now() - world::STARTED_AT_MS, mocs })
        }
        Err(why) => Err(Failure { seed, why, steps: scheduler.steps(), lines: scheduler.lines() }),
    }
}

fn run(world: &std::rc::Rc<World>) -> Result<usize, String> {
    let scheduler = &world.scheduler;
    for number in 0..1 + scheduler.below(4) {
        let user = scheduler.pick(&["alice", "bob"]);
        let name = format!("{user}{number}");
        scheduler.spawn("owner", None, None, scripts::own(Client::new(world, name, user)));
    }
    let sweeper = Client::new(world, "sweeper", "nobody");
    scheduler.spawn("sweeper", None, None, scripts::sweep(sweeper.clone()));
    until(world, || scheduler.is_over("sweeper"))?;
    world.calm();
    scheduler.spawn("settle", None, None, scripts::settle(sweeper));
    until(world, || scheduler.is_over("sweeper"))?;
    world.model.borrow().check_quiet(&world.memory, |task| scheduler.has_crashed(task))?;
    scheduler.spawn("sweeps up", None, None, scripts::sweep_up(Client::new(world, "sweeps", "nobody")));
    until(world, || scheduler.is_over("sweeper"))?;
    let snapshot = world.snapshot();
    model::check_swept(&snapshot, &world.memory).map(|()| snapshot.mocs.len())
}

/// Moves until something is over.
fn until(world: &World, is_over: impl Fn() -> bool) -> Result<(), String> {
    let scheduler = &world.scheduler;
    loop {
        let has_moved = world.step();
        if let Some(why) = scheduler.failure() {
            return Err(why);
        }
        if is_over() {
            return Ok(());
        }
        if !has_moved {
            return Err(format!("nothing moves any more: {:?}", scheduler.task_names()));
        }
        if scheduler.steps() > STEPS_MAX {
            return Err(format!("it does not end: {:?}", scheduler.task_names()));
        }
    }
}
