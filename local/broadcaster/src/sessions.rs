//! Which clients watch which session.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

/// The sessions that have clients.
pub struct Sessions {
    queue_max: usize,
    session_clients_max: usize,
    clients_max: usize,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    count: usize,
    by_session: HashMap<String, Session>,
}

struct Session {
    clients: usize,
    events: Sender<Utf8Bytes>,
}

impl Sessions {
    pub fn new(queue_max: usize, session_clients_max: usize, clients_max: usize) -> Self {
        Self { queue_max, session_clients_max, clients_max, clients: Mutex::default() }
    }

    /// A new client of a session; `None` if there are too many.
    pub fn subscribe(self: &Arc<Self>, session: String) -> Option<Subscription> {
        let mut clients = self.lock();
        if clients.count >= self.clients_max {
            return None;
        }
        let watched = match clients.by_session.entry(session.clone()) {
            Entry::Occupied(entry) if entry.get().clients >= self.session_clients_max => return None,
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Session { clients: 0, events: Sender::new(self.queue_max) }),
        };
        watched.clients += 1;
        let receiver = watched.events.subscribe();
        clients.count += 1;
        Some(Subscription { session, receiver, sessions: Arc::clone(self) })
    }

    /// Queues messages for every client of a session, those of one call together. It never waits: when the queue
    /// is full, the oldest are dropped, and clients that missed them are notified.
    pub fn publish(&self, session: &str, messages: impl IntoIterator<Item = Utf8Bytes>) {
        let clients = self.lock();
        if let Some(watched) = clients.by_session.get(session) {
            for message in messages {
                // It fails only if nobody listens, which is no error.
                let _ = watched.events.send(message);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client's place in a session, until it is dropped.
pub struct Subscription {
    session: String,
    receiver: Receiver<Utf8Bytes>,
    sessions: Arc<Sessions>,
}

impl Subscription {
    /// The next message.
    pub async fn next(&mut self) -> Result<Utf8Bytes, RecvError> {
        self.receiver.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut clients = self.sessions.lock();
        clients.count -= 1;
        if let Some(watched) = clients.by_session.get_mut(&self.session) {
            watched.clients -= 1;
            if watched.clients == 0 {
                clients.by_session.remove(&self.session);
            }
        }
    }
}
