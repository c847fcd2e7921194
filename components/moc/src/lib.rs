//! `GET /api/mocs/:mocId`

use moc_adapters::http::{Answer, Request};
use moc_adapters::log::RequestLog;
use moc_adapters::store::SqliteStore;
use moc_adapters::{auth, settings};
use moc_application::lookup;
use moc_contract::answer::MocAnswer;
use moc_contract::path::Route;
use moc_domain::failure::{Failure, Refusal};

moc_adapters::component!("moc", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Answer, Failure> {
    let user = auth::user(request, log).await?;
    request.allow("GET")?;
    let Route::Moc(id) = request.route()? else { return Err(Refusal::NotFound.into()) };
    log.show("moc", id);
    let moc = lookup::moc(&SqliteStore::new(), &user, id).await?;
    let address = settings::public_address().await?;
    Ok(Answer::json(200, &MocAnswer::new(&moc, |key| address.of(key))))
}
