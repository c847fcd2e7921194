//! The sweeper, a private route: it removes what ended sessions have left, a bounded amount per call. An operator can
//! add a public route, which needs a token.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{s3, store, sweep};
use moc_contract::path::SweeperRoute;
use moc_contract::sweep::SweepBody;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::{PRIVATE_BODY_MAX_MS, SWEEP_BODY_MAX_BYTES};

moc_adapters::component!("sweeper", handle);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let route = SweeperRoute::parse(request.path()).ok_or(ErrorKind::NotFound)?;
    if route == SweeperRoute::Public {
        sweep::authorize(request).await?;
    }
    request.allow("POST")?;
    let body: SweepBody = request.optional_json(SWEEP_BODY_MAX_BYTES, PRIVATE_BODY_MAX_MS).await?;
    let (wanted, store, bucket) = (body.check()?, store::open().await?, s3::open().await?);
    let swept = sweep::run(&store, &bucket, &wanted, request.platform()).await?;
    log.set("removed", swept.sessions.removed);
    log.set("postponed", swept.sessions.postponed);
    log.set("left", swept.left.sessions);
    Ok(Response::json(200, &swept))
}
