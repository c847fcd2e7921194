//! `GET /api/mocs/:mocId`, which makes the thumbnail that an earlier request has left.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{auth, s3, settings, store, thumbnail};
use moc_application::lookup;
use moc_application::make_thumbnail::{self, Turn};
use moc_contract::path::Route;
use moc_contract::response::MocResponse;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::moc::Moc;

moc_adapters::component!("moc", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    let user = auth::user(request, log).await?;
    request.allow("GET, HEAD")?;
    let Route::Moc(id) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("moc", id);
    let store = store::open().await?;
    let moc = lookup::moc(&store, &user, id).await?;
    let urls = s3::Downloads::open().await?;
    let respond = |moc: &Moc| Response::json(200, &MocResponse::new(moc, |object| urls.url(object, true)));
    if !settings::finalize().await?.thumbnail {
        return Ok(respond(&moc));
    }
    let platform = request.platform();
    // Nothing fails from here on: the MOC is known, and the next request looks again.
    let Ok(Turn::Ours { is_overdue }) = make_thumbnail::turn(&store, &platform, &moc).await else {
        return Ok(respond(&moc));
    };
    let (Ok(bucket), Ok(host)) = (s3::open().await, settings::host().await) else { return Ok(respond(&moc)) };
    if is_overdue || host.is_work_inline {
        // Why it was not made is in the log.
        let _ = thumbnail::make_due(bucket, platform, &moc, None, is_overdue).await;
        return Ok(respond(&lookup::moc(&store, &user, id).await.unwrap_or(moc)));
    }
    let response = respond(&moc);
    Ok(response.after(async move {
        let _ = thumbnail::make_due(bucket, platform, &moc, None, false).await;
    }))
}
