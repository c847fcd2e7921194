//! `POST /api/mocs/uploads/finalize` and `POST /api/mocs/uploads/sessions/finalize`

mod follow;

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, progress, s3, settings, store, sweep};
use moc_application::finalize::{self, FinalizeOutcome, FinalizeRequest, Finalized};
use moc_contract::body::FinalizeBody;
use moc_contract::event;
use moc_contract::path::{self, Route};
use moc_contract::response::MocResponse;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::JSON_BODY_MAX_BYTES;

moc_adapters::component!("finalize", handle, traced as "moc.upload.finalize");

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::Finalize = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    let settings = settings::upload().await?;
    let body: FinalizeBody = request.json(JSON_BODY_MAX_BYTES, settings.request_timeout_ms).await?;
    let (session, described) = body.check()?;
    log.show("session", session);
    let bucket = s3::open().await?;
    let urls = s3::Downloads::open().await?;
    let wanted = settings::finalize().await?;
    let (platform, trace) = (request.platform(), request.trace().clone());
    let asked = FinalizeRequest {
        user: &user,
        id: session,
        described: &described,
        concurrency: settings.finalize_concurrency,
        completion_timeout_ms: settings.completion_timeout_ms,
        webhook: wanted.webhook,
    };
    let Finalized { moc, outcome, validation, sequence } =
        finalize::run(&store::open().await?, &bucket, &platform, &trace, asked).await?;
    let (idempotent, resumed) = (outcome == FinalizeOutcome::Idempotent, outcome == FinalizeOutcome::Resumed);
    log.show("moc", moc.id);
    log.set("bytes", moc.total_size_bytes());
    trace.show_moc(&moc);
    if let Some(validation) = validation {
        log.set("validationMs", validation.elapsed_ms);
        log.set("validationSequentialMs", validation.sequential_ms);
    }
    if !idempotent {
        progress::emit_traced(trace.context(), &user, session, |now| event::session_finalized(&moc, sequence, now))
            .await;
    }
    let response = MocResponse::new(&moc, |object| urls.url(object, true)).idempotent(idempotent).resumed(resumed);
    let status = if idempotent || resumed { 200 } else { 201 };
    let response = Response::json(status, &response).with_header("location", path::moc(moc.id));
    let response = response.after(async move { follow::run(&wanted, bucket, platform, &moc, &trace).await });
    Ok(sweep::after_response(response).await)
}
