//! The webhook sender, a private route: the only component that can reach the receiver and has its secret.

use moc_adapters::http::{Request, Response};
use moc_adapters::webhook::{self, HttpReceiver};
use moc_adapters::{store, trace};
use moc_contract::path::WebhookRoute;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Response, Error> {
    let route = WebhookRoute::parse(request.path()).ok_or(ErrorKind::NotFound)?;
    request.allow("POST")?;
    let context = trace::context_of(request);
    let Some(receiver) = HttpReceiver::open(context).await? else { return Ok(webhook::not_configured()) };
    let (outbox, platform) = (store::open().await?, request.platform());
    match route {
        WebhookRoute::Delivery(moc) => {
            let (outcome, sweep) = webhook::deliver(outbox, receiver, platform, moc).await?;
            Ok(webhook::respond(outcome, sweep).await)
        }
        WebhookRoute::Sweep => Ok(Response::json(200, &webhook::sweep(&outbox, &receiver, platform).await?)),
    }
}
