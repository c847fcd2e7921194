//! The webhook sender, a private route: the only component that can reach the receiver and has its secret.

use moc_adapters::http::{Answer, Request};
use moc_adapters::platform::Wasi;
use moc_adapters::store::SqliteStore;
use moc_adapters::webhook::{self, HttpReceiver};
use moc_application::deliver_webhook;
use moc_application::port::Outbox as _;
use moc_contract::path::WebhookRoute;
use moc_contract::webhook::SweepAnswer;
use moc_domain::failure::{Failure, Refusal};
use moc_domain::limits::{WEBHOOK_SWEEP_AFTER_MAX, WEBHOOK_SWEEP_MAX};

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Answer, Failure> {
    let route = WebhookRoute::parse(request.path()).ok_or(Refusal::NotFound)?;
    request.allow("POST")?;
    let Some(receiver) = HttpReceiver::open(request).await? else { return Ok(webhook::unconfigured()) };
    let outbox = SqliteStore::new();
    match route {
        WebhookRoute::Delivery(moc) => {
            let outcome = deliver_webhook::run(&outbox, &receiver, &Wasi, moc).await?;
            Ok(Answer::from(outcome).after(async move {
                // What a store that is away leaves is the next sweep's.
                let _ = deliver_webhook::sweep(&outbox, &receiver.untraced(), &Wasi, WEBHOOK_SWEEP_AFTER_MAX).await;
            }))
        }
        WebhookRoute::Sweep => {
            let swept = deliver_webhook::sweep(&outbox, &receiver, &Wasi, WEBHOOK_SWEEP_MAX).await?;
            let pending = outbox.pending().await?;
            let answer = SweepAnswer { delivered: swept.delivered, failed: swept.failed, pending };
            Ok(Answer::json(200, &answer))
        }
    }
}
