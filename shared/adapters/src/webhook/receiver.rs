//! The sender's side: the receiver, over HTTP.

use std::rc::Rc;
use std::time::{Duration, Instant};

use moc_application::port::{Platform as _, Receiver};
use moc_config::WebhookSettings;
use moc_contract::trace::TraceContext;
use moc_contract::webhook;
use moc_domain::delivery::Claim;
use moc_domain::error::Error;
use moc_domain::limits::WEBHOOK_ATTEMPT_TIMEOUT_MS;
use serde_json::json;
use spin_sdk::wasip3::http::types::Method;

use super::signature::sign;
use crate::outbound::{self, Payload};
use crate::platform::{WasiPlatform, within};
use crate::{log, settings};

/// The receiver at `moc_finalize_webhook_url`.
pub struct HttpReceiver {
    settings: Rc<WebhookSettings>,
    context: Option<TraceContext>,
}

impl HttpReceiver {
    /// The receiver; `None` if there is none. What it is sent belongs to the trace of `context`.
    ///
    /// # Errors
    /// [`moc_domain::error::ErrorKind::Internal`] where a variable cannot be read.
    pub async fn open(context: Option<TraceContext>) -> Result<Option<Self>, Error> {
        let settings = settings::webhook().await.inspect_err(|error| {
            // The caller has no way to report it.
            log::warn(&format!("webhooks: {}; none are sent", error.source.as_deref().unwrap_or_default()));
        });
        let Some(settings) = settings?.as_ref().clone() else { return Ok(None) };
        Ok(Some(Self { settings, context }))
    }

    /// The same receiver, outside the trace.
    #[must_use]
    pub fn untraced(self) -> Self {
        Self { context: None, ..self }
    }

    /// A redirection is no success either: the host that it leads to is not the one that was granted.
    async fn post(&self, claim: &Claim) -> Result<(), String> {
        let WebhookSettings { url, secrets } = &*self.settings;
        let (id, time) = (webhook::message_id(claim.event.moc), webhook::timestamp(WasiPlatform.now()));
        let body = webhook::payload(&claim.event);
        let traced = self.context.as_ref().map(TraceContext::headers).unwrap_or_default();
        let (signature, time) = (sign(secrets, &id, time, &body), time.to_string());
        let mut headers = vec![
            ("content-type", "application/json"),
            ("user-agent", webhook::USER_AGENT),
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", time.as_str()),
        ];
        headers.extend(signature.as_deref().map(|signature| ("webhook-signature", signature)));
        headers.extend(traced.iter().map(|(name, value)| (*name, value.as_str())));
        let reply = outbound::send(Method::Post, url, &headers, Payload::Bytes(body)).await;
        let reply = reply.map_err(|error| format!("the receiver cannot be reached: {error}"))?;
        match reply.status {
            200..300 => Ok(()),
            status => Err(format!("the receiver responded {status}")),
        }
    }
}

impl Receiver for HttpReceiver {
    async fn send(&self, claim: &Claim) -> Result<(), String> {
        let limit_ms = WEBHOOK_ATTEMPT_TIMEOUT_MS.unsigned_abs();
        let sent = within(Instant::now() + Duration::from_millis(limit_ms), self.post(claim)).await;
        sent.unwrap_or_else(|| Err(format!("the receiver did not respond within {limit_ms} ms")))
    }

    fn given_up(&self, claim: &Claim, cause: &str) {
        let moc = claim.event.moc;
        let properties = [
            ("moc", json!(moc.to_string())),
            ("webhookId", json!(webhook::message_id(moc))),
            ("tries", json!(claim.attempt)),
            ("cause", json!(cause)),
        ];
        log::error("a webhook was not delivered, and is given up", &properties);
    }
}
