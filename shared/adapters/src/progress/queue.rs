//! The events that wait in an instance to be sent, and which of its requests sends them.
//!
//! A request that finds nothing under way sends its events at once. What others add meanwhile waits, and one of them,
//! the leader, sends all of it in the next batch: as soon as the batch before is done, or once it has waited long
//! enough. A session is in one batch at a time, so its events stay in order.

use std::collections::VecDeque;

use moc_contract::event::EventBatch;
use moc_domain::limits::{EVENT_BATCH_MAX_BYTES, EVENTS_WAITING_MAX_BYTES};

/// What waits in an instance, and what is being sent. A request that waits keeps a signal of type `S` here, and looks
/// again once that is dropped.
pub struct Queue<S> {
    waiting: VecDeque<Waiting<S>>,
    sending: Vec<Sending<S>>,
    last_ticket: u64,
}

/// A request whose events are not being sent yet.
struct Waiting<S> {
    ticket: u64,
    events: EventBatch,
    signal: Option<S>,
}

/// A batch that is being sent.
struct Sending<S> {
    /// The ticket of the request that sends it.
    leader: u64,
    sessions: Vec<String>,
    /// Those of the others whose events it has.
    followers: Vec<(u64, Option<S>)>,
}

/// What a request does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It sends what waits.
    Send,
    /// It waits for its signal, but not for long: then it sends what waits.
    Lead,
    /// It waits for its signal.
    Follow,
    /// Its events have been sent, or given up.
    Done,
}

impl<S> Queue<S> {
    pub const fn new() -> Self {
        Self { waiting: VecDeque::new(), sending: Vec::new(), last_ticket: 0 }
    }

    /// Adds a request's events. `None` if too much waits: then they are lost.
    pub fn join(&mut self, events: EventBatch) -> Option<u64> {
        let waiting_bytes = self.waiting.iter().map(|waiting| waiting.events.max_bytes()).sum::<u64>();
        if waiting_bytes + events.max_bytes() > EVENTS_WAITING_MAX_BYTES {
            return None;
        }
        self.last_ticket += 1;
        self.waiting.push_back(Waiting { ticket: self.last_ticket, events, signal: None });
        Some(self.last_ticket)
    }

    /// What the request with this ticket does next.
    pub fn turn(&self, ticket: u64) -> Turn {
        if self.leader().is_some_and(|leader| leader.ticket == ticket) {
            return if self.sending.is_empty() { Turn::Send } else { Turn::Lead };
        }
        let is_sent = |sending: &Sending<S>| sending.followers.iter().any(|(follower, _)| *follower == ticket);
        let waits = self.waiting.iter().any(|waiting| waiting.ticket == ticket) || self.sending.iter().any(is_sent);
        if waits { Turn::Follow } else { Turn::Done }
    }

    /// Keeps the signal of a request that waits.
    pub fn wait(&mut self, ticket: u64, signal: S) {
        let waiting = self.waiting.iter_mut().map(|waiting| (waiting.ticket, &mut waiting.signal));
        let followers = self.sending.iter_mut().flat_map(|sending| &mut sending.followers);
        let mut kept = waiting.chain(followers.map(|(ticket, signal)| (*ticket, signal)));
        if let Some((_, kept)) = kept.find(|(given, _)| *given == ticket) {
            *kept = Some(signal);
        }
    }

