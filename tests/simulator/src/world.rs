//! The instances of the product, its store and its bucket, and what may fail between them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use moc_application::port::{BucketError, Outbox as _, Platform, Receiver, Step, Trace};
use moc_application::retry::Retrying;
use moc_domain::delivery::Claim;
use moc_domain::error::Error;
use moc_domain::id::{MocId, SessionId};
use moc_domain::limits::LEASE_MS;
use moc_domain::part::PartNumber;
use moc_domain::quota::{FileQuotas, SessionQuotas};
use moc_domain::time::Timestamp;
use moc_fakes::{BucketOptions, Call, Faulty, FaultyExecutor, Gate, MemoryBucket, SecondCompletion, Verdict};
use moc_store::{SqlError, SqlStore, SqliteFile};

use crate::Options;
use crate::model::Model;
use crate::planted::{Bug, Planted};
use crate::scheduler::{Pace, Scheduler};
use crate::scripts::Local;
use crate::snapshot;

/// Bytes of every part but a file's last.
pub const PART_BYTES: usize = 8;
/// When a simulation begins, in milliseconds since the Unix epoch.
pub const STARTED_AT_MS: i64 = 1_700_000_000_000;
/// A silent bucket is given up after this time, in milliseconds.
const SILENCE_MS: u64 = 30_000;

pub type SimStore = SqlStore<FaultyExecutor<Planted, SqlGate>, SimPlatform>;
pub type SimBucket = Retrying<Faulty<MemoryBucket, BucketGate>, SimPlatform>;

/// How often things fail, of 1,000 calls each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub bucket: u64,
    pub store: u64,
    pub receiver: u64,
    /// Completions that are slow.
    pub slow: u64,
    /// Completions that are held up on their way to the bucket: their clients hear nothing.
    pub held: u64,
    /// Completions that the bucket rejects as S3 `InvalidPart` for no reason, whether they take effect or not.
    pub invalid: u64,
    /// Responses that do not reach the client.
    pub lost: u64,
    /// Steps before which an instance crashes, of 1,000,000.
    pub crash: u64,
    /// Steps before which a client loses its connection, of 1,000,000.
    pub disconnect: u64,
}

/// A session, its user, and what belongs into it.
pub type Known = (SessionId, String, Rc<[Local]>);

/// Everything of one simulation.
pub struct World {
    pub scheduler: Rc<Scheduler>,
    pub model: RefCell<Model>,
    pub memory: MemoryBucket,
    pub rates: Cell<Rates>,
    first_rates: Rates,
    /// Whether only sweeps move.
    pub is_over: Cell<bool>,
    /// Longest time that a slow completion takes, in milliseconds.
    pub slow_max_ms: u64,
    pub completion_timeout_ms: i64,
    pub session_quotas: SessionQuotas,
    pub file_quotas: FileQuotas,
    pub bug: Option<Bug>,
    /// Every session that a client knows.
    pub sessions: RefCell<Vec<Known>>,
    database: Rc<SqliteFile>,
    instances: Vec<(Rc<SimStore>, Rc<SimBucket>)>,
    is_changed: Cell<bool>,
}

/// What users may have: in most worlds, anything.
fn quotas(scheduler: &Scheduler) -> (SessionQuotas, FileQuotas) {
    let is_limited = scheduler.chance(250);
    let quota = |least: u64, most: u64| {
        let limit = least + scheduler.below(most - least);
        (is_limited && scheduler.chance(500)).then_some(limit)
    };
    let sessions = SessionQuotas { per_hour: None, open: quota(1, 3), bytes: None };
    (sessions, FileQuotas { open_uploads: quota(1, 4), session_bytes: quota(20, 80), day_bytes: quota(40, 200) })
}

static DATABASES: AtomicU64 = AtomicU64::new(0);

