//! `GET /api/mocs/:mocId`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, settings, store};
use moc_application::lookup;
use moc_contract::path::Route;
use moc_contract::response::MocResponse;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("moc", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("GET")?;
    let Route::Moc(id) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("moc", id);
    let moc = lookup::moc(&store::open().await?, &user, id).await?;
    let address = settings::public_address().await?;
    Ok(Response::json(200, &MocResponse::new(&moc, |key| address.of(key))))
}
