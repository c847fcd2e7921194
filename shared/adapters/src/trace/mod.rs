//! Traces: routes note requests and their steps as spans and hand them to an exporter, which sends them to the
//! collector (OTLP over HTTP): after the response, or before it with `background_work=inline`.
//!
//! Traces are advisory and may be lost. Nothing at all is done if there is no collector.

#[cfg(target_family = "wasm")]
mod exporter;
#[cfg(target_family = "wasm")]
mod otlp;
mod recording;

use moc_contract::trace::{TRACEPARENT, TRACESTATE, TraceContext};

#[cfg(target_family = "wasm")]
pub use exporter::export;
pub use recording::{CallSpan, Trace};

use crate::http::Request;

/// What a request belongs to, as its headers say. More than one `traceparent` is none.
pub fn context_of(request: &Request) -> Option<TraceContext> {
    let mut parents = request.header_lines(TRACEPARENT);
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    let states: Vec<&str> = request.header_lines(TRACESTATE).collect();
    TraceContext::parse(parent, &states.join(","))
}
