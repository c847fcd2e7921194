//! `GET /` and `GET /assets/...`: the page.

use moc_adapters::http::{Asset, Request, Response, security_policy};
use moc_adapters::log::RequestLog;
use moc_adapters::settings;
use moc_domain::error::Error;

moc_adapters::component!("web", handle);

const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/web.rs"));

async fn handle(request: &mut Request, _: &RequestLog) -> Result<Response, Error> {
    request.allow("GET, HEAD")?;
    let page = settings::page().await?;
    Response::asset(request, ASSETS, &security_policy(&page))
}
