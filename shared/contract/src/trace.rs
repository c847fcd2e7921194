//! Traces: the context that goes with a request (W3C Trace Context, level 1), and a request's spans
//! as routes hand them to the exporter.

use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use moc_domain::error::{ErrorKind, FieldError};
use moc_domain::limits::{TRACE_SPANS_MAX, TRACE_STATE_MAX_BYTES};
use serde::{Deserialize, Serialize, Serializer};

/// The header that names a trace and a span.
pub const TRACEPARENT: &str = "traceparent";
/// The header of those that trace, next to it.
pub const TRACESTATE: &str = "tracestate";

/// The flag that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// A trace. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
pub struct TraceId(NonZeroU128);

/// A span of a trace. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Cow<'_, str>")]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// An id of random bits.
    #[must_use]
    pub fn of_random(bits: u128) -> Self {
        Self(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// As OTLP has it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The last eight of its bytes, which are random in every generator of ids.
    #[must_use]
    pub const fn low_bits(self) -> u64 {
        (self.0.get() & u64::MAX as u128) as u64
    }
}

impl SpanId {
    /// An id of random bits.
    #[must_use]
    pub fn of_random(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// As OTLP has it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TryFrom<Cow<'_, str>> for TraceId {
    type Error = &'static str;

    fn try_from(text: Cow<'_, str>) -> Result<Self, Self::Error> {
        let id = hex(&text, 32).and_then(NonZeroU128::new);
        id.map(Self).ok_or("must be 32 hex digits in lower case, not all of them 0")
    }
}

impl TryFrom<Cow<'_, str>> for SpanId {
    type Error = &'static str;

    fn try_from(text: Cow<'_, str>) -> Result<Self, Self::Error> {
        let id = hex(&text, 16).and_then(|id| NonZeroU64::new(u64::try_from(id).ok()?));
        id.map(Self).ok_or("must be 16 hex digits in lower case, not all of them 0")
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

/// So many hex digits, none of them a capital.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(text, 16).ok() } else { None }
}

/// What a request belongs to: a trace, and in it the span that sends the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
    /// What those that trace say to each other: text that is passed on as it is.
    pub state: Option<String>,
}

impl TraceContext {
    /// Reads the headers `traceparent` and `tracestate`, the latter with its lines put together.
    /// `None` for a `traceparent` that is none, as W3C Trace Context, sections 3.2 and 4.3, has it;
    /// a `tracestate` that is too long, or no text, is left out.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: &str) -> Option<Self> {
        let mut fields = traceparent.splitn(5, '-');
        let (version, trace_id) = (fields.next()?, fields.next()?);
        let (span_id, flags) = (fields.next()?, fields.next()?);
        let version = hex(version, 2).filter(|version| *version != 0xff)?;
        // Version 00 has these four fields; a later one may have more after them.
        if version == 0 && fields.next().is_some() {
            return None;
        }
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        let state = tracestate.trim_matches([' ', '\t', ',']);
        let is_text = state.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let is_passed_on = is_text && (1..=TRACE_STATE_MAX_BYTES).contains(&state.len());
        Some(Self {
            trace_id: Cow::Borrowed(trace_id).try_into().ok()?,
            span_id: Cow::Borrowed(span_id).try_into().ok()?,
            is_sampled: flags & SAMPLED != 0,
            state: is_passed_on.then(|| state.to_owned()),
        })
    }

    /// The same trace, as another span passes it on.
    #[must_use]
    pub fn within(&self, span_id: SpanId) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// The headers, with their names.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let flags = u8::from(self.is_sampled);
        let traceparent = format!("00-{}-{}-{flags:02x}", self.trace_id, self.span_id);
        let mut headers = vec![(TRACEPARENT, traceparent)];
        headers.extend(self.state.clone().map(|state| (TRACESTATE, state)));
        headers
    }
}

/// A request's trace, once everything of it is over.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceBatch {
    pub trace_id: TraceId,
    /// `tracestate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The caller's span, where the request came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<SpanId>,
    pub root: Span,
    /// The root's children.
    pub steps: Vec<Span>,
}

