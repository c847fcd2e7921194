//! Traces: finalize notes its steps as spans and hands them to the exporter, which sends them to the collector (OTLP
//! over HTTP): after its response, or before it with `background_work=inline`.
//!
//! Traces are advisory and may be lost. Nothing at all is done if there is no collector.

#[cfg(target_family = "wasm")]
mod exporter;
#[cfg(target_family = "wasm")]
mod otlp;
mod recording;

use moc_contract::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use moc_domain::error::Error;

#[cfg(target_family = "wasm")]
pub use exporter::export;
pub use recording::Trace;

use crate::http::{self, Request, Response};
use crate::log::RequestLog;

/// What a request belongs to, as its headers say. More than one `traceparent` is none.
pub fn context_of(request: &Request) -> Option<TraceContext> {
    let mut parents = request.header_lines(TRACEPARENT);
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    let states: Vec<&str> = request.header_lines(TRACESTATE).collect();
    TraceContext::parse(parent, &states.join(","))
}

/// Responds to a request with `handler` in a root span of this name. Its trace is sent after the response
/// and after all that the response has still to do ([`Response::after`]), errors included.
pub async fn traced(
    name: &'static str,
    request: &mut Request,
    log: &RequestLog,
    handler: impl AsyncFnOnce(&mut Request, &RequestLog, &Trace) -> Result<Response, Error>,
) -> Response {
    let trace = Trace::begin(name, request).await;
    let (response, error) = match handler(request, log, &trace).await {
        Ok(response) => (response, None),
        Err(error) => (http::error_response(request, log, &error), Some(error)),
    };
    if !trace.is_recorded() {
        return response;
    }
    trace.end(response.status(), error.as_ref());
    response.after(async move { trace.export().await })
}
