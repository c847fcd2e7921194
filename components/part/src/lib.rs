//! `PUT /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/:partNumber`: the hot path.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, progress, s3, settings, store};
use moc_application::upload_part::{self, Part, PartLimits, Stored};
use moc_contract::digest;
use moc_contract::path::Route;
use moc_contract::problem::part_number_out_of_range;
use moc_contract::response::PartStored;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("part", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("PUT")?;
    let Route::Part(session, file, number) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let number = number.ok_or_else(part_number_out_of_range)?;
    log.set("part", number.get());
    let size_bytes = request.content_length().ok_or(ErrorKind::LengthRequired)?;
    log.set("bytes", size_bytes);
    if size_bytes == 0 {
        return Err(ErrorKind::EmptyBody.into());
    }
    let checksums = digest::parse(request.header("content-md5"), request.header("content-digest"))?;

    let settings = settings::upload().await?;
    let limits = PartLimits {
        session_lifetime_max_ms: settings.session_lifetime_max_ms,
        timeout_ms: request.body_max_ms(settings.part_timeout_seconds * 1000),
        completion_timeout_ms: settings.completion_timeout_ms,
    };
    let part = Part { user: &user, session, file, number, size_bytes, checksums, limits };
    let (platform, bucket) = (request.platform(), s3::open_traced(request.trace()).await?);
    let body = || request.body().map(Into::into);
    let stored = upload_part::run(&store::open().await?, &bucket, &platform, part, body).await?;
    progress::emit_part(&user, &stored).await;
    let Stored { part, progress, .. } = &stored;
    log.set("etag", part.etag.as_str());
    log.set("partsCompleted", progress.parts_completed);
    Ok(Response::json(200, &PartStored::new(number, &part.etag)).with_header("etag", part.etag.quoted()))
}
