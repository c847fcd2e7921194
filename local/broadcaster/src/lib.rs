//! A WebSocket broadcaster: what is POSTed about a session reaches every client that watches it.
//!
//! `GET /session/{id}?token=` is a WebSocket that gets every event of one session as a text message; `POST
//! /ws/broadcast` publishes events. Nothing is stored: a client gets what is published while it is connected, and one
//! that cannot keep up is closed with 1013 and asks for the state instead.

mod client;
mod problem;
mod publish;
mod sessions;
mod token;

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;

use crate::problem::Problem;
use crate::sessions::Sessions;
use crate::token::TokenKeys;

/// Largest body of a POST.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// Who may publish and receive events, and the limits of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bearer token of publishers; if empty, nobody can publish.
    pub key: String,
    /// The secret that signs clients' tokens; if empty, no token is valid.
    pub token_secret: String,
    /// The secret that signed them before, while secrets are rotated; or an empty text.
    pub previous_token_secret: String,
    /// How many messages of a session may wait for its slowest client.
    pub queue_max: usize,
    /// How long one message may take to be sent.
    pub send_limit: Duration,
    /// How often a client is pinged.
    pub ping_interval: Duration,
    /// How long a client may be silent.
    pub silence_limit: Duration,
    /// Most clients of a session.
    pub session_clients_max: usize,
    /// Most clients.
    pub clients_max: usize,
}

impl Settings {
    pub fn new(key: String, token_secret: String) -> Self {
        Self {
            key,
            token_secret,
            previous_token_secret: String::new(),
            queue_max: 256,
            send_limit: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
            silence_limit: Duration::from_secs(60),
            session_clients_max: 256,
            clients_max: 4096,
        }
    }
}

/// What the handlers share.
struct Shared {
    sessions: Arc<Sessions>,
    token_keys: TokenKeys,
    settings: Settings,
}

/// A broadcaster that is ready to serve.
pub struct Broadcaster {
    listener: TcpListener,
    router: Router,
}

impl Broadcaster {
    /// Listens on `address`, where port 0 is any free one; also returns the real address.
    pub async fn bind(address: SocketAddr, settings: Settings) -> Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!("{address} is already in use"),
            _ => anyhow!("cannot listen on {address}: {error}"),
        });
        let listener = listener.context("the broadcaster cannot start (--broadcast-listen names another address)")?;
        let address = listener.local_addr()?;
        Ok((Self { listener, router: router(settings) }, address))
    }

    /// Rejects requests that `allows` does not take with 421 (RFC 9110, section 15.5.20) and this detail.
    #[must_use]
    pub fn guarded(
        mut self,
        allows: impl Fn(&Request) -> bool + Clone + Send + Sync + 'static,
        detail: &'static str,
    ) -> Self {
        self.router = self.router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let is_allowed = allows(&request);
            async move {
                if is_allowed {
                    next.run(request).await
                } else {
                    Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
                }
            }
        }));
        self
    }

    /// Serves until the process ends.
    pub async fn run(self) {
        // Events are small and each is to arrive at once: Nagle would only add delay.
        let listener = self.listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        // It does not end: errors affect one connection.
        let _ = axum::serve(listener, self.router).await;
    }
}

fn router(settings: Settings) -> Router {
    let shared = Shared {
        sessions: Arc::new(Sessions::new(settings.queue_max, settings.session_clients_max, settings.clients_max)),
        token_keys: TokenKeys::new([settings.token_secret.as_str(), &settings.previous_token_secret]),
        settings,
    };
    Router::new()
        .route("/session/{id}", get(client::connect))
        .route("/ws/broadcast", post(publish::publish))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method.")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(Arc::new(shared))
}
