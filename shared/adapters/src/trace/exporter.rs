//! The exporter's side: sending spans to the collector.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use moc_config::CollectorSettings;
use moc_contract::trace::TraceBatch;
use moc_domain::limits::{TRACE_EXPORT_MAX_MS, TRACE_EXPORT_WAITED_FOR_MS, TRACE_PAUSE_MS};
use spin_sdk::wasip3::http::types::Method;

use super::otlp;
use crate::breaker::{self, Breaker};
use crate::forward::ForwardResult;
use crate::outbound::{self, Payload};
use crate::platform::within;
use crate::{background, settings};

/// What is left of the time limit for the way to the route that waits, and for sharing a pause with other instances.
const CHAINING_MS: u64 = 500;
/// As OTLP asks of exporters.
const USER_AGENT: (&str, &str) = ("user-agent", concat!("moc-uploads/", env!("CARGO_PKG_VERSION")));

thread_local! {
    static BREAKER: Breaker = const { Breaker::new("collector-pause-ends", TRACE_PAUSE_MS) };
}

/// Sends a trace to the collector by one POST, tried once. After a failure nothing is sent for a while, by any instance
/// that learns of it.
pub async fn export(batch: TraceBatch) -> ForwardResult {
    let settings = match settings::collector().await {
        Ok(settings) => settings,
        Err(error) => return ForwardResult::Failed(error.source.unwrap_or_default()),
    };
    let Some(settings) = settings.as_ref() else { return ForwardResult::NotConfigured };
    if breaker::is_open(&BREAKER, settings.url.as_str()).await {
        return ForwardResult::NotConfigured;
    }
    let max_ms = if background::is_inline().await { TRACE_EXPORT_WAITED_FOR_MS } else { TRACE_EXPORT_MAX_MS };
    let limit_ms = max_ms - CHAINING_MS;
    let posting = post(settings, batch);
    let cause = match within(Instant::now() + Duration::from_millis(limit_ms), posting).await {
        Some(Ok(())) => return ForwardResult::Sent,
        Some(Err(cause)) => cause,
        None => format!("the collector did not respond within {limit_ms} ms"),
    };
    // Of several that have met it, one says so.
    let is_first = breaker::open(&BREAKER, settings.url.as_str()).await;
    if is_first { ForwardResult::Failed(cause) } else { ForwardResult::NotConfigured }
}

async fn post(settings: &CollectorSettings, batch: TraceBatch) -> Result<(), String> {
    let CollectorSettings { url, headers: given, gzip } = settings;
    let mut headers = vec![("content-type", "application/x-protobuf")];
    let mut body = otlp::request(batch);
    if *gzip {
        headers.push(("content-encoding", "gzip"));
        body = compressed(&body).map_err(|error| format!("the trace cannot be compressed: {error}"))?;
    }
    headers.extend(given.iter());
    if !headers.iter().any(|(name, _)| *name == USER_AGENT.0) {
        headers.push(USER_AGENT);
    }
    match outbound::send(Method::Post, url, &headers, Payload::Bytes(body)).await {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
        Ok(reply) => Err(format!("the collector responded {}", reply.status)),
        Err(error) => Err(format!("the collector cannot be reached: {error}")),
    }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
