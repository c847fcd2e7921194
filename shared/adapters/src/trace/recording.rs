//! A route's side: the spans of a request, and their way to the exporter.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moc_application::port::{self, Step};
use moc_contract::path;
use moc_contract::problem::Problem;
use moc_contract::sampling::SampleRatio;
use moc_contract::trace::{Number, Span, SpanId, SpanKind, TraceBatch, TraceContext, TraceId};
use moc_domain::error::Error;
use moc_domain::limits::{
    TRACE_EXPORT_MAX_MS, TRACE_EXPORT_WAITED_FOR_MS, TRACE_PATH_MAX_CHARS, TRACE_PAUSE_MS, TRACE_SPANS_MAX,
};
use moc_domain::moc::Moc;
use serde_json::Value;
use spin_sdk::wasip3::random::random::get_random_u64;

use crate::forward::ForwardResult;
use crate::http::{Request, Response};
use crate::log::{self, RequestLog};
use crate::platform::within;
use crate::{background, host, settings};

/// Fields of the log that the root span has as attributes, with their names there.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("user", "userId"),
    ("session", "sessionId"),
    ("file", "fileId"),
    ("moc", "mocId"),
    ("part", "partNumber"),
    ("parts", "partCount"),
    ("bytes", SIZE),
    ("code", "code"),
];
const SIZE: &str = "sizeBytes";
/// The size of a MOC, which is the one that its finalize shows.
const TOTAL_SIZE: &str = "totalSizeBytes";
/// How long the bucket was waited for, in milliseconds.
const S3_TIME: &str = "s3Ms";
/// The type of the error of a request to the bucket that was interrupted.
const CANCELLED: &str = "cancelled";

