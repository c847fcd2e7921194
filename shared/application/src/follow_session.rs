//! Follows a session for those who watch it: what it is now, and then each change that the store has.
//!
//! The watchers of a session that one instance has share what it knows: one of them asks the store when that is due. As
//! long as nothing changes, that is one read by primary key a second, however many they are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;
use moc_domain::id::{FileId, SessionId};
use moc_domain::limits::{
    EVENT_STREAMS_MAX, EVENTS_LOOK_MAX_MS, EVENTS_LOOK_MS, EVENTS_LOOK_PAUSE_MAX_MS, EVENTS_POLL_MS,
    EVENTS_SILENCE_MAX_MS,
};
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

use crate::deadline;
use crate::port::{Platform, Store};

/// The sessions that are watched in an instance.
#[derive(Default)]
pub struct Watched(RefCell<BTreeMap<SessionId, Entry>>);

struct Entry {
    watchers: usize,
    known: Option<Snapshot>,
    /// When the store is asked next.
    due: Timestamp,
    /// Whether one of the watchers asks it.
    is_asking: bool,
    /// How often in a row it was unavailable.
    failures: u32,
}

/// A session as the store has it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub session: Session,
    /// In the order of their registration.
    pub files: Rc<[File]>,
}

/// One who watches a session. Its place is free once it is dropped.
pub struct Watcher {
    watched: Rc<Watched>,
    id: SessionId,
    sent: Option<Sent>,
    last_message_at: Timestamp,
}

/// What a watcher knows.
struct Sent {
    sequence: u64,
    status: &'static str,
    files: Rc<[File]>,
}

/// What a watcher gets next.
#[derive(Debug)]
pub enum Update {
    /// Nothing, for now.
    Nothing,
    /// Nothing has changed for a while.
    Silence,
    State(State),
}

/// A state of the session that the watcher has not seen.
#[derive(Debug)]
pub struct State {
    pub session: Session,
    pub at: Timestamp,
    files: Rc<[File]>,
    before: Option<Rc<[File]>>,
}

impl State {
    /// Whether the session has ended: it does not change any more.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.session.has_ended(self.at)
    }

    /// The files that have changed, and `false`; or all of them, and `true`, if the watcher knows none of them or one
    /// that the session does not have any more.
    #[must_use]
    pub fn files(&self) -> (Vec<&File>, bool) {
        let changed = self.before.as_deref().and_then(|before| changed(before, &self.files));
        changed.map_or_else(|| (self.files.iter().collect(), true), |changed| (changed, false))
    }
}

/// The files that are new or different; `None` if one is missing that was there before.
fn changed<'a>(before: &'a [File], now: &'a [File]) -> Option<Vec<&'a File>> {
    // Most are in the same place in both.
    let at = |files: &'a [File], place: usize, id: FileId| {
        files.get(place).filter(|file| file.id == id).or_else(|| files.iter().find(|file| file.id == id))
    };
    let has_all = before.iter().enumerate().all(|(place, known)| at(now, place, known.id).is_some());
    has_all.then(|| {
        let is_new = |(place, file): &(usize, &File)| at(before, *place, file.id) != Some(*file);
        now.iter().enumerate().filter(is_new).map(|(_, file)| file).collect()
    })
}

impl Watched {
    /// Begins to watch a session, and looks at it. A client that has seen its state of the number `seen` gets it only
    /// once it has changed.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if the instance has as many watchers as it may; [`ErrorKind::NotFound`], or the store's.
    pub async fn watch(
        self: Rc<Self>,
        store: &impl Store,
        platform: &impl Platform,
        id: SessionId,
        seen: Option<u64>,
    ) -> Result<Watcher, Error> {
        let mut watcher = Watcher::join(self, id, platform.now())?;
        watcher.look(store, platform).await?;
        // Another watcher of the session may have found the store unavailable.
        let Snapshot { session, files } = watcher.known().ok_or(ErrorKind::StoreUnavailable)?;
        let now = platform.now();
        // The last state belongs to the end of a session.
        if seen == Some(session.sequence) && !session.has_ended(now) {
            let status = session.status_at(now);
            watcher.sent = Some(Sent { sequence: session.sequence, status, files });
        }
        Ok(watcher)
    }

    fn with<T>(&self, id: SessionId, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.0.borrow_mut().get_mut(&id).map(look)
    }
}

/// The right of one watcher to ask the store. Dropping it gives it back.
struct Asking<'a>(&'a Watcher);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.watched.with(self.0.id, |entry| entry.is_asking = false);
    }
}

/// What a watcher has to do.
enum Turn {
    Ask(Option<u64>),
    Wait(u64),
    Use,
}

impl Watcher {
    fn join(watched: Rc<Watched>, id: SessionId, now: Timestamp) -> Result<Self, Error> {
        let mut entries = watched.0.borrow_mut();
        if entries.values().map(|entry| entry.watchers).sum::<usize>() >= EVENT_STREAMS_MAX {
            return Err(Error::with_source(ErrorKind::Busy, "the instance has as many watchers as it may"));
        }
        let new = Entry { watchers: 0, known: None, due: now, is_asking: false, failures: 0 };
        entries.entry(id).or_insert(new).watchers += 1;
        drop(entries);
        Ok(Self { watched, id, sent: None, last_message_at: now })
    }

    fn known(&self) -> Option<Snapshot> {
        self.watched.with(self.id, |entry| entry.known.clone()).flatten()
    }

