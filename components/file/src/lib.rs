//! `DELETE /api/mocs/uploads/sessions/:sessionId/files/:fileId`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, s3, settings, store};
use moc_application::remove_file;
use moc_contract::path::Route;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("file", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("DELETE")?;
    let Route::File(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let (store, bucket) = (store::open().await?, s3::open_traced(request.trace()).await?);
    let timeout_ms = settings::upload().await?.completion_timeout_ms;
    remove_file::run(&store, &bucket, &request.platform(), &user, session, file, timeout_ms).await?;
    Ok(Response::no_content())
}
