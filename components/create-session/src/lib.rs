//! `POST /api/mocs/uploads/sessions`

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{auth, progress, settings, store, sweep};
use moc_application::create_session;
use moc_application::port::Platform as _;
use moc_contract::body::CreateSessionBody;
use moc_contract::response::SessionCreated;
use moc_contract::{event, path};
use moc_domain::error::Error;
use moc_domain::limits::session_body_max_bytes;

moc_adapters::component!("create-session", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let settings = settings::upload().await?;
    let limit_bytes = session_body_max_bytes(settings.files.files_max);
    let body: CreateSessionBody = request.json(limit_bytes, settings.request_timeout_ms).await?;
    let declared = body.check(&settings.files)?;
    let declared_bytes = declared.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add);
    let (part_size_bytes, quotas) = (settings.part_size_bytes, settings.session_quotas);
    let store = store::open().await?;
    let session =
        create_session::run(&store, &WasiPlatform, user.clone(), part_size_bytes, declared_bytes, quotas).await?;
    log.show("session", session.id);
    progress::emit(&user, session.id, |now| event::session_created(&session, now)).await;
    let watch = auth::watch_token::urls(&store, &session, WasiPlatform.now()).await;
    let created = SessionCreated::new(&session, settings.mode, watch);
    Ok(sweep::after_response(Response::json(201, &created).with_header("location", path::session(session.id))).await)
}
