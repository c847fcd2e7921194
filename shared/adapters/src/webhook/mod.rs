//! Webhooks: finalize hands a delivery to the sender, and the sender makes it.

mod receiver;
mod signature;

use moc_application::deliver_webhook::{self, DeliveryOutcome};
use moc_application::port::{Outbox as _, Platform as _};
use moc_contract::trace::TraceContext;
use moc_contract::webhook::SweepResponse;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::MocId;
use moc_domain::limits::{
    WEBHOOK_DELIVERY_MAX_MS, WEBHOOK_SWEEP_AFTER_MAX, WEBHOOK_SWEEP_MAX, WEBHOOK_SWEEP_TIMEOUT_MS,
};

pub use receiver::HttpReceiver;

use crate::http::Response;
use crate::platform::RequestPlatform;
use crate::store::Store;
use crate::{background, forward, host, log};

/// Why a delivery is not settled that has used up its time.
const LEFT: &str = "a later sweep goes on";

/// Has the webhook of a MOC delivered, and waits until that is settled: a minute at most, or as long as the request may
/// last. `context` is the trace that it belongs to. If another instance delivers it, or has done so, there is nothing to
/// do.
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
    match host::deliver(moc, platform, context).await.map_err(unheard)? {
        DeliveryOutcome::Delivered | DeliveryOutcome::Nothing => Ok(()),
        DeliveryOutcome::Failed(cause) => Err(failed(cause)),
        DeliveryOutcome::Left => Err(failed(LEFT.into())),
    }
}

/// How long a request may take for a delivery, in milliseconds.
pub(crate) fn limit_ms(platform: RequestPlatform) -> u64 {
    at_most(platform, WEBHOOK_DELIVERY_MAX_MS)
}

/// How long it may take for a sweep, in milliseconds.
pub(crate) fn sweep_limit_ms(platform: RequestPlatform) -> u64 {
    at_most(platform, WEBHOOK_SWEEP_TIMEOUT_MS)
}

fn at_most(platform: RequestPlatform, limit_ms: i64) -> u64 {
    let left_ms = platform.ends_at.map(|ends_at| ends_at.millis_since(platform.now()).max(0));
    left_ms.unwrap_or(limit_ms).min(limit_ms).unsigned_abs()
}

/// Delivers the webhook of a MOC: the sender's side of [`send`]. Returns the outcome, and what is to be done once that
/// is known: a sweep.
///
/// # Errors
/// Those of the outbox.
pub async fn deliver(
    outbox: Store,
    receiver: HttpReceiver,
    platform: RequestPlatform,
    moc: MocId,
) -> Result<(DeliveryOutcome, impl Future<Output = ()>), Error> {
    let outcome = deliver_webhook::run(&outbox, &receiver, &platform, moc).await?;
    let sweep = async move {
        // What a store that is unavailable leaves is the next sweep's.
        let _ = deliver_webhook::sweep(&outbox, &receiver.untraced(), &platform, WEBHOOK_SWEEP_AFTER_MAX).await;
    };
    Ok((outcome, sweep))
}

/// Delivers webhooks that are due: the sender's side of a sweep.
///
/// # Errors
/// Those of the outbox.
pub async fn sweep(outbox: &Store, receiver: &HttpReceiver, platform: RequestPlatform) -> Result<SweepResponse, Error> {
    let swept = deliver_webhook::sweep(outbox, receiver, &platform, WEBHOOK_SWEEP_MAX).await?;
    let pending = outbox.pending().await?;
    Ok(SweepResponse { delivered: swept.delivered, failed: swept.failed, pending })
}

impl From<DeliveryOutcome> for Response {
    fn from(outcome: DeliveryOutcome) -> Self {
        match outcome {
            DeliveryOutcome::Delivered => forward::ForwardResult::Sent.into(),
            DeliveryOutcome::Failed(cause) => forward::ForwardResult::Failed(cause).into(),
            DeliveryOutcome::Left => forward::ForwardResult::Failed(LEFT.into()).into(),
            DeliveryOutcome::Nothing => Self::new(404, "text/plain", b"there is nothing to deliver".to_vec()),
        }
    }
}

/// The sender's response to a delivery. Where a response waits for what follows it, the caller requests the sweep once
/// it knows the outcome.
pub async fn respond(outcome: DeliveryOutcome, sweep: impl Future<Output = ()> + 'static) -> Response {
    let response = Response::from(outcome);
    if background::is_inline().await { response } else { response.after(sweep) }
}

/// The sender's response if no receiver is configured.
#[must_use]
pub fn not_configured() -> Response {
    forward::ForwardResult::NotConfigured.into()
}