    /// What is next: at once if the watcher has not seen the session as it is, else after a second at most. `None` if
    /// the session does not exist any more. That the store is unavailable is nothing that a watcher sees.
    pub async fn next(&mut self, store: &impl Store, platform: &impl Platform) -> Option<Update> {
        let now = platform.now();
        if self.news(now).is_none() {
            let due = self.watched.with(self.id, |entry| entry.due).unwrap_or(now);
            let wait_ms = due.millis_since(now).clamp(0, EVENTS_LOOK_MS);
            platform.sleep(wait_ms.unsigned_abs()).await;
            if let Err(Error { kind: ErrorKind::NotFound, .. }) = self.look(store, platform).await {
                return None;
            }
        }
        let now = platform.now();
        Some(match self.news(now) {
            Some(state) => {
                self.sent = Some(Sent {
                    sequence: state.session.sequence,
                    status: state.session.status_at(now),
                    files: Rc::clone(&state.files),
                });
                self.last_message_at = now;
                Update::State(state)
            }
            // Or the clock was set back.
            None if (0..EVENTS_SILENCE_MAX_MS).contains(&now.millis_since(self.last_message_at)) => Update::Nothing,
            None => {
                self.last_message_at = now;
                Update::Silence
            }
        })
    }

    /// Whether [`Watcher::next`] has a state at once.
    #[must_use]
    pub fn has_news(&self, platform: &impl Platform) -> bool {
        self.news(platform.now()).is_some()
    }

    /// The session, if the watcher has not seen it as it is. What it has seen may be newer.
    fn news(&self, now: Timestamp) -> Option<State> {
        let Snapshot { session, files } = self.known()?;
        let before = match &self.sent {
            Some(sent) if sent.sequence > session.sequence => return None,
            Some(sent) if (sent.sequence, sent.status) == (session.sequence, session.status_at(now)) => return None,
            Some(sent) => Some(Rc::clone(&sent.files)),
            None => None,
        };
        Some(State { session, at: now, files, before })
    }

    /// Asks the store if that is due, or waits for another watcher that does.
    async fn look(&self, store: &impl Store, platform: &impl Platform) -> Result<(), Error> {
        loop {
            match self.turn(platform.now()) {
                Turn::Use => return Ok(()),
                Turn::Wait(pause_ms) => platform.sleep(pause_ms).await,
                Turn::Ask(sequence) => {
                    let asking = Asking(self);
                    let asked =
                        deadline::in_shorter_time(platform, EVENTS_LOOK_MAX_MS, self.ask(store, sequence)).await;
                    let asked = asked.unwrap_or_else(|| Err(ErrorKind::StoreUnavailable.into()));
                    drop(asking);
                    return self.learn(platform.now(), asked);
                }
            }
        }
    }

    fn turn(&self, now: Timestamp) -> Turn {
        let turn = self.watched.with(self.id, |entry| {
            // No pause is longer than the longest, even if the clock was set back.
            let is_paused = (1..=EVENTS_LOOK_PAUSE_MAX_MS).contains(&entry.due.millis_since(now));
            if entry.is_asking {
                Turn::Wait(EVENTS_POLL_MS)
            } else if is_paused && (entry.known.is_some() || entry.failures > 0) {
                Turn::Use
            } else {
                entry.is_asking = true;
                Turn::Ask(entry.known.as_ref().map(|known| known.session.sequence))
            }
        });
        turn.unwrap_or(Turn::Use)
    }

    /// The session; what is `None` of it has not changed since `sequence`.
    async fn ask(&self, store: &impl Store, sequence: Option<u64>) -> Result<Asked, Error> {
        if let Some(sequence) = sequence {
            let progress = store.progress(self.id).await?.ok_or(ErrorKind::NotFound)?;
            if progress.sequence == sequence {
                return Ok(Asked::Unchanged { expires_at: progress.expires_at });
            }
        }
        let (session, files) = store.session_with_files(self.id).await?.ok_or(ErrorKind::NotFound)?;
        Ok(Asked::Changed(Snapshot { session, files: files.into() }))
    }

    fn learn(&self, now: Timestamp, asked: Result<Asked, Error>) -> Result<(), Error> {
        let learnt = self.watched.with(self.id, |entry| {
            let pause_ms = match asked {
                Ok(asked) => {
                    entry.failures = 0;
                    match asked {
                        Asked::Changed(snapshot) => entry.known = Some(snapshot),
                        Asked::Unchanged { expires_at } => {
                            if let Some(known) = &mut entry.known {
                                known.session.expires_at = expires_at;
                            }
                        }
                    }
                    EVENTS_LOOK_MS
                }
                Err(error) => {
                    let pause_ms = EVENTS_LOOK_MS << entry.failures.min(4);
                    entry.failures += 1;
                    entry.due = now.plus_millis(pause_ms.min(EVENTS_LOOK_PAUSE_MAX_MS));
                    return Err(error);
                }
            };
            entry.due = now.plus_millis(pause_ms);
            Ok(())
        });
        learnt.unwrap_or(Ok(()))
    }
}

/// What the store says of a session.
enum Asked {
    /// Nothing has changed but the end of its life.
    Unchanged {
        expires_at: Timestamp,
    },
    Changed(Snapshot),
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut entries = self.watched.0.borrow_mut();
        if let Some(entry) = entries.get_mut(&self.id) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                entries.remove(&self.id);
            }
        }
    }
}
