//! The relay's side: publishing at the broadcaster.

use std::time::{Duration, Instant};

use moc_contract::broadcast::{Format, Publication};
use moc_contract::event::RawEventBatch;
use moc_contract::trace::TraceContext;
use spin_sdk::wasip3::http::types::Method;

use crate::forward::ForwardResult;
use crate::outbound::{self, Payload, SendError};
use crate::platform::within;
use crate::settings;

/// What is left of the time limit for the way to the route that waits.
const CHAINING_MS: u64 = 20;
/// Largest response that is read, in bytes, for formats whose status does not show whether it succeeded.
const RESPONSE_MAX_BYTES: usize = 64 * 1024;
/// As much of a broadcaster's error as goes to the log, in characters.
const ERROR_MAX_CHARS: usize = 200;

/// Publishes events by one POST, tried once. It is given up a moment before `websocket_emit_timeout_ms`
/// are over, so that the route that waits hears why, and has nothing to give up itself.
/// The broadcaster gets the context of the trace that the events belong to.
pub async fn publish(batch: RawEventBatch, context: Option<TraceContext>) -> ForwardResult {
    let settings = match settings::broadcaster().await {
        Ok(settings) => settings,
        Err(error) => return ForwardResult::Failed(error.source.unwrap_or_default()),
    };
    let Some(settings) = settings.as_ref() else { return ForwardResult::NotConfigured };
    let publication = settings.format.publication(&settings.url, settings.key.as_deref(), batch);
    let posting = post(settings.format, publication, context);
    let limit_ms = settings.timeout_ms - CHAINING_MS.min(settings.timeout_ms / 10);
    match within(Instant::now() + Duration::from_millis(limit_ms), posting).await {
        Some(Ok(())) => ForwardResult::Sent,
        Some(Err(cause)) => ForwardResult::Failed(cause),
        None => ForwardResult::Failed(format!("the broadcaster did not respond within {limit_ms} ms")),
    }
}

async fn post(format: Format, publication: Publication, context: Option<TraceContext>) -> Result<(), String> {
    let Publication { url, key, body } = publication;
    let traced = context.map(|context| context.headers()).unwrap_or_default();
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.iter().map(|(name, value)| (*name, value.as_str())));
    headers.extend(traced.iter().map(|(name, value)| (*name, value.as_str())));
    let failed = |error: SendError| format!("the broadcaster cannot be reached: {error}");
    let reply = outbound::send(Method::Post, &url, &headers, Payload::Bytes(body)).await.map_err(failed)?;
    if !(200..300).contains(&reply.status) {
        return Err(format!("the broadcaster responded {}", reply.status));
    }
    if format.reports_errors_by_status() {
        return Ok(());
    }
    let response = reply.read(RESPONSE_MAX_BYTES, true).await.map_err(failed)?;
    match Format::error_inside(&response) {
        None => Ok(()),
        Some(error) => {
            let error: String = error.chars().take(ERROR_MAX_CHARS).collect();
            Err(format!("the broadcaster responded with an error: {error}"))
        }
    }
}
