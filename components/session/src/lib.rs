//! `GET` and `DELETE /api/mocs/uploads/sessions/:sessionId`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{auth, s3, settings, store};
use moc_application::port::Platform as _;
use moc_application::{cancel_session, lookup};
use moc_contract::path::Route;
use moc_contract::response::SessionState;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;
use moc_domain::session::Status;

moc_adapters::component!("session", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("GET, HEAD, DELETE")?;
    let Route::Session(id) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", id);
    let store = store::open().await?;
    if request.method() == "DELETE" {
        let timeout_ms = settings::upload().await?.completion_timeout_ms;
        cancel_session::run(
            &store,
            &s3::open_traced(request.trace()).await?,
            &request.platform(),
            &user,
            id,
            timeout_ms,
        )
        .await?;
        return Ok(Response::no_content());
    }
    let (session, files) = lookup::session_with_files(&store, &user, id).await?;
    let mode = settings::upload().await?.mode;
    let urls = s3::Downloads::open().await?;
    let is_published = session.status == Status::Finalized;
    let url = |file: &File| urls.url(file.object(), is_published);
    let now = WasiPlatform.now();
    let watch = auth::watch_token::urls(&store, &session, now).await;
    Ok(Response::json(200, &SessionState::new(&session, &files, now, mode, url, watch)))
}
