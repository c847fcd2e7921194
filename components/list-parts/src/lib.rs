//! `GET /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts`

use moc_adapters::auth;
use moc_adapters::http::{Answer, Request};
use moc_adapters::log::RequestLog;
use moc_adapters::store::SqliteStore;
use moc_application::lookup;
use moc_contract::answer::PartList;
use moc_contract::path::Route;
use moc_domain::failure::{Failure, Refusal};

moc_adapters::component!("list-parts", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Answer, Failure> {
    let user = auth::user(request, log).await?;
    request.allow("GET")?;
    let Route::Parts(session, file) = request.route()? else { return Err(Refusal::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let (_, _, parts) = lookup::file_with_parts(&SqliteStore::new(), &user, session, file).await?;
    Ok(Answer::json(200, &PartList::from(parts.as_slice())))
}
