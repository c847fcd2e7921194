//! `GET /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, store};
use moc_application::lookup;
use moc_contract::path::Route;
use moc_contract::response::PartList;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("list-parts", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("GET, HEAD")?;
    let Route::Parts(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let (_, _, parts) = lookup::file_with_parts(&store::open().await?, &user, session, file).await?;
    Ok(Response::json(200, &PartList::from(parts.as_slice())))
}
