//! `GET /` and `GET /assets/...`: the page.

use moc_adapters::http::{Answer, Asset, Request};
use moc_adapters::log::RequestLog;
use moc_adapters::settings;
use moc_domain::failure::Failure;

moc_adapters::component!("web", handle);

const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

async fn handle(request: &mut Request, _: &RequestLog) -> Result<Answer, Failure> {
    request.allow("GET, HEAD")?;
    let page = settings::page().await?;
    Answer::asset(request, ASSETS, &page.security_policy())
}
