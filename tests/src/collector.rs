//! A collector of traces that the exporter POSTs to: it keeps every request, and responds or fails as
//! it is scripted. The messages stand here as OTLP 1.0 numbers their fields, so that what is read is not
//! read by what has written it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use prost::Message;
use serde_json::{Value, json};

use crate::broadcaster::{Broadcaster, Mode, Post};
use crate::wait_for;

/// How long a test waits for a trace.
const PATIENCE: Duration = Duration::from_secs(20);
/// `SPAN_KIND_INTERNAL`.
pub const INTERNAL: i32 = 1;
/// `SPAN_KIND_SERVER`.
pub const SERVER: i32 = 2;
/// `SPAN_KIND_CLIENT`.
pub const CLIENT: i32 = 3;
/// The root span of a finalize.
pub const FINALIZE: &str = "moc.upload.finalize";
/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<RawSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct RawSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Scalar", tags = "1, 2, 3")]
    value: Option<Scalar>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Scalar {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// Attributes by their names.
pub type Attributes = BTreeMap<String, Value>;

/// The spans of one request to the collector.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The attributes of the resource.
    pub resource: Attributes,
    /// Name and version of the scope.
    pub scope: (String, String),
    /// The spans, in their order.
    pub spans: Vec<Span>,
}

#[derive(Clone, Debug)]
pub struct Span {
    /// The trace, in hex.
    pub trace_id: String,
    /// In hex.
    pub id: String,
    /// The id of its parent, in hex, if it has one.
    pub parent: Option<String>,
    /// `tracestate`.
    pub state: String,
    pub name: String,
    /// [`INTERNAL`], [`SERVER`] or another kind.
    pub kind: i32,
    /// Start and end, in nanoseconds since the Unix epoch.
    pub nanos: (u64, u64),
    pub attributes: Attributes,
    /// What its status says, where that is an error.
    pub error: Option<String>,
    /// The flags of W3C Trace Context, and OTLP's next to them.
    pub flags: u32,
}

/// A running collector; it ends when it is dropped.
pub struct Collector(Broadcaster);

impl Collector {
    /// Starts a healthy one.
    pub fn start() -> Self {
        let collector = Self(Broadcaster::start());
        collector.set(Mode::Response(200, String::new()));
        collector
    }

    /// Where it is, as an origin.
    pub fn endpoint(&self) -> String {
        self.0.origin()
    }

    /// Sets the behaviour from now on.
    pub fn set(&self, mode: Mode) {
        self.0.set(mode);
    }

    /// Rejects connections.
    pub async fn reject(&self) {
        self.0.reject().await;
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }

    /// The requests so far.
    pub fn posts(&self) -> Vec<Post> {
        self.0.posts()
    }

    /// The traces so far.
    pub fn traces(&self) -> Vec<Trace> {
        self.posts().iter().map(Trace::of).collect()
    }

    /// Waits for the traces of requests of a session whose root span has this name: as many as these.
    pub async fn traces_named(&self, name: &str, session: &str, count: usize) -> Vec<Trace> {
        let find = async || {
            let mut traces = self.traces();
            traces.retain(|trace| {
                let root = trace.root();
                root.name == name && root.attributes.get("sessionId") == Some(&json!(session))
            });
            (traces.len() >= count).then_some(traces)
        };
        let traces = wait_for("the traces of a session", PATIENCE, find).await;
        assert_eq!(traces.len(), count, "{traces:?}");
        traces
    }

    /// Waits for the traces of the finalizes of a session: as many as these.
    pub async fn traces_of(&self, session: &str, count: usize) -> Vec<Trace> {
        self.traces_named(FINALIZE, session, count).await
    }

    /// Waits for the trace of the finalize of a session.
    pub async fn trace_of(&self, session: &str) -> Trace {
        self.traces_of(session, 1).await.remove(0)
    }
}

impl Trace {
    /// Reads a request.
    pub fn of(post: &Post) -> Self {
        match post.header("content-encoding") {
            None => Self::read(&post.bytes),
            Some("gzip") => {
                let mut body = Vec::new();
                GzDecoder::new(&post.bytes[..]).read_to_end(&mut body).expect("gzip");
                Self::read(&body)
            }
            other => panic!("a body in {other:?}"),
        }
    }

    /// Reads the body of a request, whose spans are of one trace.
    fn read(body: &[u8]) -> Self {
        let request = ExportTraceServiceRequest::decode(body).expect("an ExportTraceServiceRequest");
        let [resource] = &request.resource_spans[..] else { panic!("one resource, not {request:?}") };
        let [scope] = &resource.scope_spans[..] else { panic!("one scope, not {request:?}") };
        let Scope { name, version } = scope.scope.clone().expect("a scope");
        let resource = resource.resource.as_ref().expect("a resource");
        let spans: Vec<Span> = scope.spans.iter().map(Span::of).collect();
        let root = spans.first().expect("a span");
        assert!(spans.iter().all(|span| span.trace_id == root.trace_id), "{spans:?}");
        Self { resource: attributes(&resource.attributes), scope: (name, version), spans }
    }

    /// The root span: the one whose parent is not in the trace.
    pub fn root(&self) -> &Span {
        let is_here = |id: &String| self.spans.iter().any(|span| span.id == *id);
        let mut roots = self.spans.iter().filter(|span| !span.parent.as_ref().is_some_and(is_here));
        let root = roots.next().expect("a root");
        assert_eq!(roots.count(), 0, "more than one root: {self:?}");
        root
    }

    /// The span of this name.
    pub fn span(&self, name: &str) -> &Span {
        self.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The names of the spans below the root, in their order.
    pub fn steps(&self) -> Vec<&str> {
        let root = self.root().id.as_str();
        self.spans.iter().filter(|span| span.parent.as_deref() == Some(root)).map(|span| span.name.as_str()).collect()
    }
}

impl Span {
    fn of(raw: &RawSpan) -> Self {
        assert_eq!((raw.trace_id.len(), raw.span_id.len()), (16, 8), "{raw:?}");
        assert!(matches!(raw.parent_span_id.len(), 0 | 8), "{raw:?}");
        let status = raw.status.clone().unwrap_or_default();
        assert!(status.code == ERROR || status == Status::default(), "{raw:?}");
        Self {
            trace_id: hex::encode(&raw.trace_id),
            id: hex::encode(&raw.span_id),
            parent: (!raw.parent_span_id.is_empty()).then(|| hex::encode(&raw.parent_span_id)),
            state: raw.trace_state.clone(),
            name: raw.name.clone(),
            kind: raw.kind,
            nanos: (raw.start_time_unix_nano, raw.end_time_unix_nano),
            attributes: attributes(&raw.attributes),
            error: (status.code == ERROR).then_some(status.message),
            flags: raw.flags,
        }
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let value = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Scalar::Text(text) => Some(json!(text)),
        Scalar::Flag(flag) => Some(json!(flag)),
        Scalar::Number(number) => Some(json!(number)),
    };
    let pairs = list.iter().map(|attribute| (attribute.key.clone(), value(attribute).expect("text or a number")));
    let attributes: Attributes = pairs.collect();
    assert_eq!(attributes.len(), list.len(), "an attribute stands there twice: {list:?}");
    attributes
}
