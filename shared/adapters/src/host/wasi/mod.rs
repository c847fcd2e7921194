//! A host of plain WASI, which runs one component: variables are in the environment, nothing outlives an instance, and
//! the work of private components is a call. Only the thumbnailer is a component of its own, linked to this one: so
//! the pictures that it decodes have a memory of their own.

use std::cell::Cell;
use std::env::{self, VarError};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::future::join;
use moc_application::deliver_webhook::DeliveryOutcome;
use moc_application::port::Platform as _;
use moc_contract::event::EventBatch;
use moc_contract::sweep::SweepBody;
use moc_contract::trace::{TraceBatch, TraceContext};
use moc_contract::webhook::SweepResponse;
use moc_domain::error::Error;
use moc_domain::id::MocId;
use moc_domain::limits::{SWEEP_AFTER_RESPONSE_MAX_MS, WEBHOOK_SWEEP_WAITED_FOR_MS};
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Response as HostResponse};
use spin_sdk::wasip3::spawn;
use url::Url;

use self::defaults::DEFAULTS;
use crate::forward::ForwardResult;
use crate::outbound::{self, Payload, Response, SendError};
use crate::platform::{RequestPlatform, WasiPlatform, within};
use crate::webhook::{self, HttpReceiver};
use crate::{background, progress, s3, store, sweep, trace};

mod defaults;

#[cfg(not(target_family = "wasm"))]
compile_error!("the feature `wasi` is for components: `cargo xtask build --target wasi` builds them");

/// A component that is linked to this one, as a function from a request to its response.
pub type Linked = fn(Request) -> Pin<Box<dyn Future<Output = Result<HostResponse, ErrorCode>>>>;

thread_local! {
    static LINKED_THUMBNAILER: Cell<Option<Linked>> = const { Cell::new(None) };
}

/// Says how the thumbnailer is called. It is imported where the component is made that it is linked to: an import that
/// is named here would be one of every component.
pub fn link_thumbnailer(thumbnailer: Linked) {
    LINKED_THUMBNAILER.set(Some(thumbnailer));
}

/// What the linked component is called with; it looks at the path alone.
const THUMBNAILER: &str = "http://thumbnailer/";

/// A variable: the environment's of the same name in capitals, or its default.
///
/// # Errors
/// Why it cannot be read, for the log.
pub async fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name.to_uppercase()) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => {
            let default = DEFAULTS.iter().find(|(given, _)| *given == name);
            Ok(default.map(|(_, default)| (*default).to_owned()))
        }
        Err(VarError::NotUnicode(_)) => Err("the value is not UTF-8".to_owned()),
    }
}

/// Nothing: instances share no store.
pub async fn shared(_: &str) -> Option<Vec<u8>> {
    None
}

/// Does nothing: instances share no store.
pub async fn share(_: &str, _: Vec<u8>) {}

/// Publishes events.
pub async fn publish(batches: &[EventBatch], context: Option<&TraceContext>, limit_ms: u64) -> ForwardResult {
    let publishing = progress::publish(batches, context.cloned());
    let published = within(Instant::now() + Duration::from_millis(limit_ms), publishing).await;
    published.unwrap_or_else(|| ForwardResult::Failed("the broadcaster did not respond in time".to_owned()))
}

/// Sends a trace.
pub async fn export(batch: TraceBatch, _: bool) -> ForwardResult {
    trace::export(batch).await
}

/// Delivers the webhook of a MOC, and sweeps afterwards.
///
/// # Errors
/// Why the outcome is not known, for the log.
pub async fn deliver(
    moc: MocId,
    platform: RequestPlatform,
    context: Option<TraceContext>,
) -> Result<DeliveryOutcome, String> {
    let delivering = async {
        let Some(receiver) = HttpReceiver::open(context).await? else { return Ok(None) };
        Ok::<_, Error>(Some(webhook::deliver(store::open().await?, receiver, platform, moc).await?))
    };
    let deadline = Instant::now() + Duration::from_millis(webhook::limit_ms(platform));
    match within(deadline, delivering).await {
        Some(Ok(Some((outcome, sweep)))) => {
            if background::is_inline().await {
                within(Instant::now() + Duration::from_millis(WEBHOOK_SWEEP_WAITED_FOR_MS), sweep).await;
            } else {
                spawn(sweep);
            }
            Ok(outcome)
        }
        Some(Ok(None)) => Err("no receiver is configured".to_owned()),
        Some(Err(error)) => Err(failure(error)),
        None => Err("it was not settled in time".to_owned()),
    }
}

/// Delivers webhooks that are due; `None` if no receiver is configured.
///
/// # Errors
/// Why it is not known what was delivered, for the log.
pub async fn sweep_webhooks(platform: RequestPlatform) -> Result<Option<SweepResponse>, String> {
    let sweeping = async {
        let Some(receiver) = HttpReceiver::open(None).await? else { return Ok(None) };
        webhook::sweep(&store::open().await?, &receiver, platform).await.map(Some)
    };
    let deadline = Instant::now() + Duration::from_millis(webhook::sweep_limit_ms(platform));
    let swept = within(deadline, sweeping).await.ok_or("it was not done in time")?;
    swept.map_err(failure)
}

/// Sweeps.
///
/// # Errors
/// Why nothing was swept, for the log.
pub async fn sweep(wanted: SweepBody) -> Result<(), String> {
    let limit_ms = i64::try_from(SWEEP_AFTER_RESPONSE_MAX_MS).unwrap_or(i64::MAX);
    let platform = RequestPlatform { ends_at: Some(WasiPlatform.now().plus_millis(limit_ms)) };
    let wanted = wanted.check().map_err(|kind| failure(kind.into()))?;
    let sweeping = async {
        let (store, bucket) = (store::open().await?, s3::open().await?);
        sweep::run(&store, &bucket, &wanted, platform).await.map(drop)
    };
    // Boxed: its future is that of a whole route.
    Box::pin(sweeping).await.map_err(failure)
}

fn failure(error: Error) -> String {
    error.source.unwrap_or_else(|| format!("{:?}", error.kind))
}

/// Sends the thumbnailer a picture.
pub async fn send_to_thumbnailer(headers: &[(&'static str, String)], picture: Payload) -> Result<Response, SendError> {
    let url = Url::parse(THUMBNAILER).map_err(|error| SendError::Denied(error.to_string()))?;
    let (request, write) = outbound::prepare(&Method::Post, &url, &outbound::borrowed(headers), picture)?;
    let thumbnailer = LINKED_THUMBNAILER.get().ok_or_else(|| SendError::Denied("none is linked".to_owned()))?;
    let (response, ()) = join(thumbnailer(request), write).await;
    Ok(Response::of(response?))
}
