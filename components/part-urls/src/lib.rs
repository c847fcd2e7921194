//! `POST /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/urls`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{auth, s3, settings, store};
use moc_application::lookup;
use moc_application::part_urls::{self, Urls, UrlsRequest};
use moc_contract::direct::{PartUrls, PartUrlsBody};
use moc_contract::path::Route;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::JSON_BODY_MAX_BYTES;

moc_adapters::component!("part-urls", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::PartUrls(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let store = store::open().await?;
    // A body is read only for who has the file.
    lookup::file(&store, &user, session, file).await?;
    let settings = settings::upload().await?;
    let body: PartUrlsBody = request.json(JSON_BODY_MAX_BYTES, settings.request_timeout_ms).await?;
    let parts = body.check()?;
    log.set("parts", parts.len());
    let asked = UrlsRequest {
        user: &user,
        session,
        file,
        parts: &parts,
        session_lifetime_max_ms: settings.session_lifetime_max_ms,
        requires_md5: settings::bucket().await?.requires_md5(),
        ttl_seconds: settings.presigned_url_ttl_seconds,
    };
    let Urls { urls, expire_at } = part_urls::run(&store, &s3::open().await?, &WasiPlatform, asked).await?;
    Ok(Response::json(200, &PartUrls::new(&parts, urls, expire_at)))
}
