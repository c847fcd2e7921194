//! `GET` and `POST /api/mocs/uploads/sessions/:sessionId/watch`, and `/api/mocs/uploads/watch/session/:sessionId` for
//! proxies that pass on the path of a `wsUrl`.

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::{event_stream, settings, store, watching};
use moc_contract::path::Route;
use moc_contract::server_sent;
use moc_contract::websocket_events::{BODY_MAX_BYTES, EXTENSION, Events, MEDIA_TYPE, Malformed};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::SessionId;

moc_adapters::component!("watch", handle, traced);

async fn handle(request: &mut Request, log: &RequestLog) -> Result<Response, Error> {
    request.allow("GET, HEAD, POST")?;
    let Route::Watch(session) = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    log.show("session", session);
    if request.method() == "POST" {
        return web_socket(request, session).await;
    }
    watching::authorize(request, session).await?;
    let wants_events = request.header("accept").is_some_and(|accepted| accepted.contains(server_sent::MEDIA_TYPE));
    if wants_events && watching::original_uri(request).is_none() {
        return event_stream::respond(request, log, store::open().await?, session).await;
    }
    Ok(Response::no_content())
}

/// WebSocket over HTTP: a GRIP proxy has the connection, and is told which channel to send to it.
async fn web_socket(request: &mut Request, session: SessionId) -> Result<Response, Error> {
    watching::authorize_proxy(request).await?;
    if request.media_type() != Some(MEDIA_TYPE) {
        return Err(ErrorKind::UnsupportedMediaType { allowed: vec![MEDIA_TYPE] }.into());
    }
    let timeout_ms = settings::upload().await?.request_timeout_ms;
    let body = request.whole_body(BODY_MAX_BYTES, timeout_ms).await?;
    let malformed =
        |Malformed(detail)| ErrorKind::MalformedBody { detail: format!("The body is malformed: {detail}.") };
    let events = Events::parse(body.as_ref()).map_err(malformed)?;
    // A connection outlives its token, and so may a close.
    if events.has_open() {
        watching::authorize(request, session).await?;
    }
    let (extension, grip) = EXTENSION;
    Ok(Response::new(200, MEDIA_TYPE, events.response(session)).with_header(extension, grip))
}
