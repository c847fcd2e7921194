//! Streams the states of a session to one who watches it, as server-sent events.
//!
//! A stream ends after `events_max_seconds`, because it occupies its instance, and with the session. Every second it
//! looks whether its client is still there: nothing asks the store for one that has left.

use std::rc::Rc;
use std::time::{Duration, Instant};

use moc_application::follow_session::{State, Update, Watched, Watcher};
use moc_application::port::Platform as _;
use moc_contract::server_sent::{self, COMMENT, MEDIA_TYPE, WatchedSession};
use moc_domain::error::Error;
use moc_domain::id::SessionId;

use crate::http::{BodyWriter, ClientLeft, Request, Response};
use crate::log::RequestLog;
use crate::platform::{RequestPlatform, within};
use crate::settings;
use crate::store::Store;

thread_local! {
    static WATCHED: Rc<Watched> = Rc::default();
}

/// The states of a session, from now on or from the `Last-Event-ID` of the request on. The caller has checked that the
/// client may watch it.
///
/// # Errors
/// Those of [`Watched::watch`]; [`moc_domain::error::ErrorKind::Internal`] if the configuration cannot be read.
pub async fn respond(request: &Request, log: &RequestLog, store: Store, session: SessionId) -> Result<Response, Error> {
    let platform = request.platform();
    let max_ms = 1_000 * settings::event_streams().await?.max_seconds;
    let left_ms = platform.ends_at.map(|ends_at| ends_at.millis_since(platform.now()).max(0).unsigned_abs());
    let ends_at = Instant::now() + Duration::from_millis(left_ms.map_or(max_ms, |left_ms| left_ms.min(max_ms)));
    let seen = request.header("last-event-id").and_then(server_sent::last_sequence);
    let watcher = WATCHED.with(Rc::clone).watch(&store, &platform, session, seen).await?;
    let is_head = request.method() == "HEAD";
    let log = log.clone();
    let write = async move |writer| {
        let mut stream = Stream { watcher, store, platform, writer, messages: 0 };
        let written = if is_head { Ok(()) } else { stream.run(ends_at).await };
        log.set("messages", stream.messages);
        written
    };
    let response = Response::streamed(MEDIA_TYPE, write);
    // nginx would otherwise hold messages back until a buffer is full.
    Ok(response.with_header("x-accel-buffering", "no"))
}

struct Stream {
    watcher: Watcher,
    store: Store,
    platform: RequestPlatform,
    writer: BodyWriter,
    /// How many were sent.
    messages: u64,
}

impl Stream {
    async fn run(&mut self, ends_at: Instant) -> Result<(), ClientLeft> {
        let mut unsent = server_sent::opening();
        // Otherwise it goes with the first state: a second packet would wait for the acknowledgement of the first one.
        if !self.watcher.has_news(&self.platform) {
            self.writer.write(unsent.as_bytes()).await?;
            unsent.clear();
        }
        while let Some(Some(update)) = within(ends_at, self.watcher.next(&self.store, &self.platform)).await {
            let is_last = match &update {
                Update::Nothing => false,
                Update::Silence => {
                    unsent.push_str(COMMENT);
                    false
                }
                Update::State(state) => {
                    self.add(&mut unsent, state);
                    state.is_last()
                }
            };
            if unsent.is_empty() {
                self.writer.probe().await?;
            } else {
                self.writer.write(unsent.as_bytes()).await?;
                unsent.clear();
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, unsent: &mut String, state: &State) {
        let (files, are_all) = state.files();
        unsent.push_str(&WatchedSession::with_files(&state.session, state.at, files, are_all).event());
        self.messages += 1;
        if state.is_last() {
            unsent.push_str(&server_sent::end(&state.session, state.at));
            self.messages += 1;
        }
    }
}