impl World {
    /// A world that follows from its seed.
    pub fn new(seed: u64, options: &Options) -> Rc<Self> {
        let scheduler = Scheduler::new(seed, STARTED_AT_MS, options.is_traced, |rng| Pace {
            // Some worlds are so slow that a lock goes stale while its finalize works.
            stall_max_ms: if rng.u32(..3) == 0 { 400_000 } else { rng.i64(1_000..45_000) },
            sticky_percent: rng.u32(..90),
            clock_percent: rng.u32(1..30),
        });
        let level = |max: u64| scheduler.below(max) * u64::from(scheduler.chance(800));
        let rates = Rates {
            bucket: level(80),
            store: level(60),
            receiver: level(300),
            slow: level(500),
            held: level(300),
            invalid: level(200),
            lost: level(100),
            crash: level(2_000),
            disconnect: level(3_000),
        };
        let (session_quotas, file_quotas) = quotas(&scheduler);
        let is_slow_world = scheduler.pace.stall_max_ms > 60_000;
        let name = format!("simulator-{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Rc::new(SqliteFile::in_memory(&name).expect("SQLite"));
        let memory = MemoryBucket::new(BucketOptions {
            part_min_bytes: 1,
            page_parts: 1 + scheduler.below(4) as usize,
            is_etag_of_bytes: !scheduler.chance(100),
            second_completion: scheduler.pick(&[
                SecondCompletion::NoSuchUpload,
                SecondCompletion::InvalidPart { lists: false },
                SecondCompletion::InvalidPart { lists: true },
                SecondCompletion::ListsNothing,
                SecondCompletion::Succeeds,
            ]),
            ..BucketOptions::default()
        });
        let bug = options.bug;
        Rc::new_cyclic(|world| {
            let instance = |_| {
                let platform = SimPlatform { scheduler: scheduler.clone() };
                let executor = Rc::new(Planted { database: database.clone(), bug });
                let executor = FaultyExecutor::new(executor, SqlGate(world.clone()));
                let store = SqlStore::new(executor, platform.clone(), Rc::new(Cell::new(true)));
                let bucket = Faulty::new(memory.clone(), BucketGate(world.clone()));
                (Rc::new(store), Rc::new(Retrying::new(bucket, platform)))
            };
            let instances = (0..1 + scheduler.below(3)).map(instance).collect();
            let platform = SimPlatform { scheduler: scheduler.clone() };
            // The first statement makes the schema, before anything can fail.
            let shared = FaultyExecutor::new(Rc::new(Planted { database: database.clone(), bug: None }), NoGate);
            let store = SqlStore::new(shared, platform, Rc::new(Cell::new(false)));
            store.pending().now_or_never().expect("SQLite waits for nothing").expect("a schema");
            if let Some(bug) = bug {
                bug.change_schema(&database);
            }
            Self {
                scheduler,
                model: RefCell::new(Model::new(session_quotas, file_quotas)),
                memory,
                rates: Cell::new(rates),
                first_rates: rates,
                is_over: Cell::new(false),
                slow_max_ms: if is_slow_world { 600_000 } else { 120_000 },
                completion_timeout_ms: if is_slow_world { 4 * 3_600_000 } else { 900_000 },
                session_quotas,
                file_quotas,
                bug,
                sessions: RefCell::default(),
                database,
                instances,
                is_changed: Cell::new(false),
            }
        })
    }

    pub fn platform(&self) -> SimPlatform {
        SimPlatform { scheduler: self.scheduler.clone() }
    }

    pub fn instances(&self) -> usize {
        self.instances.len()
    }

    pub fn instance(&self, index: usize) -> (Rc<SimStore>, Rc<SimBucket>) {
        self.instances[index].clone()
    }

    pub fn index_of(&self, store: &Rc<SimStore>) -> usize {
        self.instances.iter().position(|(other, _)| Rc::ptr_eq(other, store)).expect("an instance")
    }

    /// The bucket and the store fail again, and instances crash.
    pub fn fail_again(&self) {
        self.rates.set(Rates { slow: 0, held: 0, invalid: 0, ..self.first_rates });
    }

    /// Whether everything that clients know can be published.
    pub fn has_quotas(&self) -> bool {
        self.session_quotas != SessionQuotas::default() || !self.file_quotas.is_off()
    }

    /// A finalize was rejected because another one is at work. Whoever has died is not, once its lease is over.
    pub fn in_progress(&self, session: SessionId) {
        let Some(row) = self.snapshot().sessions.remove(&session.to_string()) else { return };
        let over_ms = self.scheduler.now() - row.finalizing_at - LEASE_MS;
        if row.status == "finalizing" && over_ms > 4 * self.scheduler.pace.stall_max_ms + 1_000 {
            self.scheduler.fail(format!("session {session} stays locked {over_ms} ms after the end of its lease"));
        }
    }

    /// Nothing fails from now on.
    pub fn calm(&self) {
        self.rates.set(Rates::default());
    }

    pub fn snapshot(&self) -> snapshot::Snapshot {
        snapshot::read(&self.database)
    }

    /// Lets the scheduler move once, and checks what came of it; `false` if nothing moves any more.
    pub fn step(&self) -> bool {
        let rates = self.rates.get();
        let scheduler = &self.scheduler;
        if rates.crash > 0 && scheduler.below(1_000_000) < rates.crash {
            scheduler.crash(scheduler.below(self.instances.len() as u64) as usize);
        }
        if rates.disconnect > 0 && scheduler.below(1_000_000) < rates.disconnect {
            let requests = scheduler.requests();
            if !requests.is_empty() {
                scheduler.disconnect(scheduler.pick(&requests));
            }
        }
        let has_moved = scheduler.step();
        if self.is_changed.take() {
            let (task, now) = (scheduler.current(), scheduler.now());
            let checked = self.model.borrow_mut().check(self.snapshot(), &self.memory, PART_BYTES, task, now);
            self.failed(checked);
        }
        has_moved
    }

    /// Ends the simulation if a promise is broken.
    pub fn failed(&self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.scheduler.fail(why);
        }
    }