    /// Takes what waits, for the request with this ticket to send: as much as fits into a batch, and of each session
    /// that is not in another batch. Those of one session become one.
    pub fn take(&mut self, ticket: u64) -> Vec<EventBatch> {
        let mut batches: Vec<EventBatch> = Vec::new();
        let mut batch = Sending { leader: ticket, sessions: Vec::new(), followers: Vec::new() };
        let mut bytes = 0;
        // Sessions with events that do not fit: what follows of them has to wait as well.
        let mut held_back = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let session = &waiting.events.session_id;
            let more = waiting.events.max_bytes();
            if self.is_being_sent(session) || held_back.contains(session) || bytes + more > EVENT_BATCH_MAX_BYTES {
                held_back.push(session.clone());
                self.waiting.push_back(waiting);
                continue;
            }
            bytes += more;
            if waiting.ticket != ticket {
                batch.followers.push((waiting.ticket, waiting.signal));
            }
            match batches.iter_mut().find(|batch| batch.session_id == *session) {
                Some(batch) => batch.events.extend(waiting.events.events),
                None => batches.push(waiting.events),
            }
        }
        batch.sessions = batches.iter().map(|batch| batch.session_id.clone()).collect();
        self.sending.push(batch);
        self.call_leader();
        batches
    }

    /// Ends what a request does here: the batch that it sends is done, or given up, and so is what it has waiting.
    pub fn leave(&mut self, ticket: u64) {
        self.sending.retain(|sending| sending.leader != ticket);
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.call_leader();
    }

    /// The first that waits for nothing but the end of other sessions' batches.
    fn leader(&self) -> Option<&Waiting<S>> {
        self.waiting.iter().find(|waiting| !self.is_being_sent(&waiting.events.session_id))
    }

    fn is_being_sent(&self, session: &String) -> bool {
        self.sending.iter().any(|sending| sending.sessions.contains(session))
    }

    /// Has the leader look at its turn, which may be another than before.
    fn call_leader(&mut self) {
        let ticket = self.leader().map(|leader| leader.ticket);
        if let Some(leader) = self.waiting.iter_mut().find(|waiting| Some(waiting.ticket) == ticket) {
            leader.signal = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moc_contract::event::{Event, session_created};
    use moc_domain::id::{SessionId, UserId};
    use moc_domain::limits::MIB;
    use moc_domain::session::{Session, Status};
    use moc_domain::time::Timestamp;
    use std::rc::{Rc, Weak};

    fn now() -> Timestamp {
        Timestamp::from_millis(1)
    }

    /// The session of a number.
    fn session(number: u8) -> SessionId {
        SessionId::new(now(), [number; 10])
    }

    /// So many events of a session, which carry a number.
    fn events(of: u8, number: u64, count: usize) -> EventBatch {
        let user = UserId::parse("alice").unwrap();
        let created = Session {
            id: session(of),
            user: user.clone(),
            status: Status::Active,
            part_size_bytes: number,
            created_at: now(),
            expires_at: now(),
            finalizing_at: None,
            moc_id: None,
            sequence: 1,
        };
        let events: Vec<Event> = (0..count).flat_map(|_| session_created(&created, now())).collect();
        EventBatch::new(session(of), &user, &events)
    }

    /// Sessions of a batch, each with the numbers of its events.
    fn shown(batches: Vec<EventBatch>) -> Vec<(SessionId, Vec<u64>)> {
        let number = |event: &str| {
            serde_json::from_str::<serde_json::Value>(event).unwrap()["metadata"]["partSizeBytes"].as_u64()
        };
        let of = |batch: EventBatch| {
            let numbers = batch.events.iter().filter_map(|event| number(event.get())).collect();
            (SessionId::parse(&batch.session_id).unwrap(), numbers)
        };
        batches.into_iter().map(of).collect()
    }

    /// A queue, and the signals of its requests.
    struct Requests {
        queue: Queue<Rc<()>>,
        signals: Vec<(u64, Weak<()>)>,
    }

    impl Requests {
        fn new() -> Self {
            Self { queue: Queue::new(), signals: Vec::new() }
        }

        /// A request that looks at its turn, and keeps a signal where it waits.
        fn join(&mut self, of: u8, number: u64) -> (u64, Turn) {
            let ticket = self.queue.join(events(of, number, 1)).unwrap();
            (ticket, self.look(ticket))
        }

        fn look(&mut self, ticket: u64) -> Turn {
            let turn = self.queue.turn(ticket);
            if matches!(turn, Turn::Lead | Turn::Follow) {
                let signal = Rc::new(());
                self.signals.push((ticket, Rc::downgrade(&signal)));
                self.queue.wait(ticket, signal);
            }
            turn
        }

        /// What a request sends, which waits no longer.
        fn take(&mut self, ticket: u64) -> Vec<(SessionId, Vec<u64>)> {
            self.signals.retain(|(given, _)| *given != ticket);
            shown(self.queue.take(ticket))
        }

        /// The requests whose signals were dropped since the last look, with their turns.
        fn called(&mut self) -> Vec<(u64, Turn)> {
            let (called, waiting) =
                std::mem::take(&mut self.signals).into_iter().partition(|(_, signal)| signal.strong_count() == 0);
            self.signals = waiting;
            let called: Vec<(u64, Weak<()>)> = called;
            called.into_iter().map(|(ticket, _)| (ticket, self.look(ticket))).collect()
        }
    }

    #[test]
    fn a_request_that_finds_nothing_under_way_sends_at_once() {
        let mut requests = Requests::new();
        let (first, turn) = requests.join(1, 1);
        assert_eq!(turn, Turn::Send);
        assert_eq!(requests.take(first), [(session(1), vec![1])]);
        requests.queue.leave(first);
        assert_eq!(requests.join(1, 2).1, Turn::Send);
    }

    #[test]
    fn what_comes_meanwhile_is_the_next_batch_of_one_of_them() {
        let mut requests = Requests::new();
        let (first, _) = requests.join(1, 1);
        requests.take(first);
        let others = [(2, 2), (3, 3), (2, 4)].map(|(of, number)| requests.join(of, number));
        assert_eq!(others.each_ref().map(|(_, turn)| turn), [&Turn::Lead, &Turn::Follow, &Turn::Follow]);
        assert_eq!(requests.called(), []);

        requests.queue.leave(first);
        let [(leader, _), (second, _), (third, _)] = others;
        assert_eq!(requests.called(), [(leader, Turn::Send)]);
        assert_eq!(requests.take(leader), [(session(2), vec![2, 4]), (session(3), vec![3])]);
        assert_eq!(requests.called(), [], "nobody is done before the batch is");
        requests.queue.leave(leader);
        assert_eq!(requests.called(), [(second, Turn::Done), (third, Turn::Done)]);
    }

    #[test]
    fn a_leader_that_waits_no_longer_sends_next_to_the_batch_before() {
        let mut requests = Requests::new();
        let (first, _) = requests.join(1, 1);
        requests.take(first);
        let (same, turn) = requests.join(1, 2);
        assert_eq!(turn, Turn::Follow, "its session is in a batch");
        let (leader, turn) = requests.join(2, 3);
        assert_eq!(turn, Turn::Lead);
        assert_eq!(requests.take(leader), [(session(2), vec![3])]);
        requests.queue.leave(leader);
        assert_eq!(requests.called(), []);
        requests.queue.leave(first);
        assert_eq!(requests.called(), [(same, Turn::Send)]);
        assert_eq!(requests.take(same), [(session(1), vec![2])]);
    }

    #[test]
    fn whoever_leaves_takes_its_events_along_and_calls_the_next() {
        let mut requests = Requests::new();
        let (first, _) = requests.join(1, 1);
        requests.take(first);
        let [(leader, _), (second, _), (third, _)] = [(2, 2), (2, 3), (3, 4)].map(|(of, n)| requests.join(of, n));
        requests.queue.leave(leader);
        assert_eq!(requests.called(), [(leader, Turn::Done), (second, Turn::Lead)]);
        requests.queue.leave(first);
        assert_eq!(requests.called(), [(second, Turn::Send)]);
        assert_eq!(requests.take(second), [(session(2), vec![3]), (session(3), vec![4])]);
        // Its batch is given up: the others hear of it, once.
        requests.queue.leave(second);
        assert_eq!(requests.called(), [(third, Turn::Done)]);
        assert_eq!(requests.join(3, 5).1, Turn::Send);
    }

    #[test]
    fn a_batch_is_bounded_and_keeps_the_order_of_each_session() {
        let mut queue: Queue<Rc<()>> = Queue::new();
        // Events for a third of a batch, for a whole one, and two more.
        let event = events(1, 1, 2).max_bytes() - events(1, 1, 1).max_bytes();
        let third = usize::try_from(EVENT_BATCH_MAX_BYTES / event / 3).unwrap() - 1;
        let join = |queue: &mut Queue<Rc<()>>, of, number, count| queue.join(events(of, number, count)).unwrap();
        let first = join(&mut queue, 1, 1, third);
        let large = join(&mut queue, 2, 2, 3 * third);
        join(&mut queue, 2, 3, 1);
        join(&mut queue, 3, 4, 1);
        let taken = queue.take(first);
        assert!(taken.iter().map(EventBatch::max_bytes).sum::<u64>() <= EVENT_BATCH_MAX_BYTES);
        let sessions = |batches: &[EventBatch]| Vec::from_iter(batches.iter().map(|batch| batch.session_id.clone()));
        assert_eq!(sessions(&taken), [session(1).to_string(), session(3).to_string()]);
        assert_eq!(queue.turn(large), Turn::Lead);
        let [(of, numbers)] = &shown(queue.take(large))[..] else { panic!("one session") };
        assert_eq!((*of, numbers.first(), numbers.last()), (session(2), Some(&2), Some(&3)));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut queue: Queue<Rc<()>> = Queue::new();
        let mut waiting = 0;
        while queue.join(events(waiting, 1, 1_000)).is_some() {
            waiting += 1;
        }
        let bytes = u64::from(waiting) * events(1, 1, 1_000).max_bytes();
        assert!((MIB..=EVENTS_WAITING_MAX_BYTES).contains(&bytes), "{bytes}");
    }
}
