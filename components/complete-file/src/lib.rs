//! `POST /api/mocs/uploads/sessions/:sessionId/files/:fileId/complete`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, progress, s3, settings, store};
use moc_application::complete_file::{self, CompleteRequest, Completed};
use moc_application::lookup;
use moc_contract::body::CompleteFileBody;
use moc_contract::event;
use moc_contract::path::Route;
use moc_contract::response::FileCompleted;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::COMPLETE_BODY_MAX_BYTES;

moc_adapters::component!("complete-file", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::Complete(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let store = store::open().await?;
    // A body is read only for who has the file.
    lookup::file(&store, &user, session, file).await?;
    let settings = settings::upload().await?;
    let body: CompleteFileBody = request.optional_json(COMPLETE_BODY_MAX_BYTES, settings.request_timeout_ms).await?;
    let parts = body.check()?;
    let urls = s3::Downloads::open().await?;
    let asked = CompleteRequest {
        user: &user,
        session,
        file,
        parts: parts.as_deref(),
        session_lifetime_max_ms: settings.session_lifetime_max_ms,
        completion_timeout_ms: settings.completion_timeout_ms,
    };
    let Completed { file, etag, idempotent, is_published, sequence } =
        complete_file::run(&store, &s3::open_traced(request.trace()).await?, &request.platform(), asked).await?;
    log.set("bytes", file.size_bytes);
    log.set("etag", etag.as_str());
    if !idempotent {
        progress::emit(&user, session, |now| event::file_completed(&file, &etag, sequence, now)).await;
    }
    Ok(Response::json(200, &FileCompleted::new(&file, &etag, urls.url(file.object(), is_published))))
}
