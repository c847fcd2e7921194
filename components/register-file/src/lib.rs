//! `POST /api/mocs/uploads/sessions/:sessionId/files`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{auth, progress, s3, settings, store};
use moc_application::lookup;
use moc_application::port::{Bucket as _, PartAddress, Platform as _};
use moc_application::register_file::{self, Bounds};
use moc_contract::body::RegisterFileBody;
use moc_contract::event;
use moc_contract::path::{self, Route};
use moc_contract::response::FileRegistered;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::JSON_BODY_MAX_BYTES;

moc_adapters::component!("register-file", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::Files(session) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    let store = store::open().await?;
    // A body is read only for who has the session.
    lookup::session(&store, &user, session).await?;
    let (settings, host) = (settings::upload().await?, settings::host().await?);
    let body: RegisterFileBody = request.json(JSON_BODY_MAX_BYTES, settings.request_timeout_ms).await?;
    let (declared, presigned) = body.check(&settings.files)?;
    // The bucket would take no part at a URL that names no MD5.
    let presigned = if settings::bucket().await?.requires_md5() { 0 } else { presigned };

    let bounds = Bounds {
        files_max: settings.files.files_max,
        session_lifetime_max_ms: settings.session_lifetime_max_ms,
        quotas: settings.file_quotas,
    };
    let bucket = s3::open_traced(request.trace()).await?;
    let (session, file) = register_file::run(&store, &bucket, &WasiPlatform, &user, session, declared, bounds).await?;
    log.show("file", file.id);
    log.set("bytes", file.size_bytes);
    progress::emit(&user, session.id, |now| event::file_registered(&file, session.sequence, now)).await;

    let ttl_seconds = settings.presigned_url_ttl_seconds;
    let expire_at = WasiPlatform.now().plus_millis(i64::try_from(ttl_seconds * 1000).unwrap_or(i64::MAX));
    let address = |number| PartAddress { key: &file.key, upload_id: &file.upload_id, number };
    let numbers = file.plan.numbers().take(presigned.into());
    let sized = numbers.filter_map(|number| Some((number, file.plan.bytes_of(number)?)));
    let presign = |(number, size)| (number, bucket.presign_part(address(number), size, None, ttl_seconds));
    let urls = sized.map(presign).collect();
    let response = FileRegistered::new(&session, &file, urls, expire_at).within(host.request_max_bytes);
    Ok(Response::json(201, &response).with_header("location", path::parts(session.id, file.id)))
}
