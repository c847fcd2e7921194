//! Who moves next, and what time it is: everything else waits at a ticket.
//!
//! A future that waits takes a ticket. A step of the scheduler grants one of them, chosen by the seed, and polls the
//! task that it belongs to. Nothing else moves, so that a seed always leads to the same steps.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Steps that a failure prints.
const LINES_KEPT: usize = 40;

/// How a seed moves.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest time that a call may take, in milliseconds: the clock does not pass it while the call waits.
    pub stall_max_ms: i64,
    /// How often of 100 the same task moves again.
    pub sticky_percent: u32,
    /// How often of 100 the clock moves although somebody could.
    pub clock_percent: u32,
}

/// What a ticket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The scheduler's choice, since this time.
    Turn(i64),
    /// This time.
    Time(i64),
    /// The response of a request.
    Response(u64),
}

struct Ticket {
    task: u64,
    wait: Wait,
    is_granted: bool,
    waker: Option<Waker>,
}

struct Task {
    name: Rc<str>,
    /// The instance that it ends with.
    instance: Option<usize>,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// What its client experiences if it loses it.
    lose: Option<Rc<dyn Fn()>>,
}

/// The tasks, the clock and the choices of one simulation.
pub struct Scheduler {
    pub pace: Pace,
    /// Whether time passes only when nothing else can move.
    pub is_prompt: Cell<bool>,
    /// Whether every line of the trace is printed.
    is_traced: bool,
    rng: RefCell<fastrand::Rng>,
    now: Cell<i64>,
    steps: Cell<u64>,
    next_id: Cell<u64>,
    current: Cell<u64>,
    tickets: RefCell<BTreeMap<u64, Ticket>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    spawned: RefCell<VecDeque<u64>>,
    crashed: RefCell<Vec<u64>>,
    lines: RefCell<VecDeque<String>>,
    hash: Cell<u64>,
    failure: RefCell<Option<String>>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Scheduler {
    pub fn new(seed: u64, now: i64, is_traced: bool, pace: impl FnOnce(&mut fastrand::Rng) -> Pace) -> Rc<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        Rc::new(Self {
            pace: pace(&mut rng),
            is_prompt: Cell::new(false),
            is_traced,
            rng: RefCell::new(rng),
            now: Cell::new(now),
            steps: Cell::new(0),
            next_id: Cell::new(1),
            current: Cell::new(0),
            tickets: RefCell::default(),
            tasks: RefCell::default(),
            spawned: RefCell::default(),
            crashed: RefCell::default(),
            lines: RefCell::default(),
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            failure: RefCell::default(),
        })
    }

    pub fn now(&self) -> i64 {
        self.now.get()
    }

    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// A hash of every line of the trace.
    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// The task that moves.
    pub fn current(&self) -> u64 {
        self.current.get()
    }

    /// Whether a crash has ended this task.
    pub fn has_crashed(&self, task: u64) -> bool {
        self.crashed.borrow().contains(&task)
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.rng.borrow_mut().u64(..limit.max(1))
    }

