//! Every path that no other component has.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("not-found", handle);

async fn handle(_: &mut Request, _: &RequestLog) -> Result<Response, Error> {
    Err(ErrorKind::NotFound.into())
}
