//! Live progress: routes emit events to the relay, and the relay publishes them to the broadcaster.
//!
//! Events are advisory and may be lost. Emitting never fails; it may cost a response the time limit
//! once, after which nothing is sent for a while ([`Breaker`]). In one instance the events of a
//! session leave in their order, one batch at a time ([`queue`]).

mod broadcaster;
mod queue;

use std::cell::Cell;
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_application::upload_part::Stored;
use moc_contract::event::{self, Event, EventBatch};
use moc_contract::trace::TraceContext;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{SessionId, UserId};
use moc_domain::limits::BROADCASTER_PAUSE_MS;
use moc_domain::time::Timestamp;

pub use broadcaster::publish;

use self::queue::Turn;
use crate::breaker::{self, Breaker};
use crate::forward::ForwardResult;
use crate::platform::{WasiPlatform, within};
use crate::{background, host, log, settings};

/// How long the event of the part that makes a file whole waits for those of other instances.
const LAST_PART_PAUSE_MS: u64 = 50;
/// Pause between two looks at whether another request has sent this one's events.
const POLL_MS: u64 = 1;

thread_local! {
    static BREAKER: Breaker = const { Breaker::new("broadcaster-pause-ends", BROADCASTER_PAUSE_MS) };
    /// Set if there is no broadcaster, for the life of the instance.
    static OFF: Cell<bool> = const { Cell::new(false) };
}

/// Emits the events of a step that the store has recorded. Returns when the
/// broadcaster has the events, or when `websocket_emit_timeout_ms` are over; does nothing where
/// there is no broadcaster.
pub async fn emit(user: &UserId, session: SessionId, events: impl FnOnce(Timestamp) -> Vec<Event>) {
    tell_since(Instant::now(), None, user, session, events).await;
}

/// As [`emit`], for a step that belongs to a trace. The broadcaster gets its context with the events, unless another
/// request sends them together with its own.
pub async fn emit_traced(
    context: Option<TraceContext>,
    user: &UserId,
    session: SessionId,
    events: impl FnOnce(Timestamp) -> Vec<Event>,
) {
    tell_since(Instant::now(), context, user, session, events).await;
}

async fn tell_since(
    began: Instant,
    context: Option<TraceContext>,
    user: &UserId,
    session: SessionId,
    events: impl FnOnce(Timestamp) -> Vec<Event>,
) {
    if OFF.get() {
        return;
    }
    // Before the first await, so that the order is the one in which the store has responded.
    let turn = queue::join(session, events(WasiPlatform.now()));
    let Some(broadcaster) = broadcaster().await else { return };
    let deadline = began + broadcaster.timeout;
    match turn {
        Turn::Send(events, sending) => {
            if within(deadline, breaker::is_open(&BREAKER, &broadcaster.api_url)).await.unwrap_or(true) {
                return;
            }
            let batch = EventBatch::new(session, user, events);
            if broadcaster.send(batch, context.as_ref(), deadline).await && sending.has_next() {
                let user = user.clone();
                // Those of other requests. Where this one waits for them, its limit is theirs, too, and what is left
                // is lost: only an instance that serves several requests at once has any.
                let last = background::is_inline().await.then_some(deadline);
                background::run(async move {
                    while let Some(events) = sending.next() {
                        let deadline = last.unwrap_or_else(|| Instant::now() + broadcaster.timeout);
                        if !broadcaster.send(EventBatch::new(session, &user, events), None, deadline).await {
                            break;
                        }
                    }
                })
                .await;
            }
        }
        Turn::Wait(ticket) => {
            while !ticket.is_settled() && Instant::now() < deadline {
                WasiPlatform.sleep(POLL_MS).await;
            }
        }
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
    let came_alone = usize::from(last.parts_completed) <= usize::from(file.parts_completed) + parts.len();
    if last.parts_completed == file.plan.total() && !came_alone && !OFF.get() && !breaker::is_known_open(&BREAKER) {
        let Some(broadcaster) = broadcaster().await else { return };
        within(began + broadcaster.timeout / 2, WasiPlatform.sleep(LAST_PART_PAUSE_MS)).await;
    }
    let stored = parts.iter().zip(progress);
    let events = |now| stored.flat_map(|(part, progress)| event::part_stored(file, part, *progress, now)).collect();
    tell_since(began, None, user, file.session_id, events).await;
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
    /// Whether it has taken the events. Where not, nothing more is sent for a while.
    async fn send(&self, batch: EventBatch, context: Option<&TraceContext>, deadline: Instant) -> bool {
        match within(deadline, host::publish(batch, context)).await {
            Some(ForwardResult::Sent) => return true,
            Some(ForwardResult::NotConfigured) => OFF.set(true),
            Some(ForwardResult::Failed(cause)) => self.pause(&cause).await,
            None => self.pause("the relay did not respond in time").await,
        }
        false
    }

    /// Sends nothing for a while, and says why.
    async fn pause(&self, cause: &str) {
        if breaker::open(&BREAKER, &self.api_url).await {
            log::warn(&format!("progress events: {cause}; none are sent for {} s", BROADCASTER_PAUSE_MS / 1000));
        }
    }
}
