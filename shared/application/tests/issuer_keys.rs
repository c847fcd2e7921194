//! The keys of the tokens' issuer, over a store.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::future::join_all;
use moc_application::issuer_keys::{self, KnownKeys};
use moc_application::port::{Issuer, KeySets as _, Platform};
use moc_domain::error::ErrorKind;
use moc_domain::limits::{
    KEY_SET_FETCH_MAX_MS, KEY_SET_FRESH_MS, KEY_SET_PAUSE_MS, KEY_SET_STALE_MS, KEY_SET_WAIT_MAX_MS,
};
use moc_domain::time::Timestamp;
use moc_fakes::stage::{STARTED_AT_MS, StageStore};
use moc_fakes::{Stage, wake_next};
use moc_store::SqlError;

const URL: &str = "https://id.example/keys";
/// How long a fetch takes.
const FETCH_MS: u64 = 200;

/// The issuer has no such key.
const UNKNOWN_KEY: Option<ErrorKind> =
    Some(ErrorKind::InvalidToken { reason: "The key of the token is not among those of its issuer." });

/// A clock that moves when everyone waits for it. Clones share it.
#[derive(Clone)]
struct Clock {
    now: Rc<Cell<i64>>,
    awaited: Rc<RefCell<Vec<(i64, Waker)>>>,
}

impl Clock {
    fn new() -> Self {
        Self { now: Rc::new(Cell::new(STARTED_AT_MS)), awaited: Rc::default() }
    }

    fn advance(&self, millis: i64) {
        self.now.set(self.now.get() + millis);
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return result;
            }
            let next = self.awaited.borrow().iter().map(|(time, _)| *time).min();
            // The store has a clock of its own, for its pauses.
            let Some(next) = next else {
                assert!(wake_next(), "nothing is waited for");
                continue;
            };
            self.now.set(self.now.get().max(next));
            let due = self.awaited.borrow_mut().extract_if(.., |(time, _)| *time <= self.now.get()).collect::<Vec<_>>();
            due.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }
}