thread_local! {
    /// Until when nothing is handed to an exporter that has failed.
    static PAUSE_ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The trace of a request. Clones are the same trace.
#[derive(Clone)]
pub struct Trace(Mode);

#[derive(Clone)]
enum Mode {
    /// No collector is configured.
    Off,
    /// It has been decided that this trace is not recorded.
    PassedOn(Rc<TraceContext>),
    Recorded(Rc<Recording>),
}

struct Recording {
    /// The root span, as its children and other components see it.
    context: TraceContext,
    caller: Option<SpanId>,
    /// Whether the URL of the collector has a path.
    has_path: bool,
    began: Instant,
    /// The same by the clock on the wall, since the Unix epoch.
    zero_nanos: u64,
    root: RefCell<Span>,
    steps: RefCell<Vec<Span>>,
    /// The spans of steps that have not ended yet.
    open: RefCell<Vec<(Step, SpanId)>>,
    /// How long the bucket was waited for, where that was measured.
    s3_time: Cell<Option<Duration>>,
}

/// A request to the bucket. If it is dropped before its end, its request had to end first, and its span says so.
pub struct CallSpan {
    recording: Rc<Recording>,
    operation: &'static str,
    began: Instant,
    has_ended: bool,
}

impl Trace {
    /// The trace of a request that is not recorded.
    pub(crate) const OFF: Self = Self(Mode::Off);

    /// Begins the root span of a request, which continues the trace that the request belongs to. Whether it is recorded
    /// is the caller's decision; where there is no caller, `traces_sampler_ratio` decides.
    pub(crate) async fn begin(name: Option<&'static str>, request: &Request) -> Self {
        let Ok(settings) = settings::traces().await else { return Self::OFF };
        let Some(settings) = *settings else { return Self::OFF };
        let (caller, context) = match super::context_of(request) {
            // It is passed on as it came.
            Some(context) if !context.is_sampled => return Self(Mode::PassedOn(context.into())),
            Some(caller) => (Some(caller.span_id), caller.within(new_id())),
            None => (None, new_trace(settings.ratio)),
        };
        Self(match context.is_sampled {
            true => Mode::Recorded(Recording::new(name, request, context, caller, settings.has_path).into()),
            false => Mode::PassedOn(context.into()),
        })
    }

    fn set(&self, name: &'static str, value: u64) {
        if let Some(recording) = self.recording() {
            recording.root.borrow_mut().numbers.push((name.into(), value));
        }
    }

    /// Gives the root span the sizes of a MOC.
    pub fn show_moc(&self, moc: &Moc) {
        self.set("fileCount", moc.files.len() as u64);
        self.set(TOTAL_SIZE, moc.total_size_bytes());
    }

    /// What goes with a request to another component: the root span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        match &self.0 {
            Mode::Off => None,
            Mode::PassedOn(context) => Some(context.as_ref().clone()),
            Mode::Recorded(recording) => Some(recording.context.clone()),
        }
    }

    /// What goes with a request that a step makes.
    #[must_use]
    pub fn context_of(&self, step: Step) -> Option<TraceContext> {
        match self.recording() {
            Some(recording) => Some(recording.context.within(recording.open(step))),
            None => self.context(),
        }
    }

    /// Begins the span of a request to the bucket; `None` if nothing is recorded.
    pub(crate) fn call(&self, operation: &'static str) -> Option<CallSpan> {
        let Mode::Recorded(recording) = &self.0 else { return None };
        Some(CallSpan { recording: Rc::clone(recording), operation, began: Instant::now(), has_ended: false })
    }

    /// Ends the root span when the response is ready, or has ended if it is streamed, and has the trace sent after all
    /// that the response has still to do. A response that is the client's fault is not an error of this span
    /// (OpenTelemetry's conventions for HTTP).
    pub(crate) fn finish(&self, response: Response, log: &RequestLog) -> Response {
        if self.recording().is_none() {
            return response;
        }
        let (trace, exported) = (self.clone(), self.clone());
        let (status, log) = (response.status(), log.clone());
        let end = move || {
            if let Some(recording) = trace.recording() {
                recording.end(status, &log);
            }
        };
        response.at_end(end).after(async move { exported.export().await })
    }

    /// Hands the spans to the exporter. A failure logs one warning and begins a pause.
    async fn export(&self) {
        let Some(recording) = self.recording() else { return };
        let now = Instant::now();
        if PAUSE_ENDS.get().is_some_and(|ends| now < ends) {
            return;
        }
        let limit_ms = if background::is_inline().await { TRACE_EXPORT_WAITED_FOR_MS } else { TRACE_EXPORT_MAX_MS };
        let exporting = host::export(recording.batch(), recording.has_path);
        let cause = match within(now + Duration::from_millis(limit_ms), exporting).await {
            Some(ForwardResult::Sent | ForwardResult::NotConfigured) => return,
            Some(ForwardResult::Rejected(cause) | ForwardResult::Failed(cause)) => cause,
            None => "the exporter did not respond in time".into(),
        };
        let now = Instant::now();
        // Another request was first.
        if PAUSE_ENDS.get().is_some_and(|ends| now < ends) {
            return;
        }
        let pause_ms = TRACE_PAUSE_MS.unsigned_abs();
        PAUSE_ENDS.set(Some(now + Duration::from_millis(pause_ms)));
        log::warn(&format!("traces: {cause}; none are sent for {} s", pause_ms / 1000));
    }

    fn recording(&self) -> Option<&Recording> {
        match &self.0 {
            Mode::Recorded(recording) => Some(recording),
            Mode::Off | Mode::PassedOn(_) => None,
        }
    }
}

impl port::Trace for Trace {
    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(recording) = self.recording() else { return work.await };
        let began = Instant::now();
        let result = work.await;
        recording.close(step, began, result.as_ref().err());
        result
    }
}

impl CallSpan {
    /// Ends it. `s3_time` is how long the bucket was waited for, `error` the type of the error, if there was one.
    pub(crate) fn end(mut self, s3_time: Duration, mut numbers: Vec<Number>, error: Option<&'static str>) {
        self.recording.s3_time.set(Some(self.recording.s3_time.get().unwrap_or_default() + s3_time));
        numbers.push((S3_TIME.into(), millis(s3_time)));
        self.close(numbers, error);
    }

    fn close(&mut self, numbers: Vec<Number>, error: Option<&'static str>) {
        let Self { recording, operation, began, has_ended } = self;
        *has_ended = true;
        recording.keep(Span {
            id: new_id(),
            // As OpenTelemetry's conventions for the AWS SDK have it.
            name: format!("S3.{operation}").into(),
            kind: SpanKind::Client,
            start_nanos: recording.nanos_at(*began),
            end_nanos: recording.nanos_at(Instant::now()),
            error: error.map(Into::into),
            texts: Vec::new(),
            numbers,
        });
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if !self.has_ended {
            self.close(Vec::new(), Some(CANCELLED));
        }
    }
}

