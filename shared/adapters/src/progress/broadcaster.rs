//! The relay's side: publishing at the broadcaster.

use std::time::{Duration, Instant};

use futures::future::join_all;
use moc_config::BroadcasterSettings;
use moc_contract::broadcast::{Format, Publication};
use moc_contract::event::EventBatch;
use moc_contract::trace::TraceContext;
use spin_sdk::wasip3::http::types::Method;

use crate::forward::ForwardResult;
use crate::outbound::{self, Payload, SendError};
use crate::settings;

/// What is left of the time limit for the way to the route that waits.
const CHAINING_MS: u64 = 20;
/// Largest response that is read, in bytes, for formats whose status does not show whether it succeeded.
const RESPONSE_MAX_BYTES: usize = 64 * 1024;
/// As much of a broadcaster's error as goes to the log, in characters.
const ERROR_MAX_CHARS: usize = 200;

/// Publishes events, of each session once. It is given up a moment before `websocket_emit_timeout_ms`
/// are over, so that the route that waits hears why, and has nothing to give up itself.
/// The broadcaster gets the context of the trace that the events belong to.
pub async fn publish(batches: Vec<EventBatch>, context: Option<TraceContext>) -> ForwardResult {
    let settings = match settings::broadcaster().await {
        Ok(settings) => settings,
        Err(error) => return ForwardResult::Failed(error.source.unwrap_or_default()),
    };
    let Some(settings) = settings.as_ref() else { return ForwardResult::NotConfigured };
    let limit_ms = settings.timeout_ms - CHAINING_MS.min(settings.timeout_ms / 10);
    let publisher = Publisher { settings, context, deadline: Instant::now() + Duration::from_millis(limit_ms) };
    match publisher.publish(&batches).await {
        Ok(()) => ForwardResult::Sent,
        Err(Failure::Late) => ForwardResult::Failed(format!("the broadcaster did not respond within {limit_ms} ms")),
        Err(Failure::Rejected(cause) | Failure::Other(cause)) => ForwardResult::Failed(cause),
    }
}

/// Why events are not published.
enum Failure {
    Late,
    /// The broadcaster does not take what was sent.
    Rejected(String),
    Other(String),
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Timeout(_) => Self::Late,
            error => Self::Other(format!("the broadcaster cannot be reached: {error}")),
        }
    }
}

struct Publisher<'a> {
    settings: &'a BroadcasterSettings,
    context: Option<TraceContext>,
    deadline: Instant,
}

impl Publisher<'_> {
    async fn publish(&self, batches: &[EventBatch]) -> Result<(), Failure> {
        let published = match <[Publication; 1]>::try_from(self.publications(batches)) {
            Ok([only]) => self.post(only).await,
            Err(several) => return self.post_all(several).await,
        };
        match published {
            // Nothing of it is published: a session that the broadcaster rejects must not cost the others their events.
            Err(Failure::Rejected(_)) if batches.len() > 1 => {
                self.post_all(batches.chunks(1).flat_map(|batch| self.publications(batch))).await
            }
            result => result,
        }
    }

    fn publications(&self, batches: &[EventBatch]) -> Vec<Publication> {
        let BroadcasterSettings { format, url, key, .. } = self.settings;
        format.publications(url, key.as_deref(), batches)
    }

    /// At once; the error is the first of them.
    async fn post_all(&self, publications: impl IntoIterator<Item = Publication>) -> Result<(), Failure> {
        join_all(publications.into_iter().map(|publication| self.post(publication))).await.into_iter().collect()
    }

    async fn post(&self, publication: Publication) -> Result<(), Failure> {
        let Publication { url, key, body } = publication;
        let traced = self.context.as_ref().map(TraceContext::headers).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.iter().map(|(name, value)| (*name, value.as_str())));
        headers.extend(traced.iter().map(|(name, value)| (*name, value.as_str())));
        let left = self.deadline.saturating_duration_since(Instant::now()).as_millis();
        let left_ms = u64::try_from(left).unwrap_or(u64::MAX);
        let reply = outbound::send_within(left_ms, Method::Post, &url, &headers, Payload::Bytes(body)).await?;
        match reply.status {
            200..300 => {}
            status @ (400 | 413 | 422) => {
                return Err(Failure::Rejected(format!("the broadcaster responded {status}")));
            }
            status => return Err(Failure::Other(format!("the broadcaster responded {status}"))),
        }
        if self.settings.format.reports_errors_by_status() {
            return Ok(());
        }
        let response = reply.read(RESPONSE_MAX_BYTES, true).await?;
        match Format::error_inside(&response) {
            None => Ok(()),
            Some(error) => {
                let error: String = error.chars().take(ERROR_MAX_CHARS).collect();
                Err(Failure::Other(format!("the broadcaster responded with an error: {error}")))
            }
        }
    }
}