    pub fn changed(&self) {
        self.is_changed.set(true);
    }
}

/// The simulation's clock.
#[derive(Clone)]
pub struct SimPlatform {
    scheduler: Rc<Scheduler>,
}

impl Platform for SimPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.scheduler.now())
    }

    fn random(&self) -> [u8; 10] {
        std::array::from_fn(|_| self.scheduler.below(256) as u8)
    }

    async fn sleep(&self, millis: u64) {
        self.scheduler.sleep(millis).await;
    }
}

/// Lets everything pass at once.
struct NoGate;

impl<E> Gate<E> for NoGate {
    async fn enter(&self, _: &Call) -> Verdict<E> {
        Verdict::Proceed
    }

    async fn leave(&self, _: &Call, _: Option<&E>) {}
}

type Weak = std::rc::Weak<World>;

fn alive(world: &Weak) -> Rc<World> {
    world.upgrade().expect("a world outlives its tasks")
}

/// Before every statement.
pub struct SqlGate(Weak);

impl Gate<SqlError> for SqlGate {
    async fn enter(&self, call: &Call) -> Verdict<SqlError> {
        let world = alive(&self.0);
        let scheduler = &world.scheduler;
        scheduler.turn().await;
        world.changed();
        if !scheduler.chance(world.rates.get().store) {
            return Verdict::Proceed;
        }
        let error = match scheduler.chance(500) {
            true => SqlError::unavailable("injected"),
            false => SqlError::permanent("injected"),
        };
        let is_before = scheduler.chance(500);
        let when = if is_before { "before" } else { "after" };
        scheduler.log(|| format!("store fails {when}: {}", brief(call)));
        if is_before { Verdict::Before(error) } else { Verdict::After(error) }
    }

    async fn leave(&self, call: &Call, error: Option<&SqlError>) {
        let world = alive(&self.0);
        world.scheduler.log(|| match error {
            Some(error) => format!("store: {} -> {error}", brief(call)),
            None => format!("store: {}", brief(call)),
        });
        world.scheduler.turn().await;
    }
}

/// The beginning of a statement.
fn brief(call: &Call) -> String {
    let words: Vec<&str> = call.target.split_whitespace().take(5).collect();
    match words.as_slice() {
        ["SELECT", ..] => {
            let table = call.target.rsplit("FROM ").next().unwrap_or_default();
            format!("SELECT … {}", table.split_whitespace().take(5).collect::<Vec<_>>().join(" "))
        }
        words => words.join(" "),
    }
}

/// Before every request to the bucket.
pub struct BucketGate(Weak);