impl Recording {
    fn new(
        name: Option<&'static str>,
        request: &Request,
        context: TraceContext,
        caller: Option<SpanId>,
        has_path: bool,
    ) -> Self {
        let began = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_nanos = nanos(since);
        let (method, route) = (known(request.method()), path::template(request.path()));
        let path: String = request.path().chars().take(TRACE_PATH_MAX_CHARS).collect();
        let mut texts = vec![("http.request.method".into(), method.to_owned()), ("url.path".into(), path)];
        texts.extend(route.map(|route| ("http.route".into(), route.to_owned())));
        let root = Span {
            id: context.span_id,
            name: name.map_or_else(|| span_name(method, route), Into::into),
            kind: SpanKind::Internal,
            start_nanos,
            end_nanos: start_nanos,
            error: None,
            texts,
            numbers: Vec::new(),
        };
        Self {
            context,
            caller,
            has_path,
            began,
            zero_nanos: start_nanos,
            root: RefCell::new(root),
            steps: RefCell::default(),
            open: RefCell::default(),
            s3_time: Cell::default(),
        }
    }

    /// Ends the root span, with the attributes that the log has, too.
    fn end(&self, status: u16, log: &RequestLog) {
        let mut root = self.root.borrow_mut();
        root.end_nanos = self.nanos_at(Instant::now());
        root.numbers.push(("http.response.status_code".into(), status.into()));
        root.numbers.extend(self.s3_time.get().map(|time| (S3_TIME.into(), millis(time))));
        let has_total = root.numbers.iter().any(|(name, _)| name == TOTAL_SIZE);
        for (field, name) in ATTRIBUTES.into_iter().filter(|(_, name)| !(has_total && *name == SIZE)) {
            match log.field(field) {
                Some(Value::String(text)) => root.texts.push((name.into(), text)),
                Some(Value::Number(number)) => root.numbers.extend(number.as_u64().map(|number| (name.into(), number))),
                _ => {}
            }
        }
        let code = root.texts.iter().find(|(name, _)| name == "code").map(|(_, code)| code.clone());
        root.error = code.filter(|_| status >= 500).map(Into::into);
    }

    /// The span of a step that runs, or is about to.
    fn open(&self, step: Step) -> SpanId {
        let mut open = self.open.borrow_mut();
        if let Some((_, id)) = open.iter().find(|(running, _)| *running == step) {
            return *id;
        }
        let id = new_id();
        open.push((step, id));
        id
    }

    fn close(&self, step: Step, began: Instant, error: Option<&Error>) {
        let id = self.open(step);
        self.open.borrow_mut().retain(|(running, _)| *running != step);
        self.keep(Span {
            id,
            name: step.name().into(),
            kind: SpanKind::Internal,
            start_nanos: self.nanos_at(began),
            end_nanos: self.nanos_at(Instant::now()),
            error: error.map(|error| Problem::from(&error.kind).code.into()),
            texts: Vec::new(),
            numbers: Vec::new(),
        });
    }

    fn keep(&self, span: Span) {
        let mut steps = self.steps.borrow_mut();
        if steps.len() + 1 < TRACE_SPANS_MAX {
            steps.push(span);
        }
    }

    /// A time. The clock on the wall may be set while a request runs, so only the root's beginning is from there.
    fn nanos_at(&self, time: Instant) -> u64 {
        self.zero_nanos.saturating_add(nanos(time.saturating_duration_since(self.began)))
    }

    fn batch(&self) -> TraceBatch {
        TraceBatch {
            trace_id: self.context.trace_id,
            state: self.context.state.clone(),
            caller: self.caller,
            root: self.root.borrow().clone(),
            steps: self.steps.take(),
        }
    }
}

/// The context of a trace that begins here.
fn new_trace(ratio: SampleRatio) -> TraceContext {
    let trace_id = TraceId::of_random(u128::from(get_random_u64()) << 64 | u128::from(get_random_u64()));
    TraceContext { trace_id, span_id: new_id(), is_sampled: ratio.includes(trace_id), state: None }
}

fn new_id() -> SpanId {
    SpanId::of_random(get_random_u64())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The method, or what OpenTelemetry's conventions for HTTP have for all that clients make up.
fn known(method: &str) -> &str {
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if known.contains(&method) { method } else { OTHER }
}

const OTHER: &str = "_OTHER";

/// The name of a server's span in the same conventions.
fn span_name(method: &str, route: Option<&str>) -> Cow<'static, str> {
    let method = if method == OTHER { "HTTP" } else { method };
    match route {
        Some(route) => format!("{method} {route}").into(),
        None => method.to_owned().into(),
    }
}
