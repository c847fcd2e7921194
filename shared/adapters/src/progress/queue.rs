//! The events of each session that wait in this instance. One request at a time sends; what others
//! add meanwhile goes together in the next batch, so that the order of the store is kept and no
//! request waits for more than two batches.

use std::cell::RefCell;

use moc_contract::event::Event;
use moc_domain::id::SessionId;
use moc_domain::limits::EVENTS_WAITING_MAX;

thread_local! {
    /// Those of the sessions that something is being sent of: as many as there are requests, at most.
    static QUEUES: RefCell<Vec<Queue>> = const { RefCell::new(Vec::new()) };
}

/// There is one while somebody sends.
struct Queue {
    session: SessionId,
    waiting: Vec<Event>,
    /// How many batches have been taken to be sent.
    taken: u64,
}

fn with_queue<T>(session: SessionId, look: impl FnOnce(Option<&mut Queue>) -> T) -> T {
    QUEUES.with_borrow_mut(|queues| look(queues.iter_mut().find(|queue| queue.session == session)))
}

/// What a request with new events does.
pub enum Turn {
    /// Nobody sends: it sends these.
    Send(Vec<Event>, Sending),
    /// It waits until somebody has sent them.
    Wait(Ticket),
}

/// The right to send a session's events. Dropping it gives it back, and what waits is lost.
pub struct Sending(SessionId);

/// A place in the queue.
pub struct Ticket {
    session: SessionId,
    batch: u64,
}

/// Joins the queue of a session.
pub fn join(session: SessionId, events: Vec<Event>) -> Turn {
    let joined = with_queue(session, |queue| match queue {
        None => Err(events),
        Some(queue) => {
            // More are dropped: those that wait fit into a batch for the relay.
            let room = EVENTS_WAITING_MAX.saturating_sub(queue.waiting.len());
            queue.waiting.extend(events.into_iter().take(room));
            Ok(Ticket { session, batch: queue.taken + 1 })
        }
    });
    match joined {
        Ok(ticket) => Turn::Wait(ticket),
        Err(events) => {
            QUEUES.with_borrow_mut(|queues| queues.push(Queue { session, waiting: Vec::new(), taken: 0 }));
            Turn::Send(events, Sending(session))
        }
    }
}

impl Sending {
    /// Whether anything waits.
    pub fn has_next(&self) -> bool {
        with_queue(self.0, |queue| queue.is_some_and(|queue| !queue.waiting.is_empty()))
    }

    /// Takes what waits, once the batch before has been sent.
    pub fn next(&self) -> Option<Vec<Event>> {
        with_queue(self.0, |queue| {
            let queue = queue.filter(|queue| !queue.waiting.is_empty())?;
            queue.taken += 1;
            Some(std::mem::take(&mut queue.waiting))
        })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        QUEUES.with_borrow_mut(|queues| queues.retain(|queue| queue.session != self.0));
    }
}

impl Ticket {
    /// Whether its events have been sent, or given up.
    pub fn is_settled(&self) -> bool {
        with_queue(self.session, |queue| queue.is_none_or(|queue| queue.taken > self.batch))
    }
}
