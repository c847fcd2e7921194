//! Webhooks: finalize hands a delivery to the sender, and the sender makes it.

mod receiver;
mod signature;

use moc_application::deliver_webhook::DeliveryOutcome;
use moc_application::port::Platform as _;
use moc_contract::path;
use moc_contract::trace::TraceContext;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::MocId;
use moc_domain::limits::WEBHOOK_DELIVERY_MAX_MS;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

pub use receiver::HttpReceiver;

use crate::forward;
use crate::http::Response;
use crate::log;
use crate::outbound::{self, Payload};
use crate::platform::RequestPlatform;

/// The sender, which knows the receiver: a private route of the same application.
const SENDER: &str = "http://webhook-sender.spin.internal";

/// Has the webhook of a MOC delivered, and waits until that is settled: a minute at most, or as long as the request may
/// last. `context` is the trace that it belongs to. If another instance delivers it, or has done so, there is nothing to do.
///
/// # Errors
/// [`ErrorKind::Internal`] with the cause where it was not delivered. The sender has said so in the log
/// where it is given up; else a later sweep goes on.
pub async fn send(moc: MocId, platform: RequestPlatform, context: Option<TraceContext>) -> Result<(), Error> {
    let failed = |cause: String| Error::with_source(ErrorKind::Internal, cause);
    // The sender logs what it gives up, and nobody else what it has not heard of.
    let unheard = |cause: String| {
        log::warn(&format!("the webhook of MOC {moc} waits for a sweep: {cause}"));
        failed(cause)
    };
    let Ok(url) = Url::parse(&format!("{SENDER}{}", path::delivery(moc))) else { return Ok(()) };
    let left_ms = platform.ends_at.map(|ends_at| ends_at.millis_since(platform.now()).max(0));
    let limit_ms = left_ms.unwrap_or(WEBHOOK_DELIVERY_MAX_MS).min(WEBHOOK_DELIVERY_MAX_MS).unsigned_abs();
    let headers = context.as_ref().map(TraceContext::headers).unwrap_or_default();
    let headers = outbound::borrowed(&headers);
    let reply = outbound::send_within(limit_ms, Method::Post, &url, &headers, Payload::Empty).await;
    let reply = reply.map_err(|error| unheard(format!("the webhook sender: {error}")))?;
    match reply.status {
        204 | 404 => Ok(()),
        502 => Err(failed(reply.cause().await)),
        status => Err(unheard(format!("the webhook sender responded {status}"))),
    }
}

impl From<DeliveryOutcome> for Response {
    fn from(outcome: DeliveryOutcome) -> Self {
        match outcome {
            DeliveryOutcome::Delivered => forward::ForwardResult::Sent.into(),
            DeliveryOutcome::Failed(cause) => forward::ForwardResult::Failed(cause).into(),
            DeliveryOutcome::Left => forward::ForwardResult::Failed("a later sweep goes on".into()).into(),
            DeliveryOutcome::Nothing => Self::new(404, "text/plain", b"there is nothing to deliver".to_vec()),
        }
    }
}

/// The sender's response if no receiver is configured.
#[must_use]
pub fn not_configured() -> Response {
    forward::ForwardResult::NotConfigured.into()
}
