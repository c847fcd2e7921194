//! What all routes have in common: reading requests and sending responses.

mod asset;
mod batch_form;
mod cors;
pub(crate) mod memory;
mod request;
mod response;
mod security_policy;

use std::time::Instant;

use moc_contract::problem::{self, Problem};
use moc_domain::error::{Error, ErrorKind};
use serde_json::json;
use spin_sdk::wasip3::http::types::{self, ErrorCode};

pub use asset::Asset;
pub use batch_form::BatchForm;
pub use request::Request;
pub use response::{BodyWriter, ClientLeft, Response};
pub use security_policy::security_policy;

use crate::log::RequestLog;
use crate::platform::within;
use crate::trace::Trace;
use crate::{background, settings};

/// Responds to a request with `handler`: errors become problems, preflights get their response, every
/// response has an `X-Request-Id`, and one line is written to the log.
///
/// # Errors
/// Only if the host rejects the response itself.
pub async fn serve(
    route: &'static str,
    request: types::Request,
    handler: impl AsyncFnOnce(&mut Request, &RequestLog) -> Result<Response, Error>,
) -> Result<types::Response, ErrorCode> {
    respond(route, Request::new(request), |response, _| response, handler).await
}

/// As [`serve`], and records the request as a trace, if there is a collector: in a span of this name, or of its method
/// and route.
///
/// # Errors
/// As [`serve`].
pub async fn serve_traced(
    route: &'static str,
    name: Option<&'static str>,
    request: types::Request,
    handler: impl AsyncFnOnce(&mut Request, &RequestLog) -> Result<Response, Error>,
) -> Result<types::Response, ErrorCode> {
    let mut request = Request::new(request);
    let trace = Trace::begin(name, &request).await;
    request.trace = trace.clone();
    let finish = |response, log: &RequestLog| trace.finish(response, log);
    respond(route, request, finish, handler).await
}

async fn respond(
    route: &'static str,
    mut request: Request,
    finish: impl FnOnce(Response, &RequestLog) -> Response,
    handler: impl AsyncFnOnce(&mut Request, &RequestLog) -> Result<Response, Error>,
) -> Result<types::Response, ErrorCode> {
    let started = Instant::now();
    let log = RequestLog::default();
    let cors = settings::cors().await;
    let (result, is_preflight) = match &cors {
        Ok(cors) if cors::is_preflight(&request, cors) => (Ok(cors::preflight(&request, cors)), true),
        Ok(_) => (in_time(&mut request, async |request| handler(request, &log).await).await, false),
        Err(error) => (Err(error.clone()), false),
    };
    let mut response = result.unwrap_or_else(|error| error_response(&request, &log, &error));
    if !is_preflight {
        response = finish(response, &log);
    }
    if background::is_inline().await {
        response.wait(request.deadline()).await;
    }
    response.header("x-request-id", request.id());
    if let Ok(cors) = &cors {
        cors::allow(&request, cors, &mut response);
    }
    let (method, status, id) = (request.method().to_owned(), response.status(), request.id().to_owned());
    response = response.at_end(move || {
        log.write(&[
            ("level", json!(if status < 500 { "info" } else { "error" })),
            ("route", json!(route)),
            ("method", json!(method)),
            ("status", json!(status)),
            ("durationMs", json!(started.elapsed().as_micros() as f64 / 1000.0)),
            ("requestId", json!(id)),
        ]);
    });
    request.discard();
    response.send(request.deadline()).await
}

/// Responds with `handler` before the host ends the request: then the client knows that it may retry.
async fn in_time(
    request: &mut Request,
    handler: impl AsyncFnOnce(&mut Request) -> Result<Response, Error>,
) -> Result<Response, Error> {
    request.limit(&*settings::host().await?);
    let response = within(request.deadline(), handler(request)).await;
    response
        .unwrap_or_else(|| Err(Error::with_source(ErrorKind::Busy, "it takes longer than the host gives a request")))
}

/// Responds to a request of another component of the application with `handler`. Its line is the
/// caller's to log.
///
/// # Errors
/// Only if the host rejects the response itself.
pub async fn serve_private(
    request: types::Request,
    handler: impl AsyncFnOnce(&mut Request) -> Result<Response, Error>,
) -> Result<types::Response, ErrorCode> {
    let mut request = Request::new(request);
    let reply = in_time(&mut request, handler).await;
    let mut reply = reply.unwrap_or_else(|error| response(&request, Problem::from(&error.kind)));
    if background::is_inline().await {
        reply.wait(request.deadline()).await;
    }
    reply.send(request.deadline()).await
}

/// The problem response of an error; the log gets its code and reason.
fn error_response(request: &Request, log: &RequestLog, error: &Error) -> Response {
    problem_response(request, log, error, Problem::from(&error.kind))
}

/// The response of an error, with a problem that has more fields than the error.
pub fn problem_response(request: &Request, log: &RequestLog, error: &Error, problem: Problem) -> Response {
    log.set("code", problem.code);
    if let Some(cause) = &error.source {
        log.set("cause", cause.as_str());
    }
    response(request, problem)
}

fn response(request: &Request, problem: Problem) -> Response {
    let headers = problem.headers.clone();
    let status = problem.status;
    let mut response = Response::new(status, problem::MEDIA_TYPE, problem.body(request.path(), request.id()));
    headers.into_iter().for_each(|(name, value)| response.header(name, value));
    response
}
