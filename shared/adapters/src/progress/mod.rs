//! Live progress: routes emit events to the relay, and the relay publishes them to the broadcaster.
//!
//! Events are advisory and may be lost. Emitting never fails; it may cost a response the time limit
//! once, after which nothing is sent for a while ([`Breaker`]). In one instance the events of a
//! session leave in their order, and what requests emit at the same time leaves together ([`queue`]).

mod apart;
mod broadcaster;
mod queue;
mod signal;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_application::upload_part::Stored;
use moc_contract::event::{self, Event, EventBatch};
use moc_contract::trace::TraceContext;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::BROADCASTER_PAUSE_MS;
use moc_domain::time::Timestamp;

pub use broadcaster::{publish, relay};

use self::queue::{Queue, Turn};
use self::signal::Signal;
use crate::breaker::{self, Breaker};
use crate::forward::ForwardResult;
use crate::platform::{WasiPlatform, within};
use crate::{host, log, settings};

/// How long the event of the part that makes a file whole waits for those of other instances.
const LAST_PART_PAUSE_MS: u64 = 50;
/// How long events wait for the batch before theirs, to be sent with those of other requests; that of a fast broadcaster
/// is done earlier. After that they are sent next to it, unless it has events of their session.
const GATHER: Duration = Duration::from_millis(5);

thread_local! {
    static BREAKER: Breaker = const { Breaker::new("broadcaster-pause-ends", BROADCASTER_PAUSE_MS) };
    /// Set if there is no broadcaster, for the life of the instance.
    static OFF: Cell<bool> = const { Cell::new(false) };
    static QUEUE: RefCell<Queue<Signal>> = const { RefCell::new(Queue::new()) };
}

/// Emits the events of a step that the store has recorded. Returns when the
/// broadcaster has the events, or when `websocket_emit_timeout_ms` are over; does nothing where
/// there is no broadcaster.
pub async fn emit(user: &UserId, session: SessionId, events: impl FnOnce(Timestamp) -> Vec<Event>) {
    emit_since(Instant::now(), None, user, session, events).await;
}

/// As [`emit`], for a step that belongs to a trace. The broadcaster gets its context with the events, unless another
/// request sends them together with its own.
pub async fn emit_traced(
    context: Option<TraceContext>,
    user: &UserId,
    session: SessionId,
    events: impl FnOnce(Timestamp) -> Vec<Event>,
) {
    emit_since(Instant::now(), context, user, session, events).await;
}

async fn emit_since(
    began: Instant,
    context: Option<TraceContext>,
    user: &UserId,
    session: SessionId,
    events: impl FnOnce(Timestamp) -> Vec<Event>,
) {
    if OFF.get() || breaker::is_known_open(&BREAKER) {
        return;
    }
    // Before the first await, so that the order is the one in which the store has responded.
    let batch = EventBatch::new(session, user, &events(WasiPlatform.now()));
    let Some(place) = Place::join(batch) else { return };
    let Some(broadcaster) = broadcaster().await else { return };
    if !place.is_next().await {
        return;
    }
    let deadline = began + broadcaster.timeout;
    if !within(deadline, breaker::is_open(&BREAKER, &broadcaster.api_url)).await.unwrap_or(true) {
        broadcaster.send(place.take(), context.as_ref(), deadline).await;
    }
}

/// A request's place in the queue, until it has nothing to wait for.
struct Place {
    ticket: u64,
    joined: Instant,
}

impl Place {
    fn join(events: EventBatch) -> Option<Self> {
        let ticket = QUEUE.with_borrow_mut(|queue| queue.join(events))?;
        Some(Self { ticket, joined: Instant::now() })
    }

    /// Waits until the request has to send what waits, or until its events have been sent: `false`. Who follows sets no
    /// limit for that: those who send before came before, and so do the ends of their time limits.
    async fn is_next(&self) -> bool {
        loop {
            let limit = match QUEUE.with_borrow(|queue| queue.turn(self.ticket)) {
                Turn::Send => return true,
                Turn::Done => return false,
                Turn::Lead => Some(self.joined + GATHER),
                Turn::Follow => None,
            };
            let (signal, called) = signal::new();
            QUEUE.with_borrow_mut(|queue| queue.wait(self.ticket, signal));
            if within(limit, called).await.is_none() {
                return true;
            }
        }
    }

    fn take(&self) -> Vec<EventBatch> {
        QUEUE.with_borrow_mut(|queue| queue.take(self.ticket))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.leave(self.ticket));
    }
}

/// As [`emit`], for a part. The part that makes its file complete first waits a moment for those that
/// other instances have stored meanwhile, so that the last event says that all parts are stored.
pub async fn emit_part(user: &UserId, stored: &Stored) {
    emit_parts(user, &stored.file, std::slice::from_ref(&stored.part), &[stored.progress]).await;
}

/// As [`emit_part`], for parts that were stored together, with what is stored of the file after each of them.
pub async fn emit_parts(user: &UserId, file: &File, parts: &[StoredPart], progress: &[Progress]) {
    let Some(last) = progress.last() else { return };
    let began = Instant::now();
    let stored = parts.iter().zip(progress);
    let events = |now| stored.flat_map(|(part, progress)| event::part_stored(file, part, *progress, now)).collect();
    let came_alone = usize::from(last.parts_completed) <= usize::from(file.parts_completed) + parts.len();
    let sending = emit_since(began, None, user, file.session_id, events);
    if last.parts_completed < file.plan.total() || came_alone || OFF.get() || breaker::is_known_open(&BREAKER) {
        return sending.await;
    }
    let Some(Broadcaster { timeout, .. }) = broadcaster().await else { return };
    let pause_ms = u64::try_from(timeout.as_millis() / 2).unwrap_or(u64::MAX).min(LAST_PART_PAUSE_MS);
    // Its time limit is over before that of a request that it may follow.
    within(began + timeout, async {
        WasiPlatform.sleep(pause_ms).await;
        sending.await;
    })
    .await;
}

/// The broadcaster, as routes see it.
struct Broadcaster {
    api_url: String,
    /// Longest time that a request's events may take.
    timeout: Duration,
}

/// The broadcaster; `None` if there is none.
async fn broadcaster() -> Option<Broadcaster> {
    let settings = match settings::progress().await {
        Ok(settings) => settings,
        Err(error) => {
            log::warn(&format!("progress events: {}; none are sent", error.source.unwrap_or_default()));
            OFF.set(true);
            return None;
        }
    };
    let Some(api_url) = settings.api_url.clone() else {
        OFF.set(true);
        return None;
    };
    Some(Broadcaster { api_url, timeout: Duration::from_millis(settings.timeout_ms) })
}

impl Broadcaster {
    /// Sends events. If it does not take them, nothing more is sent for a while.
    async fn send(&self, batches: Vec<EventBatch>, context: Option<&TraceContext>, deadline: Instant) {
        let publish = async |batches: &[EventBatch]| {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            host::publish(batches, context, u64::try_from(left).unwrap_or(u64::MAX)).await
        };
        match apart::together_or_apart(&batches, publish).await {
            ForwardResult::Sent => {}
            ForwardResult::NotConfigured => OFF.set(true),
            ForwardResult::Rejected(cause) | ForwardResult::Failed(cause) => self.pause(&cause).await,
        }
    }

    /// Sends nothing for a while, and says why.
    async fn pause(&self, cause: &str) {
        if breaker::open(&BREAKER, &self.api_url).await {
            log::warn(&format!("progress events: {cause}; none are sent for {} s", BROADCASTER_PAUSE_MS / 1000));
        }
    }
}
