//! `GET /api/mocs/uploads/openapi.json` and `GET /api/mocs/uploads/docs/...`: the OpenAPI document, and a page that
//! shows it.

use moc_adapters::http::{Asset, Request, Response};
use moc_adapters::log::RequestLog;
use moc_domain::error::Error;

moc_adapters::component!("api-reference", handle);

const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/api-reference.rs"));

/// What the page may load: it makes its styles by script, and searches in a worker.
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

async fn handle(request: &mut Request, _: &RequestLog) -> Result<Response, Error> {
    request.allow("GET, HEAD")?;
    Response::asset(request, ASSETS, SECURITY_POLICY)
}
