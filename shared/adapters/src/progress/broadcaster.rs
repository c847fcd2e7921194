//! The relay's side: publishing at the broadcaster.

use std::time::{Duration, Instant};

use futures::future::join_all;
use moc_config::BroadcasterSettings;
use moc_contract::broadcast::{Format, Publication};
use moc_contract::event::EventBatch;
use moc_contract::trace::TraceContext;
use moc_domain::error::Error;
use moc_domain::limits::{EVENT_BATCH_MAX_BYTES, PRIVATE_BODY_MAX_MS};
use spin_sdk::wasip3::http::types::Method;

use crate::body::Body;
use crate::forward::ForwardResult;
use crate::http::{Request, Response};
use crate::outbound::{self, Payload, SendError};
use crate::{settings, trace};

/// What is left of the time limit for the way to the route that waits.
const CHAINING_MS: u64 = 20;
/// Largest response that is read, in bytes, for formats whose status does not show whether it succeeded.
const RESPONSE_MAX_BYTES: usize = 64 * 1024;
/// As much of a broadcaster's error as goes to the log, in characters.
const ERROR_MAX_CHARS: usize = 200;

/// Responds to a route that has events for the broadcaster. One that takes them as routes write them gets the body of
/// the request itself, and the route gets its response: the host moves both, and their bytes never enter the instance.
///
/// # Errors
/// Those of a request that no route sends.
pub async fn relay(request: &mut Request) -> Result<Response, Error> {
    request.allow("POST")?;
    let context = trace::context_of(request);
    if let Ok(Some(settings)) = settings::broadcaster().await.as_deref()
        && settings.format == Format::JsonBatch
        && let Some(length) = request.content_length().filter(|length| *length <= EVENT_BATCH_MAX_BYTES)
        && let Some(body) = request.body()
    {
        return Ok(pass_on(settings, context, body, length).await);
    }
    let body = request.whole_body(EVENT_BATCH_MAX_BYTES, PRIVATE_BODY_MAX_MS).await?;
    Ok(publish(&EventBatch::read_all(body.as_ref())?, context).await.into())
}

async fn pass_on(settings: &BroadcasterSettings, context: Option<TraceContext>, body: Body, length: u64) -> Response {
    let key = settings.key.as_deref().map(|key| settings.format.key_header(key));
    let headers = headers(key, context.as_ref());
    let sent = outbound::pass_on(limit_ms(settings), &settings.url, &outbound::borrowed(&headers), body, length).await;
    match sent.map_err(Failure::from).and_then(accepted) {
        Ok(reply) => Response::passed_on(reply.status, reply.into_host()),
        Err(failure) => failure.into_result(settings).into(),
    }
}

/// Publishes events, of each session once. It is given up a moment before `websocket_emit_timeout_ms`
/// are over, so that the route that waits hears why, and has nothing to give up itself.
/// The broadcaster gets the context of the trace that the events belong to.
pub async fn publish(batches: &[EventBatch], context: Option<TraceContext>) -> ForwardResult {
    let settings = match settings::broadcaster().await {
        Ok(settings) => settings,
        Err(error) => return ForwardResult::Failed(error.source.unwrap_or_default()),
    };
    let Some(settings) = settings.as_ref() else { return ForwardResult::NotConfigured };
    let deadline = Instant::now() + Duration::from_millis(limit_ms(settings));
    match (Publisher { settings, context, deadline }).publish(batches).await {
        Ok(()) => ForwardResult::Sent,
        Err(failure) => failure.into_result(settings),
    }
}

fn headers(key: Option<(&'static str, String)>, context: Option<&TraceContext>) -> Vec<(&'static str, String)> {
    let traced = context.map(TraceContext::headers).unwrap_or_default();
    [("content-type", "application/json".to_owned())].into_iter().chain(key).chain(traced).collect()
}

fn limit_ms(settings: &BroadcasterSettings) -> u64 {
    settings.timeout_ms - CHAINING_MS.min(settings.timeout_ms / 10)
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

impl Failure {
    fn into_result(self, settings: &BroadcasterSettings) -> ForwardResult {
        match self {
            Self::Late => {
                ForwardResult::Failed(format!("the broadcaster did not respond within {} ms", limit_ms(settings)))
            }
            Self::Rejected(cause) if settings.format.joins_sessions() => ForwardResult::Rejected(cause),
            Self::Rejected(cause) | Self::Other(cause) => ForwardResult::Failed(cause),
        }
    }
}

/// A response whose status says that the broadcaster has taken what was sent.
fn accepted(reply: outbound::Response) -> Result<outbound::Response, Failure> {
    match reply.status {
        200..300 => Ok(reply),
        status @ (400 | 413 | 422) => Err(Failure::Rejected(format!("the broadcaster responded {status}"))),
        status => Err(Failure::Other(format!("the broadcaster responded {status}"))),
    }
}

struct Publisher<'a> {
    settings: &'a BroadcasterSettings,
    context: Option<TraceContext>,
    deadline: Instant,
}

impl Publisher<'_> {
    /// At once; the error is the first of them.
    async fn publish(&self, batches: &[EventBatch]) -> Result<(), Failure> {
        let BroadcasterSettings { format, url, key, .. } = self.settings;
        let publications = format.publications(url, key.as_deref(), batches);
        let posts = publications.into_iter().map(|publication| self.post(publication));
        join_all(posts).await.into_iter().collect()
    }

    async fn post(&self, publication: Publication) -> Result<(), Failure> {
        let Publication { url, key, body } = publication;
        let headers = headers(key, self.context.as_ref());
        let headers = outbound::borrowed(&headers);
        let left = self.deadline.saturating_duration_since(Instant::now()).as_millis();
        let left_ms = u64::try_from(left).unwrap_or(u64::MAX);
        let reply = outbound::send_within(left_ms, Method::Post, &url, &headers, Payload::Bytes(body)).await?;
        let reply = accepted(reply)?;
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