impl Platform for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.get())
    }

    fn random(&self) -> [u8; 10] {
        [0; 10]
    }

    async fn sleep(&self, millis: u64) {
        let until = self.now.get() + i64::try_from(millis).unwrap();
        poll_fn(|context| {
            if self.now.get() >= until {
                return Poll::Ready(());
            }
            self.awaited.borrow_mut().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// An issuer whose key set is a list of key ids. Clones share it.
#[derive(Clone)]
struct Ids {
    clock: Clock,
    document: Rc<RefCell<Result<&'static str, &'static str>>>,
    takes_ms: Rc<Cell<u64>>,
    fetches: Rc<Cell<usize>>,
    failures: Rc<Cell<usize>>,
}

impl Ids {
    fn publish(&self, ids: &'static str) {
        *self.document.borrow_mut() = Ok(ids);
    }

    fn fail(&self) {
        *self.document.borrow_mut() = Err("status 500");
    }
}

impl Issuer for Ids {
    type Keys = Vec<String>;

    fn url(&self) -> &str {
        URL
    }

    async fn fetch(&self) -> Result<String, String> {
        self.fetches.set(self.fetches.get() + 1);
        self.clock.sleep(self.takes_ms.get()).await;
        self.document.borrow().map(str::to_owned).map_err(str::to_owned)
    }

    fn parse(&self, document: &str) -> Result<Vec<String>, String> {
        if document.contains('<') {
            Err("not JSON".into())
        } else {
            Ok(document.split(' ').map(str::to_owned).collect())
        }
    }

    fn failed(&self, _: &str) {
        self.failures.set(self.failures.get() + 1);
    }
}

/// One instance, which knows nothing yet.
struct Instance {
    stage: Stage,
    issuer: Ids,
    known: KnownKeys<Vec<String>>,
}

impl Instance {
    fn new() -> Self {
        let clock = Clock::new();
        let issuer = Ids {
            clock,
            document: Rc::new(RefCell::new(Ok("old"))),
            takes_ms: Rc::new(Cell::new(FETCH_MS)),
            fetches: Rc::default(),
            failures: Rc::default(),
        };
        Self { stage: Stage::default(), issuer, known: KnownKeys::default() }
    }

    /// Another one over the same store and issuer.
    fn another(&self) -> Self {
        Self { stage: self.stage.another(), issuer: self.issuer.clone(), known: KnownKeys::default() }
    }

    fn store(&self) -> &StageStore {
        &self.stage.store
    }

    /// `None` if the issuer has the key, otherwise why the request fails.
    async fn ask(&self, id: &str) -> Option<ErrorKind> {
        let has = |keys: &Vec<String>| keys.iter().any(|key| key == id).then_some(());
        let found = issuer_keys::find(self.store(), &self.issuer, &self.issuer.clock, &self.known, has).await;
        found.map_err(|error| error.kind).err()
    }

    fn find(&self, id: &str) -> Option<ErrorKind> {
        self.issuer.clock.run(self.ask(id))
    }

    fn fetches(&self) -> usize {
        self.issuer.fetches.get()
    }

    fn advance(&self, millis: i64) {
        self.issuer.clock.advance(millis);
    }
}

#[test]
fn one_fetch_is_for_all_instances() {
    let first = Instance::new();
    let others: Vec<Instance> = (0..4).map(|_| first.another()).collect();
    let asking = others.iter().flat_map(|instance| (0..16).map(|_| instance.ask("old")));
    assert!(first.issuer.clock.run(join_all(asking)).iter().all(Option::is_none));
    assert_eq!(first.find("old"), None);
    assert_eq!(first.fetches(), 1);
    // An instance that has the keys does not look at the store for each request.
    let statements = first.stage.store_faults.count("issuer_keys");
    assert_eq!(first.find("old"), None);
    assert_eq!(first.stage.store_faults.count("issuer_keys"), statements);
}

#[test]
fn unknown_key_ids_cause_one_fetch_at_a_time_and_then_a_pause() {
    let first = Instance::new();
    assert_eq!(first.find("old"), None);
    let others: Vec<Instance> = (0..4).map(|_| first.another()).collect();
    for round in 1..=3 {
        let ids: Vec<String> = (0..64).map(|number| format!("unknown-{number}")).collect();
        let asking = ids.iter().zip(others.iter().cycle()).map(|(id, instance)| instance.ask(id));
        let results = first.issuer.clock.run(join_all(asking));
        assert!(results.iter().all(|result| *result == UNKNOWN_KEY), "{results:?}");
        assert_eq!(first.fetches(), 1 + round);
        // In the pause nobody asks, not even the store.
        let statements = others[0].stage.store_faults.count("issuer_keys");
        assert_eq!(others[0].find("unknown"), UNKNOWN_KEY);
        assert_eq!((first.fetches(), others[0].stage.store_faults.count("issuer_keys")), (1 + round, statements));
        first.advance(KEY_SET_PAUSE_MS);
    }
}

#[test]
fn a_fetch_that_fails_is_followed_by_a_pause() {
    let first = Instance::new();
    first.issuer.fail();
    let others: Vec<Instance> = (0..4).map(|_| first.another()).collect();
    for round in 1..=3 {
        let asking = others.iter().flat_map(|instance| (0..16).map(|_| instance.ask("old")));
        let results = first.issuer.clock.run(join_all(asking));
        assert!(results.iter().all(|result| *result == Some(ErrorKind::IssuerUnavailable)), "{results:?}");
        assert_eq!(first.another().find("old"), Some(ErrorKind::IssuerUnavailable));
        assert_eq!((first.fetches(), first.issuer.failures.get()), (round, round));
        first.advance(KEY_SET_PAUSE_MS);
    }
    first.issuer.publish("old");
    assert_eq!(first.find("old"), None);
}

#[test]
fn a_document_that_cannot_be_read_is_a_fetch_that_failed() {
    let instance = Instance::new();
    instance.issuer.publish("<html>");
    assert_eq!(instance.find("old"), Some(ErrorKind::IssuerUnavailable));
    assert_eq!((instance.fetches(), instance.issuer.failures.get()), (1, 1));
}

#[test]
fn known_keys_work_while_the_issuer_fails_for_a_day_at_most() {
    let instance = Instance::new();
    assert_eq!(instance.find("old"), None);
    instance.issuer.fail();
    let fetched_at = instance.issuer.clock.now();
    instance.advance(KEY_SET_FRESH_MS);
    while instance.issuer.clock.now().millis_since(fetched_at) < KEY_SET_STALE_MS - KEY_SET_WAIT_MAX_MS {
        assert_eq!(instance.find("old"), None);
        assert_eq!(instance.another().find("old"), None);
        // The issuer may have a new key.
        assert_eq!(instance.find("new"), Some(ErrorKind::IssuerUnavailable));
        instance.advance(600_000);
    }
    instance.advance(600_000);
    assert_eq!(instance.find("old"), Some(ErrorKind::IssuerUnavailable));
    assert_eq!(instance.another().find("old"), Some(ErrorKind::IssuerUnavailable));
}

#[test]
fn known_keys_do_not_wait_for_a_fetch_of_another_request() {
    let instance = Instance::new();
    assert_eq!(instance.find("old"), None);
    instance.advance(KEY_SET_FRESH_MS);
    instance.issuer.takes_ms.set(KEY_SET_FETCH_MAX_MS);
    let began = instance.issuer.clock.now();
    let other = instance.another();
    let known = async |instance: &Instance, limit_ms| {
        instance.issuer.clock.sleep(1).await;
        assert_eq!(instance.ask("old").await, None);
        assert!(instance.issuer.clock.now().millis_since(began) <= limit_ms);
    };
    let asking = async { futures::join!(instance.ask("old"), known(&instance, 1), known(&other, 100)) };
    assert_eq!(instance.issuer.clock.run(asking).0, None);
    assert_eq!(instance.fetches(), 2);
}

#[test]
fn a_new_key_is_taken_up_at_once_and_one_that_is_published_no_more_is_not_used() {
    let instance = Instance::new();
    let other = instance.another();
    assert_eq!(instance.find("old"), None);
    assert_eq!(other.find("old"), None);
    instance.issuer.publish("new");
    assert_eq!(instance.find("new"), None);
    assert_eq!(instance.find("old"), UNKNOWN_KEY);
    assert_eq!(other.find("new"), None);
    assert_eq!(other.find("old"), UNKNOWN_KEY);
    assert_eq!(instance.fetches(), 2);
    // Another one right after it, as soon as a fetch is due.
    instance.issuer.publish("newest");
    assert_eq!(instance.find("newest"), UNKNOWN_KEY);
    instance.advance(KEY_SET_PAUSE_MS);
    assert_eq!(instance.find("newest"), None);
}

/// It may verify signatures.
#[test]
fn a_set_of_keys_is_asked_once() {
    let instance = Instance::new();
    assert_eq!(instance.find("old"), None);
    let asked = Cell::new(0);
    let lacks = |_: &Vec<String>| {
        asked.set(asked.get() + 1);
        None::<()>
    };
    instance.issuer.takes_ms.set(KEY_SET_FETCH_MAX_MS);
    // Another instance fetches the keys, so this one looks at the store again and again.
    let other = instance.another();
    let asking = async {
        let find =
            issuer_keys::find(instance.store(), &instance.issuer, &instance.issuer.clock, &instance.known, lacks);
        futures::join!(other.ask("new"), find)
    };
    let (_, found) = instance.issuer.clock.run(asking);
    assert_eq!(found.map_err(|error| error.kind).err(), UNKNOWN_KEY);
    assert_eq!((asked.get(), instance.fetches()), (2, 2));
}

#[test]
fn a_fetch_that_a_crash_interrupted_is_made_again() {
    let instance = Instance::new();
    let now = instance.issuer.clock.now();
    let lease = now.plus_millis(KEY_SET_PAUSE_MS);
    assert!(instance.issuer.clock.run(instance.store().claim_fetch(URL, now, lease)).unwrap());
    assert_eq!(instance.find("old"), Some(ErrorKind::IssuerUnavailable));
    let waited = instance.issuer.clock.now().millis_since(now);
    assert!((KEY_SET_WAIT_MAX_MS..KEY_SET_WAIT_MAX_MS + 100).contains(&waited), "{waited}");
    instance.advance(KEY_SET_PAUSE_MS);
    assert_eq!(instance.find("old"), None);
}

#[test]
fn keys_that_the_store_could_not_record_are_used() {
    let instance = Instance::new();
    instance.stage.store_faults.before("UPDATE issuer_keys", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(instance.find("old"), None);
    assert_eq!(instance.find("old"), None);
    assert_eq!(instance.fetches(), 1);
}

#[test]
fn a_store_that_is_unavailable_fetches_nothing() {
    let instance = Instance::new();
    instance.stage.store_faults.before("issuer_keys", 1..=6, SqlError::unavailable("broken"));
    assert_eq!(instance.find("old"), Some(ErrorKind::StoreUnavailable));
    assert_eq!(instance.fetches(), 0);
    assert_eq!(instance.find("old"), None);
}

/// The clock of the server that fetched them was wrong.
#[test]
fn keys_of_the_future_are_fetched_again() {
    let instance = Instance::new();
    instance.advance(2 * KEY_SET_STALE_MS);
    assert_eq!(instance.find("old"), None);
    instance.advance(-KEY_SET_STALE_MS);
    let other = instance.another();
    assert_eq!(other.find("old"), None);
    assert_eq!(instance.fetches(), 2);
}
