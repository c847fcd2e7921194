//! Every path that no other component has.

use moc_adapters::http::{Answer, Request};
use moc_adapters::log::RequestLog;
use moc_domain::failure::{Failure, Refusal};

moc_adapters::component!("not-found", handle);

async fn handle(_: &mut Request, _: &RequestLog) -> Result<Answer, Failure> {
    Err(Refusal::NotFound.into())
}
