//! A clock that is moved by hand.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use moc_application::port::Platform;
use moc_domain::time::Timestamp;

type Event = Box<dyn FnOnce()>;

/// A sleep that is not over.
struct Sleep {
    number: u64,
    platform: ManualPlatform,
    until: i64,
    waker: Waker,
}

thread_local! {
    static SLEEPS: RefCell<Vec<Sleep>> = const { RefCell::new(Vec::new()) };
    static NEXT_NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// Ends a sleep when it is dropped.
struct Asleep(u64);

impl Drop for Asleep {
    fn drop(&mut self) {
        let position = SLEEPS.with_borrow(|sleeps| sleeps.iter().position(|sleep| sleep.number == self.0));
        drop(position.map(|position| SLEEPS.with_borrow_mut(|sleeps| sleeps.swap_remove(position))));
    }
}

/// Moves the clock to the end of the sleep that is over first, and wakes who is due; `false` if nobody sleeps.
pub fn wake_next() -> bool {
    let next = SLEEPS.with_borrow(|sleeps| {
        let left_ms = |sleep: &Sleep| (sleep.until - sleep.platform.now.get(), sleep.platform.clone());
        sleeps.iter().map(left_ms).filter(|(left_ms, _)| *left_ms > 0).min_by_key(|(left_ms, _)| *left_ms)
    });
    let Some((left_ms, platform)) = next else { return false };
    platform.advance(left_ms);
    let is_due = |sleep: &&Sleep| sleep.until <= sleep.platform.now.get();
    let due: Vec<Waker> =
        SLEEPS.with_borrow(|sleeps| sleeps.iter().filter(is_due).map(|sleep| sleep.waker.clone()).collect());
    due.into_iter().for_each(Waker::wake);
    true
}

/// A clock that only sleeping and tests move, and random bytes that follow from a seed. Clones share it.
#[derive(Clone, Default)]
pub struct ManualPlatform {
    now: Rc<Cell<i64>>,
    random: Rc<Cell<u64>>,
    slept: Rc<RefCell<Vec<u64>>>,
    events: Rc<RefCell<Vec<(i64, Event)>>>,
    ends_at: Rc<Cell<Option<Timestamp>>>,
}

impl ManualPlatform {
    /// A clock that shows `now`, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(now: i64) -> Self {
        Self { now: Rc::new(Cell::new(now)), ..Self::default() }
    }

    /// The same for another sequence of random bytes.
    #[must_use]
    pub fn seeded(now: i64, seed: u64) -> Self {
        Self { random: Rc::new(Cell::new(seed)), ..Self::at(now) }
    }

    /// Moves the clock by `millis` milliseconds; what is planned until then happens on the way.
    pub fn advance(&self, millis: i64) {
        let until = self.now.get().saturating_add(millis);
        while let Some((at, event)) = self.next_event(until) {
            self.now.set(self.now.get().max(at));
            event();
        }
        self.now.set(until);
    }

    /// Plans something for `millis` milliseconds from now.
    pub fn after(&self, millis: i64, event: impl FnOnce() + 'static) {
        self.events.borrow_mut().push((self.now.get().saturating_add(millis), Box::new(event)));
    }

    /// Begins a request that has to be over after `millis` milliseconds.
    pub fn end_after(&self, millis: i64) {
        self.ends_at.set(Some(self.now().plus_millis(millis)));
    }

    /// How long each sleep was, in milliseconds.
    #[must_use]
    pub fn slept(&self) -> Vec<u64> {
        self.slept.borrow().clone()
    }

    fn next_event(&self, until: i64) -> Option<(i64, Event)> {
        let mut events = self.events.borrow_mut();
        let due = events.iter().enumerate().filter(|(_, (at, _))| *at <= until);
        let (index, _) = due.min_by_key(|(_, (at, _))| *at)?;
        Some(events.remove(index))
    }
}

impl Platform for ManualPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.get())
    }

    /// SplitMix64: never the same bytes twice in a sequence that a test could make.
    fn random(&self) -> [u8; 10] {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, e, f, g, h] = (mixed ^ (mixed >> 31)).to_be_bytes();
        let [.., i, j] = state.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    async fn sleep(&self, millis: u64) {
        self.slept.borrow_mut().push(millis);
        let until = self.now.get().saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
        let asleep = Asleep(NEXT_NUMBER.replace(NEXT_NUMBER.get() + 1));
        poll_fn(|context| {
            if self.now.get() >= until {
                return Poll::Ready(());
            }
            let (number, platform, waker) = (asleep.0, self.clone(), context.waker().clone());
            SLEEPS.with_borrow_mut(|sleeps| match sleeps.iter_mut().find(|sleep| sleep.number == number) {
                Some(sleep) => sleep.waker = waker,
                None => sleeps.push(Sleep { number, platform, until, waker }),
            });
            Poll::Pending
        })
        .await;
    }

    fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at.get()
    }
}
