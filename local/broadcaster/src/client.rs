//! `GET /session/{id}`: a client's connection, from its token to its end.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use crate::problem::Problem;
use crate::sessions::Subscription;
use crate::{Settings, Shared};

/// Largest message that a client may send: none is read.
const INCOMING_MAX_BYTES: usize = 4096;

#[derive(Deserialize)]
pub struct TokenQuery {
    token: Option<String>,
}

/// Turns a request into a client. The token is checked first, so that requests without one learn nothing.
pub async fn connect(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    query: Result<Query<TokenQuery>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Response> {
    let token = query.ok().and_then(|Query(query)| query.token);
    let Some(granted) = token.and_then(|token| shared.token_keys.session_of(&token)) else {
        return Err(Problem::unauthorized("A good token is needed: a session's `wsUrl` has one.").into_response());
    };
    if granted != session {
        let problem = Problem::new(StatusCode::FORBIDDEN, "This token is another session's.");
        return Err(problem.into_response());
    }
    let upgrade = upgrade.map_err(IntoResponse::into_response)?;
    // From here on it gets every event: those published while the response is in flight wait in the queue.
    let Some(events) = shared.sessions.subscribe(session) else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "There are too many clients.");
        return Err(problem.into_response());
    };
    let upgrade = upgrade
        .read_buffer_size(INCOMING_MAX_BYTES)
        .max_frame_size(INCOMING_MAX_BYTES)
        .max_message_size(INCOMING_MAX_BYTES);
    Ok(upgrade.on_upgrade(async move |socket| serve(socket, events, &shared.settings).await))
}

/// Sends a client its events until it closes, is silent for too long, or is too slow.
async fn serve(mut socket: WebSocket, mut events: Subscription, settings: &Settings) {
    let mut pings = interval_at(Instant::now() + settings.ping_interval, settings.ping_interval);
    let mut heard = Instant::now();
    loop {
        let message = tokio::select! {
            event = events.next() => match event {
                Ok(text) => Message::Text(text),
                Err(_) => break,
            },
            incoming = socket.recv() => match incoming {
                Some(Ok(_)) => {
                    heard = Instant::now();
                    continue;
                }
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => Message::Ping(Default::default()),
            () = sleep_until(heard + settings.silence_limit) => return,
        };
        let Ok(Ok(())) = timeout(settings.send_limit, socket.send(message)).await else { return };
    }
    let reason = "too slow: some events are lost".into();
    let close = Message::Close(Some(CloseFrame { code: close_code::AGAIN, reason }));
    let closing = async {
        // The client's own close ends it; without waiting for that, unread pongs could make the system discard ours.
        if socket.send(close).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(settings.send_limit, closing).await;
}
