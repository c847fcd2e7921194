//! Sweeps: what the sweeper does, who may ask for it, and what routes have swept after their responses.

use std::cell::Cell;

use futures::future::join;
use moc_application::port::{Bucket, Platform as _, Resend, Sweeps as _};
use moc_application::sweep::{self, SweepOutcome, SweepRequest};
use moc_contract::sweep::{SweepBody, SweepLeft, SweepResponse, SweptSessions, WantedSweep};
use moc_contract::webhook;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::SWEEP_SESSIONS_AFTER_RESPONSE;
use sha2::{Digest as _, Sha256};

use crate::http::{Request, Response};
use crate::platform::{RequestPlatform, WasiPlatform};
use crate::store::Store;
use crate::{background, host, log, settings, store};

/// Checks the token of a request by the public route.
///
/// # Errors
/// [`ErrorKind::NotFound`] if no token is configured: then there is no such route; [`ErrorKind::Unauthorized`].
pub async fn authorize(request: &Request) -> Result<(), Error> {
    let settings = settings::sweep().await?;
    let secret = settings.secret.as_ref().ok_or(ErrorKind::NotFound)?;
    let given = request.only_header("authorization").and_then(|header| header.split_once(' '));
    let is_right = given.is_some_and(|(scheme, token)| {
        // Of digests, the time that a comparison takes says nothing about the secret.
        scheme.eq_ignore_ascii_case("bearer") && Sha256::digest(token.trim()) == Sha256::digest(secret)
    });
    if is_right { Ok(()) } else { Err(Error::with_source(ErrorKind::Unauthorized, "not the token for sweeps")) }
}

/// Sweeps, and has webhooks sent that are due: failed ones that are asked for as well.
///
/// # Errors
/// Those of the store, or [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn run(
    store: &Store,
    bucket: &impl Bucket,
    wanted: &WantedSweep,
    platform: RequestPlatform,
) -> Result<SweepResponse, Error> {
    let (upload, settings) = (settings::upload().await?, settings::sweep().await?);
    let resent = resend(store, wanted).await?;
    let request = SweepRequest {
        sessions: wanted.sessions,
        retention_ms: settings.retention_ms,
        completion_timeout_ms: upload.completion_timeout_ms,
    };
    let delivering = async { if wanted.webhooks { deliver(platform).await } else { None } };
    let (swept, webhooks) = join(sweep::run(store, bucket, &platform, request), delivering).await;
    let swept = swept?;
    if let Some(cause) = &swept.failure {
        log::warn(&format!("a sweep leaves sessions to a later one: {cause}"));
    }
    if let Some(cause) = &swept.unlisted {
        log::warn(&format!("a sweep cannot list the bucket, and finds nothing there that has no record: {cause}"));
    }
    Ok(response(&swept, resent, webhooks))
}

async fn resend(store: &Store, wanted: &WantedSweep) -> Result<u64, Error> {
    let now = WasiPlatform.now();
    let mut resent = 0;
    if !wanted.resend.is_empty() {
        resent += store.resend(&Resend::Of(wanted.resend.clone()), now).await?;
    }
    if wanted.resend_failed > 0 {
        resent += store.resend(&Resend::Oldest(wanted.resend_failed), now).await?;
    }
    Ok(resent)
}

async fn deliver(platform: RequestPlatform) -> Option<webhook::SweepResponse> {
    let delivered = host::sweep_webhooks(platform).await;
    delivered.unwrap_or_else(|cause| {
        log::warn(&format!("a sweep cannot have webhooks sent: {cause}"));
        None
    })
}

fn response(swept: &SweepOutcome, resent: u64, webhooks: Option<webhook::SweepResponse>) -> SweepResponse {
    let SweepOutcome { removed, cleared, postponed, leftovers, counts, deliveries, left, .. } = *swept;
    SweepResponse {
        sessions: SweptSessions { removed, cleared, postponed },
        leftovers,
        counts,
        deliveries,
        resent,
        webhooks,
        left: SweepLeft {
            sessions: left.sessions + left.retired,
            counts: left.counts,
            deliveries: left.deliveries,
            failed_webhooks: left.failed_deliveries,
        },
    }
}

thread_local! {
    static IS_SWEEPING: Cell<bool> = const { Cell::new(false) };
}

/// Ends when its sweep does, however that ends.
struct Sweeping;

impl Sweeping {
    /// `None` while another request of the instance has something swept.
    fn begin() -> Option<Self> {
        (!IS_SWEEPING.replace(true)).then_some(Self)
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        IS_SWEEPING.set(false);
    }
}

/// Has two sessions swept after a response, if any has ended; nothing if the response would wait for that: there, only a
/// scheduler sweeps.
pub async fn after_response(response: Response) -> Response {
    if background::is_inline().await { response } else { response.after(follow()) }
}

async fn follow() {
    let Some(_sweeping) = Sweeping::begin() else { return };
    let is_due = async { Ok::<_, Error>(sweep::is_due(&store::open().await?, &WasiPlatform).await?) };
    // A store that is unavailable now is one for the next response.
    if is_due.await.unwrap_or_default()
        && let Err(cause) = host::sweep(SweepBody::of_sessions(SWEEP_SESSIONS_AFTER_RESPONSE)).await
    {
        log::warn(&format!("ended sessions wait for a later sweep: {cause}"));
    }
}
