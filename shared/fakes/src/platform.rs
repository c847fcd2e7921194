//! A clock that is moved by hand.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moc_application::port::Platform;
use moc_domain::time::Timestamp;

type Event = Box<dyn FnOnce()>;

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
        self.advance(i64::try_from(millis).unwrap_or(i64::MAX));
    }

    fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at.get()
    }
}
