//! Spans as the collector gets them: OTLP's `ExportTraceServiceRequest`, in protobuf.

use moc_contract::trace::{self, TraceBatch};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};
use prost::Message as _;

/// Name of the service and of what makes its spans.
const SERVICE: &str = "moc-uploads";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The flag of W3C Trace Context that says that the trace is recorded.
const SAMPLED: u32 = 1;

/// The body of the request to the collector.
pub fn request(batch: TraceBatch) -> Vec<u8> {
    let TraceBatch { trace_id, state, caller, root, steps } = batch;
    let parent = root.id;
    let span = |span: trace::Span, kind: SpanKind, parent: Option<trace::SpanId>, is_remote: bool| Span {
        trace_id: trace_id.to_bytes().to_vec(),
        span_id: span.id.to_bytes().to_vec(),
        trace_state: state.clone().unwrap_or_default(),
        parent_span_id: parent.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
        flags: flags(is_remote),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start_nanos,
        end_time_unix_nano: span.end_nanos,
        attributes: attributes(span.texts, span.numbers, span.error.as_deref()),
        status: span.error.map(|code| Status { message: code.into_owned(), code: StatusCode::Error.into() }),
        ..Span::default()
    };
    let children = steps.into_iter().map(|step| {
        let kind = match step.kind {
            trace::SpanKind::Internal => SpanKind::Internal,
            trace::SpanKind::Client => SpanKind::Client,
        };
        span(step, kind, Some(parent), false)
    });
    let spans = [span(root, SpanKind::Server, caller, caller.is_some())].into_iter().chain(children).collect();
    let scope = InstrumentationScope { name: SERVICE.into(), version: VERSION.into(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    let names = [text("service.name", SERVICE.into()), text("service.version", VERSION.into())];
    let resource = Resource { attributes: names.into(), ..Default::default() };
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn flags(parent_is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if parent_is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    SAMPLED | known | remote
}

fn attributes(texts: Vec<trace::Text>, numbers: Vec<trace::Number>, error: Option<&str>) -> Vec<KeyValue> {
    let texts = texts.into_iter().map(|(key, value)| text(&key, value));
    let numbers = numbers.into_iter().map(|(key, value)| {
        let number = i64::try_from(value).unwrap_or(i64::MAX);
        attribute(&key, Value::IntValue(number))
    });
    let error = error.map(|code| text("error.type", code.to_owned()));
    texts.chain(numbers).chain(error).collect()
}

fn text(key: &str, value: String) -> KeyValue {
    attribute(key, Value::StringValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
