//! `POST /api/mocs/uploads/sessions`

use moc_adapters::http::{Answer, Request};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::Wasi;
use moc_adapters::store::SqliteStore;
use moc_adapters::{auth, progress, settings};
use moc_application::create_session;
use moc_application::port::Platform as _;
use moc_contract::answer::SessionCreated;
use moc_contract::body::CreateSessionBody;
use moc_contract::{event, path};
use moc_domain::failure::Failure;
use moc_domain::limits::JSON_BODY_MAX_BYTES;

moc_adapters::component!("create-session", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Answer, Failure> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let settings = settings::upload().await?;
    request.json::<CreateSessionBody>(JSON_BODY_MAX_BYTES).await?.check(&settings.files)?;
    let (part_size_bytes, limit) = (settings.part_size_bytes, settings.sessions_per_hour);
    let session = create_session::run(&SqliteStore::new(), &Wasi, user.clone(), part_size_bytes, limit).await?;
    log.show("session", session.id);
    progress::tell(&user, session.id, |now| event::session_created(&session, now)).await;
    let ws_url = auth::watch_token::url(&session, Wasi.now()).await;
    Ok(Answer::json(201, &SessionCreated::new(&session, ws_url)).with_header("location", path::session(session.id)))
}
