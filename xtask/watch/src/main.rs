//! Shows a session's progress events as they come: a JSON line for each, or bars on a terminal.
//!
//! Events are advisory, and those that come while nobody listens are lost. So the session's state is
//! asked for after every connection, and from time to time while nothing comes.

mod api;
mod backoff;
mod connection;
mod event;
mod progress;
mod view;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::api::{Api, Response, State};
use crate::backoff::Backoff;
use crate::connection::{Connection, Incoming};
use crate::progress::Progress;
use crate::view::View;

/// How long the second of the two events that end a session is waited for.
const LAST_EVENT_LIMIT: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(name = "moc-watch", about = "Show a session's progress events as they come")]
struct Options {
    /// The session
    session_id: String,
    /// Where the app is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    base_url: String,
    /// The user's token, where the app wants one
    #[arg(long, value_name = "JWT", env = "MOC_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How often the session's state is asked for while no event comes
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    refresh_seconds: u64,
    /// The pause before the second attempt; each later one is twice as long, up to 40 times
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 250)]
    retry_ms: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // It fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut watch = Watch {
        api: Api::new(&options.base_url, &options.session_id, options.token.as_deref())?,
        refresh: Duration::from_secs(options.refresh_seconds.max(1)),
        progress: Progress::default(),
        view: View::new(),
    };
    let mut backoff = Backoff::new(Duration::from_millis(options.retry_ms));
    let mut is_first = true;
    loop {
        let (reason, was_heard) = match watch.connect_and_follow(is_first)? {
            End::Over => return Ok(()),
            End::Lost { reason, was_heard } => (reason, was_heard),
        };
        if was_heard {
            backoff.reset();
        }
        let Some(pause) = backoff.next() else { bail!("{reason}; given up") };
        watch.view.notice(&format!("{reason}; trying again in {} ms", pause.as_millis()));
        sleep(pause);
        is_first = false;
    }
}

/// How a connection ended.
enum End {
    /// With the session.
    Over,
    /// In another way: the next may do better.
    Lost {
        /// Why.
        reason: String,
        /// Whether anything came by it.
        was_heard: bool,
    },
}

impl End {
    fn unheard(reason: String) -> Self {
        Self::Lost { reason, was_heard: false }
    }
}

struct Watch {
    api: Api,
    refresh: Duration,
    progress: Progress,
    view: View,
}

impl Watch {
    /// One connection, from the session's state to its end.
    fn connect_and_follow(&mut self, is_first: bool) -> Result<End> {
        let state = match self.api.state()? {
            Response::State(state) => state,
            Response::Unavailable(reason) if is_first => bail!(reason),
            Response::Unavailable(reason) => return Ok(End::unheard(reason)),
        };
        if state.is_over() {
            self.show(&state, true)?;
            return Ok(End::Over);
        }
        let url = state.ws_url.as_deref().context("this session has no wsUrl: the app sends no progress events")?;
        let connection = match Connection::open(url) {
            Ok(connection) => connection,
            Err(error) => return Ok(End::unheard(format!("the broadcaster cannot be reached: {error:#}"))),
        };
        // Once more, for what happened until the connection was open.
        match self.api.state()? {
            Response::State(state) => {
                self.show(&state, !is_first || state.is_over())?;
                if state.is_over() {
                    return Ok(End::Over);
                }
            }
            Response::Unavailable(reason) => return Ok(End::unheard(reason)),
        }
        self.view.notice(&format!("watching session {}", self.api.session_id()));
        self.follow(connection)
    }

    fn follow(&mut self, mut connection: Connection) -> Result<End> {
        let mut was_heard = false;
        let mut refreshed = Instant::now();
        let mut ends_since = None;
        loop {
            match connection.next() {
                Ok(Incoming::Text(text)) => {
                    (was_heard, refreshed) = (true, Instant::now());
                    self.take(&text)?;
                }
                Ok(Incoming::Control) => was_heard = true,
                Ok(Incoming::Nothing) => {}
                Err(_) if ends_since.is_some() => return Ok(End::Over),
                Err(error) => return Ok(End::Lost { reason: format!("{error:#}"), was_heard }),
            }
            if self.progress.is_ending() {
                let since = *ends_since.get_or_insert_with(Instant::now);
                if self.progress.has_ended() || since.elapsed() >= LAST_EVENT_LIMIT {
                    return Ok(End::Over);
                }
            } else if refreshed.elapsed() >= self.refresh {
                // Not every end has an event.
                refreshed = Instant::now();
                if let Response::State(state) = self.api.state()? {
                    self.show(&state, state.is_over())?;
                    if state.is_over() {
                        return Ok(End::Over);
                    }
                }
            }
        }
    }

    fn take(&mut self, text: &str) -> Result<()> {
        let Some(events) = event::split(text) else {
            self.view.notice("a message that is no event was left out");
            return Ok(());
        };
        for event in &events {
            self.progress.add(&event.known);
            self.view.event(event, &self.progress)?;
        }
        Ok(())
    }

    /// Takes a state over; `tells` also if there are no bars to show it.
    fn show(&mut self, state: &State, tells: bool) -> Result<()> {
        self.progress.set(state);
        self.view.state(state, &self.progress, tells)
    }
}
