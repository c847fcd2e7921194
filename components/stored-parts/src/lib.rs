//! `POST /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/stored`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{auth, progress, settings, store};
use moc_application::claim_parts::{self, Claimed, Claims};
use moc_application::lookup;
use moc_application::port::Platform as _;
use moc_contract::direct::{PartsRecorded, StoredPartsBody};
use moc_contract::path::Route;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::JSON_BODY_MAX_BYTES;

moc_adapters::component!("stored-parts", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::StoredParts(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let store = store::open().await?;
    // A body is read only for who has the file.
    lookup::file(&store, &user, session, file).await?;
    let settings = settings::upload().await?;
    let body: StoredPartsBody = request.json(JSON_BODY_MAX_BYTES, settings.request_timeout_ms).await?;
    let parts = body.check(WasiPlatform.now())?;
    log.set("parts", parts.len());
    let session_lifetime_max_ms = settings.session_lifetime_max_ms;
    let claims = Claims { user: &user, session, file, parts: &parts, session_lifetime_max_ms };
    let Claimed { file, progress } = claim_parts::run(&store, &WasiPlatform, claims).await?;
    let last = progress.last().copied().ok_or(ErrorKind::Internal)?;
    log.set("partsCompleted", last.parts_completed);
    progress::emit_parts(&user, &file, &parts, &progress).await;
    Ok(Response::json(200, &PartsRecorded::new(&file, last)))
}