    /// Whether something happens that does so `per_mille` times of 1,000.
    pub fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1_000) < per_mille
    }

    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    pub fn shuffle<T>(&self, list: &mut [T]) {
        self.rng.borrow_mut().shuffle(list);
    }

    /// Writes a line of the trace.
    pub fn log(&self, what: impl FnOnce() -> String) {
        let tasks = self.tasks.borrow();
        let name = tasks.get(&self.current.get()).map_or("scheduler", |task| &task.name);
        let line = format!("{:>6} {:>9} {name:<26} {}", self.steps.get(), self.now.get(), what());
        let hash = line
            .bytes()
            .fold(self.hash.get(), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        self.hash.set(hash);
        if self.is_traced {
            eprintln!("{line}");
        }
        let mut lines = self.lines.borrow_mut();
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().iter().cloned().collect()
    }

    /// Ends the simulation: the product broke a promise.
    pub fn fail(&self, why: impl Into<String>) {
        let why = why.into();
        self.log(|| format!("FAILURE {why}"));
        self.failure.borrow_mut().get_or_insert(why);
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    fn id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Starts a task, which moves before anything else does.
    pub fn spawn(
        &self,
        name: impl Into<Rc<str>>,
        instance: Option<usize>,
        lose: Option<Rc<dyn Fn()>>,
        future: impl Future<Output = ()> + 'static,
    ) -> u64 {
        let id = self.id();
        let task = Task { name: name.into(), instance, future: Some(Box::pin(future)), lose };
        self.tasks.borrow_mut().insert(id, task);
        self.spawned.borrow_mut().push_back(id);
        id
    }

    /// Waits for the scheduler's choice.
    pub fn turn(self: &Rc<Self>) -> Pause {
        Pause { scheduler: self.clone(), wait: Some(Wait::Turn(self.now())), ticket: None }
    }

    /// Waits for so many milliseconds.
    pub fn sleep(self: &Rc<Self>, millis: u64) -> Pause {
        let until = self.now() + i64::try_from(millis).unwrap_or(i64::MAX / 2);
        Pause { scheduler: self.clone(), wait: Some(Wait::Time(until)), ticket: None }
    }

    /// A response that a task will give, and the wait for it.
    pub fn response(self: &Rc<Self>) -> (u64, Pause) {
        let id = self.id();
        (id, Pause { scheduler: self.clone(), wait: Some(Wait::Response(id)), ticket: None })
    }

    /// A response has arrived.
    pub fn respond(&self, response: u64) {
        for ticket in self.tickets.borrow_mut().values_mut() {
            if ticket.wait == Wait::Response(response) {
                ticket.wait = Wait::Turn(self.now());
            }
        }
    }

    fn poll(&self, id: u64) {
        let Some(mut future) = self.tasks.borrow_mut().get_mut(&id).and_then(|task| task.future.take()) else { return };
        let before = self.current.replace(id);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut is_done = false;
        while !is_done && flag.0.swap(false, Ordering::Relaxed) {
            is_done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        }
        self.current.set(before);
        if is_done {
            self.tasks.borrow_mut().remove(&id);
        } else if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
            task.future = Some(future);
        }
    }

    fn start_spawned(&self) {
        loop {
            let Some(id) = self.spawned.borrow_mut().pop_front() else { return };
            self.poll(id);
        }
    }

    /// Requests that are being worked on.
    pub fn requests(&self) -> Vec<u64> {
        self.tasks.borrow().iter().filter(|(_, task)| task.lose.is_some()).map(|(id, _)| *id).collect()
    }

    /// Lets a client lose its connection; the request goes on.
    pub fn disconnect(&self, request: u64) {
        let tasks = self.tasks.borrow();
        let Some(task) = tasks.get(&request) else { return };
        let (name, lose) = (task.name.clone(), task.lose.clone());
        drop(tasks);
        self.log(|| format!("{name} loses its client"));
        if let Some(lose) = lose {
            lose();
        }
    }

    /// Ends every request of an instance.
    pub fn crash(&self, instance: usize) {
        let mut tasks = self.tasks.borrow_mut();
        let ended: Vec<(u64, Task)> = tasks.extract_if(.., |_, task| task.instance == Some(instance)).collect();
        drop(tasks);
        self.log(|| format!("instance {instance} crashes with {} requests", ended.len()));
        for (id, task) in ended {
            self.crashed.borrow_mut().push(id);
            let Task { future, lose, .. } = task;
            self.current.set(id);
            drop(future);
            self.current.set(0);
            if let Some(lose) = lose {
                lose();
            }
        }
    }

    /// Grants one ticket; `false` if there is none that could be.
    pub fn step(&self) -> bool {
        self.start_spawned();
        let tickets = self.tickets.borrow();
        let ready: Vec<(u64, u64, i64)> = tickets
            .iter()
            .filter_map(|(id, ticket)| match ticket.wait {
                Wait::Turn(since) if !ticket.is_granted => Some((*id, ticket.task, since)),
                _ => None,
            })
            .collect();
        let timers = tickets.iter().filter_map(|(id, ticket)| match ticket.wait {
            Wait::Time(at) if !ticket.is_granted => Some((at, *id)),
            _ => None,
        });
        let timer = timers.min();
        drop(tickets);
        let oldest = ready.iter().map(|(_, _, since)| *since).min();
        let may_wait = |at: i64| oldest.is_none_or(|oldest| at - oldest <= self.pace.stall_max_ms);
        let timer = timer.filter(|(at, _)| may_wait(*at));
        let granted = match (ready.is_empty(), timer) {
            (true, None) => return false,
            (true, Some((at, id))) => self.at(at, id),
            (false, Some((at, id)))
                if !self.is_prompt.get() && self.below(100) < u64::from(self.pace.clock_percent) =>
            {
                self.at(at, id)
            }
            (false, _) => {
                let last = self.current.get();
                let same = ready.iter().find(|(_, task, _)| *task == last);
                let is_sticky = self.below(100) < u64::from(self.pace.sticky_percent);
                let chosen = same.filter(|_| is_sticky).copied();
                chosen.unwrap_or_else(|| self.pick(&ready)).0
            }
        };
        self.steps.set(self.steps.get() + 1);
        let mut tickets = self.tickets.borrow_mut();
        let Some(ticket) = tickets.get_mut(&granted) else { return true };
        ticket.is_granted = true;
        let (task, waker) = (ticket.task, ticket.waker.take());
        drop(tickets);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.poll(task);
        self.current.set(task);
        self.start_spawned();
        true
    }

    fn at(&self, at: i64, ticket: u64) -> u64 {
        self.now.set(self.now.get().max(at));
        ticket
    }

    /// Whether any task is left that has not ended, but those whose names begin so.
    pub fn is_over(&self, but: &str) -> bool {
        self.tasks.borrow().values().all(|task| task.name.starts_with(but))
    }

    pub fn task_names(&self) -> Vec<Rc<str>> {
        self.tasks.borrow().values().map(|task| task.name.clone()).collect()
    }

    /// Drops every task, each of which holds the scheduler.
    pub fn clear(&self) {
        self.current.set(0);
        let tasks = self.tasks.take();
        drop(tasks);
    }
}

/// A wait at a ticket.
pub struct Pause {
    scheduler: Rc<Scheduler>,
    wait: Option<Wait>,
    ticket: Option<u64>,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let scheduler = self.scheduler.clone();
        if let Some(wait) = self.wait.take() {
            let id = scheduler.id();
            let ticket =
                Ticket { task: scheduler.current(), wait, is_granted: false, waker: Some(context.waker().clone()) };
            scheduler.tickets.borrow_mut().insert(id, ticket);
            self.ticket = Some(id);
            return Poll::Pending;
        }
        let Some(id) = self.ticket else { return Poll::Ready(()) };
        let mut tickets = scheduler.tickets.borrow_mut();
        match tickets.get_mut(&id) {
            Some(ticket) if !ticket.is_granted => {
                ticket.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => {
                tickets.remove(&id);
                self.ticket = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(id) = self.ticket {
            self.scheduler.tickets.borrow_mut().remove(&id);
        }
    }
}
