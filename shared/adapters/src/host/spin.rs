//! Spin: its variables, its key-value store, and its private routes, which are components of their own.

use moc_application::deliver_webhook::DeliveryOutcome;
use moc_contract::event::EventBatch;
use moc_contract::path;
use moc_contract::sweep::SweepBody;
use moc_contract::trace::{TraceBatch, TraceContext};
use moc_contract::webhook::SweepResponse;
use moc_domain::id::MocId;
use moc_domain::limits::{SWEEP_AFTER_RESPONSE_MAX_MS, WEBHOOK_SWEEP_WAITED_FOR_MS};
use spin_sdk::key_value::Store;
use spin_sdk::variables;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::forward::ForwardResult;
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS, Response, SendError};
use crate::platform::RequestPlatform;
use crate::{background, webhook};

/// The private components, which nobody outside of the application reaches.
const RELAY: &str = "http://progress-relay.spin.internal/";
const EXPORTER: &str = "http://trace-exporter.spin.internal/";
const HOSTED_EXPORTER: &str = "http://hosted-trace-exporter.spin.internal/";
const SENDER: &str = "http://webhook-sender.spin.internal";
const SWEEPER: &str = "http://sweeper.spin.internal";
const THUMBNAILER: &str = "http://thumbnailer.spin.internal/";

/// Largest response to a sweep that is read, in bytes.
const SWEEP_RESPONSE_MAX_BYTES: usize = 1024;

/// A variable; `None` if it is not granted to this component, which has no use for it then.
///
/// # Errors
/// Why it cannot be read, for the log.
pub async fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// What an instance of any component has shared under this name.
pub async fn shared(name: &str) -> Option<Vec<u8>> {
    Store::open_default().await.ok()?.get(name).await.ok()?
}

/// Shares a value with all instances, as far as the store is available.
pub async fn share(name: &str, value: Vec<u8>) {
    if let Ok(store) = Store::open_default().await {
        let _ = store.set(name, value).await;
    }
}

/// Has the relay publish events.
pub async fn publish(batches: &[EventBatch], context: Option<&TraceContext>, limit_ms: u64) -> ForwardResult {
    let headers = context.map(TraceContext::headers).unwrap_or_default();
    forward(limit_ms, "progress-relay", RELAY, &headers, serde_json::to_vec(batches)).await
}

/// Has an exporter send a trace: the one that is granted the host of a collector whose URL has a path, or the other.
pub async fn export(batch: TraceBatch, has_path: bool) -> ForwardResult {
    let exporter = if has_path { HOSTED_EXPORTER } else { EXPORTER };
    forward(RESPONSE_TIMEOUT_MS, "the exporter", exporter, &[], serde_json::to_vec(&batch)).await
}

/// Has the sender deliver the webhook of a MOC.
///
/// # Errors
/// Why the outcome is not known, for the log.
pub async fn deliver(
    moc: MocId,
    platform: RequestPlatform,
    context: Option<TraceContext>,
) -> Result<DeliveryOutcome, String> {
    let url = Url::parse(&format!("{SENDER}{}", path::delivery(moc))).map_err(|error| error.to_string())?;
    let headers = context.as_ref().map(TraceContext::headers).unwrap_or_default();
    let headers = outbound::borrowed(&headers);
    let reply = outbound::send_within(webhook::limit_ms(platform), Method::Post, &url, &headers, Payload::Empty).await;
    let reply = reply.map_err(|error| format!("the webhook sender: {error}"))?;
    let outcome = match reply.status {
        204 => DeliveryOutcome::Delivered,
        404 => DeliveryOutcome::Nothing,
        502 => DeliveryOutcome::Failed(reply.cause().await),
        status => return Err(format!("the webhook sender responded {status}")),
    };
    if background::is_inline().await {
        // What is not delivered stays due.
        let _ = post_sweep(SENDER, webhook::limit_ms(platform).min(WEBHOOK_SWEEP_WAITED_FOR_MS), Payload::Empty).await;
    }
    Ok(outcome)
}

/// Has the sender deliver what is due; `None` if no receiver is configured.
///
/// # Errors
/// Why it is not known what was delivered, for the log.
pub async fn sweep_webhooks(platform: RequestPlatform) -> Result<Option<SweepResponse>, String> {
    let reply = post_sweep(SENDER, webhook::sweep_limit_ms(platform), Payload::Empty).await;
    let reply = reply.map_err(|error| format!("the webhook sender: {error}"))?;
    match reply.status {
        501 => Ok(None),
        200 => {
            let body = reply.read(SWEEP_RESPONSE_MAX_BYTES, true).await.map_err(|error| error.to_string())?;
            serde_json::from_slice(&body).map(Some).map_err(|error| format!("the webhook sender's response: {error}"))
        }
        status => Err(format!("the webhook sender responded {status}")),
    }
}

/// Has the sweeper sweep.
///
/// # Errors
/// Why it has not, for the log.
pub async fn sweep(wanted: SweepBody) -> Result<(), String> {
    let body = serde_json::to_vec(&wanted).map_err(|error| error.to_string())?;
    let reply = post_sweep(SWEEPER, SWEEP_AFTER_RESPONSE_MAX_MS, Payload::Bytes(body)).await;
    let reply = reply.map_err(|error| format!("the sweeper: {error}"))?;
    // It has a line of its own in the log.
    if reply.status < 500 { Ok(()) } else { Err(format!("the sweeper responded {}", reply.status)) }
}

/// Asks a component for a sweep, and waits for a limited time.
async fn post_sweep(component: &str, limit_ms: u64, body: Payload) -> Result<Response, SendError> {
    let url = Url::parse(&format!("{component}{}", path::SWEEP));
    let url = url.map_err(|error| SendError::Denied(error.to_string()))?;
    outbound::send_within(limit_ms, Method::Post, &url, &[("content-type", "application/json")], body).await
}

/// Sends the thumbnailer a picture.
pub async fn send_to_thumbnailer(headers: &[(&'static str, String)], picture: Payload) -> Result<Response, SendError> {
    let url = Url::parse(THUMBNAILER).map_err(|error| SendError::Denied(error.to_string()))?;
    outbound::send(Method::Post, &url, &outbound::borrowed(headers), picture).await
}

/// Sends a component a POST of JSON with these headers. Not generic: components have it once.
async fn forward(
    limit_ms: u64,
    component: &str,
    url: &str,
    headers: &[(&'static str, String)],
    body: serde_json::Result<Vec<u8>>,
) -> ForwardResult {
    let (Ok(url), Ok(body)) = (Url::parse(url), body) else {
        return ForwardResult::Failed(format!("what {component} should get cannot be written"));
    };
    let mut headers = outbound::borrowed(headers);
    headers.push(("content-type", "application/json"));
    let reply = match outbound::send_within(limit_ms, Method::Post, &url, &headers, Payload::Bytes(body)).await {
        Ok(reply) => reply,
        Err(error) => return ForwardResult::Failed(format!("{component}: {error}")),
    };
    match reply.status {
        200..300 => ForwardResult::Sent,
        422 => ForwardResult::Rejected(reply.cause().await),
        501 => ForwardResult::NotConfigured,
        502 => ForwardResult::Failed(reply.cause().await),
        status => ForwardResult::Failed(format!("{component} responded {status}")),
    }
}