/// An attribute that is text, with its name.
pub type Text = (Cow<'static, str>, String);
/// An attribute that is a number, with its name.
pub type Number = (Cow<'static, str>, u64);

/// What a span below the root is, in the terms of OpenTelemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpanKind {
    /// A step within the service.
    #[default]
    Internal,
    /// A request to another service.
    Client,
}

impl SpanKind {
    fn is_internal(&self) -> bool {
        *self == Self::Internal
    }
}

/// A span of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    pub id: SpanId,
    pub name: Cow<'static, str>,
    /// Of no meaning for the root, which is the server's.
    #[serde(default, skip_serializing_if = "SpanKind::is_internal")]
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_nanos: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_nanos: u64,
    /// The code of the problem, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'static, str>>,
    /// Attributes with text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<Text>,
    /// Attributes with numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<Number>,
}

impl TraceBatch {
    /// Checks what its types do not say.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there are too many spans, or one ends before it begins.
    pub fn check(self) -> Result<Self, ErrorKind> {
        let invalid = |pointer: String, message: &str| {
            let errors = vec![FieldError::new(pointer, message)];
            Err(ErrorKind::Invalid { errors })
        };
        if self.steps.len() >= TRACE_SPANS_MAX {
            return invalid("/steps".into(), "has too many spans");
        }
        let ends_early = |span: &Span| span.end_nanos < span.start_nanos;
        if ends_early(&self.root) {
            return invalid("/root/endNanos".into(), "must not be before startNanos");
        }
        match self.steps.iter().position(ends_early) {
            Some(step) => invalid(format!("/steps/{step}/endNanos"), "must not be before startNanos"),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::body;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn parse(traceparent: &str) -> Option<TraceContext> {
        TraceContext::parse(traceparent, "")
    }

    #[test]
    fn a_context_is_passed_on_as_it_came() {
        for flags in ["00", "01"] {
            let traceparent = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = parse(&traceparent).expect("a context");
            assert_eq!(context.is_sampled, flags == "01");
            assert_eq!(context.headers(), [(TRACEPARENT, traceparent)]);
        }
    }

    #[test]
    fn flags_that_nobody_knows_are_not_passed_on() {
        for (flags, passed_on) in [("ff", "01"), ("03", "01"), ("02", "00"), ("fe", "00")] {
            let context = parse(&format!("00-{TRACE}-{SPAN}-{flags}")).expect("a context");
            assert_eq!(context.headers(), [(TRACEPARENT, format!("00-{TRACE}-{SPAN}-{passed_on}"))]);
        }
    }

    #[test]
    fn a_later_version_may_have_more() {
        for traceparent in [
            format!("01-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-is-yet-to-come"),
            format!("fe-{TRACE}-{SPAN}-01-"),
        ] {
            let context = parse(&traceparent).expect("a context");
            assert_eq!(context.headers(), [(TRACEPARENT, format!("00-{TRACE}-{SPAN}-01"))], "{traceparent}");
        }
    }

    #[test]
    fn ignores_malformed_contexts() {
        let zeros = "0".repeat(32);
        for traceparent in [
            String::new(),
            TRACE.into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-001"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0A-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-01.more"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{}-{SPAN}-01", "é".repeat(16)),
        ] {
            assert_eq!(parse(&traceparent), None, "{traceparent:?}");
        }
    }

    #[test]
    fn the_state_is_passed_on_where_it_is_short_and_text() {
        let traceparent = format!("00-{TRACE}-{SPAN}-01");
        let state = |state: &str| TraceContext::parse(&traceparent, state).expect("a context").state;
        assert_eq!(state("a=1,b=2"), Some("a=1,b=2".into()));
        assert_eq!(state(" a=1,\tb=2, "), Some("a=1,\tb=2".into()));
        let longest = format!("a={}", "1".repeat(TRACE_STATE_MAX_BYTES - 2));
        assert_eq!(state(&longest), Some(longest.clone()));
        for none in ["", " , ", "a=é", "a=\r\n", &format!("{longest}1")] {
            assert_eq!(state(none), None, "{none:?}");
        }
        let context = TraceContext::parse(&traceparent, "a=1").expect("a context");
        let child = context.within(SpanId::of_random(7));
        let passed_on = format!("00-{TRACE}-0000000000000007-01");
        assert_eq!(child.headers(), [(TRACEPARENT, passed_on), (TRACESTATE, "a=1".into())]);
    }

    #[test]
    fn ids_are_never_zero() {
        assert_eq!(TraceId::of_random(0).to_string(), format!("{:032x}", 1));
        assert_eq!(SpanId::of_random(0).to_string(), format!("{:016x}", 1));
        assert_eq!(TraceId::of_random(u128::MAX).to_bytes(), [0xff; 16]);
        assert_eq!(SpanId::of_random(1 << 56).to_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]);
    }

    fn span(start_nanos: u64, end_nanos: u64) -> Span {
        let (id, name, kind) = (SpanId::of_random(7), "create.moc".into(), SpanKind::Internal);
        Span { id, name, kind, start_nanos, end_nanos, error: None, texts: Vec::new(), numbers: Vec::new() }
    }

    fn batch() -> TraceBatch {
        let trace_id = Cow::Borrowed(TRACE).try_into().expect("an id");
        TraceBatch { trace_id, state: None, caller: None, root: span(1, 9), steps: vec![span(2, 3)] }
    }

    fn read(batch: &Value) -> Result<TraceBatch, ErrorKind> {
        body::read::<TraceBatch>(&mut batch.to_string().into_bytes())?.check()
    }

    #[test]
    fn a_batch_reads_what_it_writes() {
        let mut batch = batch();
        batch.state = Some("a=1".into());
        batch.caller = Some(SpanId::of_random(8));
        batch.root.error = Some("STORE_UNAVAILABLE".into());
        batch.steps.push(Span { kind: SpanKind::Client, ..span(4, 5) });
        batch.root.texts = vec![("userId".into(), "dev-user".into())];
        batch.root.numbers = vec![("totalSizeBytes".into(), u64::MAX)];
        let json = serde_json::to_value(&batch).expect("JSON");
        assert_eq!(json["traceId"], TRACE);
        assert_eq!(json["caller"], "0000000000000008");
        assert_eq!(
            json["steps"],
            json!([
                { "id": "0000000000000007", "name": "create.moc", "startNanos": 2, "endNanos": 3 },
                { "id": "0000000000000007", "name": "create.moc", "kind": "client", "startNanos": 4, "endNanos": 5 },
            ])
        );
        assert_eq!(read(&json), Ok(batch));
    }

    #[test]
    fn a_batch_that_says_malformed_is_rejected() {
        let sound = serde_json::to_value(batch()).expect("JSON");
        assert_eq!(read(&sound), Ok(batch()));
        let many = vec![sound["root"].clone(); TRACE_SPANS_MAX];
        assert!(read(&with(&sound, "/steps", json!(many[1..]))).is_ok());
        for (pointer, value) in [
            ("/traceId", json!("0".repeat(32))),
            ("/traceId", json!("x")),
            ("/caller", json!(SPAN.to_uppercase())),
            ("/root/id", json!("0".repeat(16))),
            ("/root/startNanos", json!(-1)),
            ("/root/endNanos", json!(0)),
            ("/steps/0/endNanos", json!(1)),
            ("/steps", json!(many)),
        ] {
            let Err(ErrorKind::Invalid { errors }) = read(&with(&sound, pointer, value)) else {
                panic!("{pointer} is not rejected")
            };
            let [error] = &errors[..] else { panic!("one error, not {errors:?}") };
            assert_eq!(error.pointer, pointer);
        }
    }

    fn with(batch: &Value, pointer: &str, value: Value) -> Value {
        let mut batch = batch.clone();
        match batch.pointer_mut(pointer) {
            Some(property) => *property = value,
            None => batch[&pointer[1..]] = value,
        }
        batch
    }
}
