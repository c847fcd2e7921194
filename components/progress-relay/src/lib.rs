//! The relay, a private route: the only component that can reach the broadcaster.

use moc_adapters::http::{Request, Response};
use moc_adapters::{progress, trace};
use moc_contract::event::EventBatch;
use moc_domain::error::Error;
use moc_domain::limits::{EVENT_BATCH_MAX_BYTES, PRIVATE_BODY_MAX_MS};

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Response, Error> {
    request.allow("POST")?;
    let body = request.whole_body(EVENT_BATCH_MAX_BYTES, PRIVATE_BODY_MAX_MS).await?;
    Ok(progress::publish(EventBatch::read_all(body.as_ref())?, trace::context_of(request)).await.into())
}
