//! Finalize's side: the spans of a request, and their way to the exporter.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moc_application::port::{self, Step};
use moc_contract::problem::Problem;
use moc_contract::trace::{Span, SpanId, TraceBatch, TraceContext, TraceId};
use moc_domain::error::Error;
use moc_domain::limits::{TRACE_EXPORT_MAX_MS, TRACE_PAUSE_MS, TRACE_SPANS_MAX};
use moc_domain::moc::Moc;
use spin_sdk::wasip3::random::random::get_random_u64;

use crate::forward::ForwardResult;
use crate::host;
use crate::http::Request;
use crate::log;
use crate::platform::within;
use crate::settings;

thread_local! {
    /// Until when nothing is sent to a collector that has failed.
    static PAUSE_ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The trace of a request. Clones are the same trace.
#[derive(Clone)]
pub struct Trace(Mode);

#[derive(Clone)]
enum Mode {
    /// No collector is configured.
    Off,
    /// The caller has decided that this trace is not recorded.
    PassedOn(Rc<TraceContext>),
    Recorded(Rc<Recording>),
}

struct Recording {
    /// The root span, as its children and other components see it.
    context: TraceContext,
    caller: Option<SpanId>,
    began: Instant,
    root: RefCell<Span>,
    steps: RefCell<Vec<Span>>,
    /// The spans of steps that have not ended yet.
    open: RefCell<Vec<(Step, SpanId)>>,
}

impl Trace {
    /// Begins the root span of a request, which continues the trace that the request belongs to.
    pub async fn begin(name: &'static str, request: &Request) -> Self {
        if !settings::finalize().await.is_ok_and(|settings| settings.trace) {
            return Self(Mode::Off);
        }
        let mode = match super::context_of(request) {
            Some(context) if !context.is_sampled => Mode::PassedOn(context.into()),
            caller => Mode::Recorded(Recording::new(name, request, caller).into()),
        };
        Self(mode)
    }

    /// Whether anything is recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.recording().is_some()
    }

    /// Gives the root span an attribute that is text.
    pub fn show(&self, name: &'static str, value: impl Display) {
        if let Some(recording) = self.recording() {
            recording.root.borrow_mut().texts.push((name.into(), value.to_string()));
        }
    }

    fn set(&self, name: &'static str, value: u64) {
        if let Some(recording) = self.recording() {
            recording.root.borrow_mut().numbers.push((name.into(), value));
        }
    }

    /// Gives the root span the attributes of the MOC that there is now.
    pub fn show_moc(&self, moc: &Moc) {
        self.show("mocId", moc.id);
        self.set("fileCount", moc.files.len() as u64);
        self.set("totalSizeBytes", moc.total_size_bytes());
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

    /// Ends the root span: the response is ready. A response that is the client's fault is none of
    /// this span's (OpenTelemetry's conventions for HTTP).
    pub(super) fn end(&self, status: u16, error: Option<&Error>) {
        let Some(recording) = self.recording() else { return };
        let code = error.map(code);
        let mut root = recording.root.borrow_mut();
        root.end_nanos = recording.now_nanos(root.start_nanos);
        root.numbers.push(("http.response.status_code".into(), status.into()));
        root.texts.extend(code.map(|code| ("code".into(), code.to_owned())));
        root.error = code.filter(|_| status >= 500).map(Into::into);
    }

    /// Hands the spans to the exporter. A failure logs one warning and begins a pause.
    pub(super) async fn export(&self) {
        let Some(recording) = self.recording() else { return };
        let now = Instant::now();
        if PAUSE_ENDS.get().is_some_and(|ends| now < ends) {
            return;
        }
        let batch = recording.batch();
        let deadline = now + Duration::from_millis(TRACE_EXPORT_MAX_MS);
        let cause = match within(deadline, host::export(batch)).await {
            Some(ForwardResult::Sent | ForwardResult::NotConfigured) => return,
            Some(ForwardResult::Failed(cause)) => cause,
            None => "the exporter did not respond in time".into(),
        };
        let now = Instant::now();
        // Another request was first.
        if PAUSE_ENDS.get().is_some_and(|ends| now < ends) {
            return;
        }
        PAUSE_ENDS.set(Some(now + Duration::from_millis(TRACE_PAUSE_MS)));
        log::warn(&format!("traces: {cause}; none are sent for {} s", TRACE_PAUSE_MS / 1000));
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

impl Recording {
    fn new(name: &'static str, request: &Request, caller: Option<TraceContext>) -> Self {
        let began = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = SpanId::of_random(get_random_u64());
        let span_id = caller.as_ref().map(|caller| caller.span_id);
        let context = match caller {
            Some(caller) => TraceContext { span_id: id, ..caller },
            None => {
                let bits = u128::from(get_random_u64()) << 64 | u128::from(get_random_u64());
                TraceContext { trace_id: TraceId::of_random(bits), span_id: id, is_sampled: true, state: None }
            }
        };
        let start_nanos = nanos(since);
        let method = ("http.request.method".into(), known(request.method()).to_owned());
        let path = ("url.path".into(), request.path().to_owned());
        let texts = vec![method, path];
        let root = Span {
            id,
            name: name.into(),
            start_nanos,
            end_nanos: start_nanos,
            error: None,
            texts,
            numbers: Vec::new(),
        };
        Self {
            context,
            caller: span_id,
            began,
            root: RefCell::new(root),
            steps: RefCell::default(),
            open: RefCell::default(),
        }
    }

    /// The span of a step that runs, or is about to.
    fn open(&self, step: Step) -> SpanId {
        let mut open = self.open.borrow_mut();
        if let Some((_, id)) = open.iter().find(|(running, _)| *running == step) {
            return *id;
        }
        let id = SpanId::of_random(get_random_u64());
        open.push((step, id));
        id
    }

    fn close(&self, step: Step, began: Instant, error: Option<&Error>) {
        let id = self.open(step);
        self.open.borrow_mut().retain(|(running, _)| *running != step);
        let zero_nanos = self.root.borrow().start_nanos;
        let span = Span {
            id,
            name: step.name().into(),
            start_nanos: zero_nanos.saturating_add(nanos(began.saturating_duration_since(self.began))),
            end_nanos: self.now_nanos(zero_nanos),
            error: error.map(|error| code(error).into()),
            texts: Vec::new(),
            numbers: Vec::new(),
        };
        let mut steps = self.steps.borrow_mut();
        if steps.len() + 1 < TRACE_SPANS_MAX {
            steps.push(span);
        }
    }

    /// The time, where the root span began at `zero_nanos`. The clock on the wall may be set while a
    /// request runs, so only the first time is from there.
    fn now_nanos(&self, zero_nanos: u64) -> u64 {
        zero_nanos.saturating_add(nanos(self.began.elapsed()))
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The method, or what OpenTelemetry's conventions for HTTP have for all that clients make up.
fn known(method: &str) -> &str {
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if known.contains(&method) { method } else { "_OTHER" }
}

/// The code of an error's problem.
fn code(error: &Error) -> &'static str {
    Problem::from(&error.kind).code
}
