//! `GET` and `DELETE /api/mocs/uploads/sessions/:sessionId`

use moc_adapters::http::{Answer, Request};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::Wasi;
use moc_adapters::s3::S3Bucket;
use moc_adapters::store::SqliteStore;
use moc_adapters::{auth, settings};
use moc_application::port::Platform as _;
use moc_application::{cancel_session, lookup};
use moc_contract::answer::SessionState;
use moc_contract::path::Route;
use moc_domain::failure::{Failure, Refusal};

moc_adapters::component!("session", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Answer, Failure> {
    let user = auth::user(request, log).await?;
    request.allow("GET, DELETE")?;
    let Route::Session(id) = request.route()? else { return Err(Refusal::NotFound.into()) };
    log.show("session", id);
    let store = SqliteStore::new();
    if request.method() == "DELETE" {
        cancel_session::run(&store, &S3Bucket::open().await?, &user, id).await?;
        return Ok(Answer::no_content());
    }
    let (session, files) = lookup::session_with_files(&store, &user, id).await?;
    let address = settings::public_address().await?;
    let now = Wasi.now();
    let ws_url = auth::watch_token::url(&session, now).await;
    Ok(Answer::json(200, &SessionState::new(&session, &files, now, |key| address.of(key), ws_url)))
}
