//! The exporter's side: sending spans to the collector.

use std::time::{Duration, Instant};

use moc_contract::trace::TraceBatch;
use moc_domain::limits::TRACE_EXPORT_MAX_MS;
use spin_sdk::wasip3::http::types::Method;

use super::otlp;
use crate::forward::ForwardResult;
use crate::outbound::{self, Payload};
use crate::platform::within;
use crate::settings;

/// Where a collector takes traces (OTLP 1.0, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";
/// What is left of the time limit for the way to the route that waits.
const CHAINING_MS: u64 = 500;

/// Sends a trace to the collector by one POST, tried once.
pub async fn export(batch: TraceBatch) -> ForwardResult {
    let settings = match settings::trace().await {
        Ok(settings) => settings,
        Err(error) => return ForwardResult::Failed(error.source.unwrap_or_default()),
    };
    let Some(settings) = settings.as_ref() else { return ForwardResult::NotConfigured };
    let mut url = settings.endpoint.clone();
    url.set_path(PATH);
    let headers = [("content-type", "application/x-protobuf")];
    let posting = outbound::send(Method::Post, &url, &headers, Payload::Bytes(otlp::request(batch)));
    let limit_ms = TRACE_EXPORT_MAX_MS - CHAINING_MS;
    match within(Instant::now() + Duration::from_millis(limit_ms), posting).await {
        Some(Ok(reply)) if (200..300).contains(&reply.status) => ForwardResult::Sent,
        Some(Ok(reply)) => ForwardResult::Failed(format!("the collector responded {}", reply.status)),
        Some(Err(error)) => ForwardResult::Failed(format!("the collector cannot be reached: {error}")),
        None => ForwardResult::Failed(format!("the collector did not respond within {limit_ms} ms")),
    }
}
