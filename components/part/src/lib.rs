//! `PUT /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/:partNumber`: the hot path.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::s3::{PartBody, S3Bucket};
use moc_adapters::{auth, progress, settings, store};
use moc_application::upload_part::{self, Part, Stored};
use moc_contract::digest;
use moc_contract::path::Route;
use moc_contract::problem::part_number_out_of_range;
use moc_contract::response::PartStored;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;

moc_adapters::component!("part", handle);

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
    let timeout_ms = settings.part_timeout_seconds * 1000;
    let body = |file: &File| {
        let wants_sha256 = file.wants_sha256();
        request.body().map(|body| PartBody { body, checksums, wants_sha256, timeout_ms })
    };
    let session_lifetime_max_ms = settings.session_lifetime_max_ms;
    let part = Part { user: &user, session, file, number, size_bytes, session_lifetime_max_ms };
    let stored = upload_part::run(&store::open().await?, &S3Bucket::open().await?, &WasiPlatform, part, body).await?;
    progress::emit_part(&user, &stored).await;
    let Stored { part, progress, .. } = &stored;
    log.set("etag", part.etag.as_str());
    log.set("partsCompleted", progress.parts_completed);
    Ok(Response::json(200, &PartStored::new(number, &part.etag)).with_header("etag", part.etag.quoted()))
}
