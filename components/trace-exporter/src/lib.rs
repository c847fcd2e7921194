//! The exporter, a private route: the only component that can reach the collector of traces.

use moc_adapters::http::{Request, Response};
use moc_adapters::trace;
use moc_contract::trace::TraceBatch;
use moc_domain::error::Error;
use moc_domain::limits::{PRIVATE_BODY_MAX_MS, TRACE_MAX_BYTES};

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Response, Error> {
    request.allow("POST")?;
    let batch = request.json::<TraceBatch>(TRACE_MAX_BYTES, PRIVATE_BODY_MAX_MS).await?.check()?;
    Ok(trace::export(batch).await.into())
}
