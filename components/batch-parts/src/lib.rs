//! `POST /api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/batch`

use moc_adapters::http::{self, BatchForm, Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, progress, s3, settings, store};
use moc_application::upload_batch::{self, Batch, Taken};
use moc_application::upload_part::PartLimits;
use moc_contract::form;
use moc_contract::path::Route;
use moc_contract::problem::Problem;
use moc_contract::response::PartStored;
use moc_domain::error::{Error, ErrorKind};

moc_adapters::component!("batch-parts", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("POST")?;
    let Route::Batch(session, file) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    log.show("file", file);
    let boundary = form::boundary(request.header("content-type"))?;
    let limit_bytes = settings::host().await?.batch_max_bytes();
    if request.content_length().is_some_and(|length| length > limit_bytes) {
        return Err(ErrorKind::PayloadTooLarge { limit_bytes }.into());
    }

    let settings = settings::upload().await?;
    let limits = PartLimits {
        session_lifetime_max_ms: settings.session_lifetime_max_ms,
        timeout_ms: request.body_max_ms(settings.part_timeout_seconds * 1000),
        completion_timeout_ms: settings.completion_timeout_ms,
    };
    let batch = Batch { user: &user, session, file, limits };
    let (platform, bucket) = (request.platform(), s3::open_traced(request.trace()).await?);
    let form = || request.body().map(|body| BatchForm::new(body, boundary, limit_bytes, limits.timeout_ms));
    let emit = async |stored: &_| progress::emit_part(&user, stored).await;
    let taken = upload_batch::run(&store::open().await?, &bucket, &platform, batch, form, emit).await?;

    let Taken { outcomes, .. } = &taken;
    log.set("parts", outcomes.len());
    log.set("bytes", taken.stored().map(|stored| stored.part.size_bytes).sum::<u64>());
    log.set("partsCompleted", taken.stored().map(|stored| stored.progress.parts_completed).max());
    let Some(error) = taken.error() else {
        let parts: Vec<_> =
            taken.stored().map(|stored| PartStored::new(stored.part.number, &stored.part.etag)).collect();
        return Ok(Response::json(200, &parts));
    };
    let outcomes = outcomes.iter().map(|outcome| {
        let stored = outcome.stored.as_ref().map(|stored| &stored.part.etag).map_err(|error| &error.kind);
        (outcome.number, stored)
    });
    Ok(http::problem_response(request, log, error, Problem::from(&error.kind).with_parts(outcomes)))
}