impl Gate<BucketError> for BucketGate {
    async fn enter(&self, call: &Call) -> Verdict<BucketError> {
        let world = alive(&self.0);
        let scheduler = &world.scheduler;
        scheduler.turn().await;
        world.changed();
        world.memory.complete_slowly(false);
        world.memory.hold_completion(false);
        let rates = world.rates.get();
        if call.operation == "complete_upload" && scheduler.chance(rates.held) {
            world.memory.hold_completion(true);
            let takes_ms = scheduler.below(world.slow_max_ms);
            let (key, delivering) = (call.target.clone(), world.clone());
            scheduler.log(|| format!("the next completion takes {takes_ms} ms to the bucket"));
            scheduler.spawn("network", None, None, async move {
                delivering.scheduler.sleep(takes_ms).await;
                delivering.memory.deliver(&key);
                delivering.changed();
                delivering.scheduler.log(|| format!("the bucket gets the completion of {key}"));
            });
            return Verdict::Proceed;
        }
        if call.operation == "complete_upload" && scheduler.chance(rates.invalid) {
            let error = BucketError::InvalidPart("injected".into());
            return if scheduler.chance(500) { Verdict::Before(error) } else { Verdict::After(error) };
        }
        if call.operation == "complete_upload" && scheduler.chance(rates.slow) {
            world.memory.complete_slowly(true);
            let takes_ms = scheduler.below(world.slow_max_ms);
            let (key, revealing) = (call.target.clone(), world.clone());
            scheduler.log(|| format!("the bucket takes {takes_ms} ms for its next completion"));
            scheduler.spawn("bucket", None, None, async move {
                revealing.scheduler.sleep(takes_ms).await;
                revealing.memory.reveal_key(&key);
                revealing.changed();
                revealing.scheduler.log(|| format!("the bucket shows {key}"));
            });
            return match takes_ms < SILENCE_MS && scheduler.chance(300) {
                true => Verdict::After(BucketError::Unavailable("injected".into())),
                false => Verdict::After(BucketError::Silent("injected".into())),
            };
        }
        if !scheduler.chance(rates.bucket) {
            return Verdict::Proceed;
        }
        let error = match scheduler.chance(700) {
            true => BucketError::Unavailable("injected".into()),
            false => BucketError::Silent("injected".into()),
        };
        let is_before = scheduler.chance(500);
        if call.operation == "create_upload" && !is_before {
            world.model.borrow_mut().created_upload(&call.target, scheduler.current(), true);
        }
        let when = if is_before { "before" } else { "after" };
        scheduler.log(|| format!("bucket fails {when}: {} {}", call.operation, call.target));
        if is_before { Verdict::Before(error) } else { Verdict::After(error) }
    }

    async fn leave(&self, call: &Call, error: Option<&BucketError>) {
        let world = alive(&self.0);
        let Call { operation, target } = call;
        world.scheduler.log(|| match error {
            Some(error) => format!("bucket: {operation} {target} -> {error:?}"),
            None => format!("bucket: {operation} {target}"),
        });
        {
            let mut model = world.model.borrow_mut();
            match (*operation, error) {
                ("create_upload", None) => model.created_upload(target, world.scheduler.current(), false),
                ("abort_upload", Some(BucketError::Unavailable(_) | BucketError::Silent(_))) => {
                    model.abort_failed(target);
                }
                ("delete", error) => model.deleted(target, error.is_some()),
                ("upload_part", None) if world.bug == Some(Bug::PartDropped) && world.scheduler.chance(20) => {
                    if let Some((key, number)) = target.split_once('#') {
                        let number = number.parse().ok().and_then(PartNumber::new);
                        number.into_iter().for_each(|number| world.memory.lose_part(key, number));
                    }
                }
                _ => {}
            }
        }
        // Some servers are silent for as long as a client waits.
        if matches!(error, Some(BucketError::Silent(_))) && world.scheduler.chance(500) {
            world.scheduler.sleep(SILENCE_MS).await;
        }
        world.scheduler.turn().await;
    }
}

/// The receiver of webhooks.
pub struct SimReceiver(pub Rc<World>);

impl Receiver for SimReceiver {
    async fn send(&self, claim: &Claim) -> Result<(), String> {
        let world = &self.0;
        world.scheduler.turn().await;
        let event = &claim.event;
        let is_failing = world.scheduler.chance(world.rates.get().receiver);
        let is_received = !is_failing || world.scheduler.chance(500);
        world.scheduler.log(|| format!("receiver: {} received: {is_received}, failing: {is_failing}", event.moc));
        if is_received {
            let (moc, session) = (event.moc.to_string(), event.session.to_string());
            let checked = world.model.borrow_mut().delivered(&moc, &session, event.user.as_str());
            world.failed(checked);
        }
        world.scheduler.turn().await;
        if is_failing { Err("injected".into()) } else { Ok(()) }
    }

    fn given_up(&self, claim: &Claim, _: &str) {
        let checked = self.0.model.borrow().gave_up(&claim.event.moc.to_string(), claim.attempt);
        self.0.failed(checked);
    }
}

/// Runs the steps of a finalize.
pub struct Steps;

impl Trace for Steps {
    async fn step<T>(&self, _: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        work.await
    }
}

/// Delivers the webhook of a MOC, as an instance does after the response of a finalize.
pub async fn deliver(world: Rc<World>, store: Rc<SimStore>, moc: MocId) {
    let receiver = SimReceiver(world.clone());
    let outcome = moc_application::deliver_webhook::run(&*store, &receiver, &world.platform(), moc).await;
    world.scheduler.log(|| format!("webhook of {moc}: {outcome:?}"));
}
