//! Traces, as a collector gets them (OTLP over HTTP): here those of finalize.

mod collectors;
mod context;
mod faults;
mod routes;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use moc_tests::broadcaster::Broadcaster;
use moc_tests::collector::{Collector, INTERNAL, SERVER, Span};
use moc_tests::content::pdf;
use moc_tests::fault_proxy::FaultProxy;
use moc_tests::receiver::{Reaction, Receiver};
use moc_tests::{Client, Response, Stack, own_stack, path, unique_title, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

/// The steps of every finalize that makes a MOC.
const STEPS: [&str; 4] = ["validate.session", "validate.files", "create.moc", "create.files"];
/// A GIF of one pixel.
const DOT_GIF: &str = "47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b";
/// How long a trace may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// The flags of a span of a recorded trace, whose parent is of the same service.
const LOCAL: u32 = 0x101;
/// As [`LOCAL`], with a parent elsewhere.
const REMOTE: u32 = 0x301;

/// A stack, its collector and its broadcaster.
struct Traced {
    collector: Collector,
    broadcaster: Broadcaster,
    stack: Stack,
}

impl Traced {
    fn start(variables: &[(&str, &str)]) -> Self {
        Self::of(Collector::start(), variables)
    }

    /// One whose collector is behind a path.
    fn hosted(path: &str, variables: &[(&str, &str)]) -> Self {
        let collector = Collector::start();
        let (origin, endpoint) = (collector.endpoint(), format!("{}{path}", collector.endpoint()));
        let own = [("otel_exporter_otlp_endpoint", endpoint.as_str()), ("otel_exporter_otlp_origin", &origin)];
        Self::of(collector, &[&own[..], variables].concat())
    }

    fn of(collector: Collector, variables: &[(&str, &str)]) -> Self {
        let broadcaster = Broadcaster::start();
        let (endpoint, url, origin) = (collector.endpoint(), broadcaster.url("/ws"), broadcaster.origin());
        let own = [
            ("otel_exporter_otlp_endpoint", endpoint.as_str()),
            ("websocket_api_url", &url),
            ("websocket_api_origin", &origin),
            ("websocket_api_key", "a-key"),
            ("websocket_emit_timeout_ms", "10000"),
        ];
        let given = |name: &str| variables.iter().any(|(given, _)| *given == name);
        let own = own.into_iter().filter(|(name, _)| !given(name));
        let stack = Stack::start(&own.chain(variables.iter().copied()).collect::<Vec<_>>());
        Self { collector, broadcaster, stack }
    }

    /// One for all tests that need no other.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Traced> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }
}

/// Makes a MOC of a session, by a request with these headers.
async fn finalize(client: &Client, session: &str, title: &str, headers: &[(&str, &str)]) -> Response {
    let body = json!({ "uploadSessionId": session, "title": title }).to_string();
    let mut request = client.request(Method::POST, path::FINALIZE).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

fn is_within(span: &Span, other: &Span) -> bool {
    other.nanos.0 <= span.nanos.0 && span.nanos.0 <= span.nanos.1 && span.nanos.1 <= other.nanos.1
}

fn now_nanos() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).expect("a time after 1970")
}

#[tokio::test]
async fn ot_hp_001_finalize_with_otlp_enabled_exports_its_spans_to_the_collector() {
    own_stack!();
    let Traced { collector, stack, .. } = Traced::shared();
    let client = stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &pdf(492)].concat();
    let _ = client.upload(&session, "front.png", "image", "image/png", &picture).await;
    let before = now_nanos();
    let moc = finalize(&client, &session, &unique_title(), &[]).await.success(201);
    let trace = collector.trace_of(&session).await;

    let posts = collector.posts();
    let post = posts.iter().find(|post| String::from_utf8_lossy(&post.bytes).contains(&session)).expect("the POST");
    assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/v1/traces"));
    assert_eq!(post.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(post.header("content-length"), Some(post.bytes.len().to_string().as_str()));
    assert!(post.header("authorization").is_none() && post.header("traceparent").is_none(), "{:?}", post.headers);

    assert_eq!(trace.resource["service.name"], "moc-uploads");
    let version = trace.resource["service.version"].as_str().expect("a version");
    assert!(version.split('.').count() == 3, "{version}");
    assert_eq!(trace.scope, ("moc-uploads".to_owned(), version.to_owned()));

    let root = trace.root();
    assert_eq!((root.name.as_str(), root.kind, root.flags), ("moc.upload.finalize", SERVER, LOCAL));
    assert_eq!((&root.parent, root.state.as_str(), &root.error), (&None, "", &None));
    let expected = json!({
        "sessionId": session,
        "mocId": moc["id"],
        "userId": "dev-user",
        "fileCount": 2,
        "totalSizeBytes": 1_500,
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "http.route": path::FINALIZE,
        "url.path": path::FINALIZE,
    });
    assert_eq!(json!(root.attributes), expected);

    assert_eq!(trace.steps(), STEPS);
    assert_eq!(trace.spans.len(), 1 + STEPS.len());
    for step in STEPS.map(|name| trace.span(name)) {
        assert_eq!((step.kind, step.flags, &step.error), (INTERNAL, LOCAL, &None), "{step:?}");
        assert_eq!(json!(step.attributes), json!({}), "{step:?}");
        assert!(is_within(step, root), "{step:?} is not within {root:?}");
    }
    for pair in STEPS.windows(2) {
        assert!(trace.span(pair[0]).nanos.1 <= trace.span(pair[1]).nanos.0, "{trace:?}");
    }
    let ids: BTreeSet<&str> = trace.spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), trace.spans.len(), "{trace:?}");
    assert!(before <= root.nanos.0 && root.nanos.1 <= now_nanos(), "{root:?}");
}

/// The thumbnail and the webhook are made after the response, so their spans may end after the root's; and what goes
/// to the receiver belongs to the span that it is sent in.
#[tokio::test]
async fn what_follows_the_response_is_in_the_trace() {
    own_stack!();
    let receiver = Receiver::start();
    let Traced { collector, stack, .. } = &Traced::start(&[
        ("enable_thumbnail_generation", "true"),
        ("moc_finalize_webhook_url", &receiver.url("/hook")),
        ("moc_finalize_webhook_origin", &receiver.origin()),
    ]);
    // The webhook arrives at the second attempt.
    receiver.script([Reaction::Response(500)], Reaction::Response(204));
    let client = stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let _ = client.upload(&session, "dot.gif", "image", "image/gif", &hex::decode(DOT_GIF).expect("hex")).await;
    let moc = finalize(&client, &session, &unique_title(), &[("tracestate", "a=1")]).await.success(201);
    let responded = now_nanos();
    let trace = collector.trace_of(&session).await;
    let root = trace.root();
    assert!(root.nanos.1 <= responded && root.error.is_none(), "{root:?}");
    let mut steps = trace.steps();
    steps.sort_unstable();
    let mut all = [&STEPS[..], &["generate.thumbnail", "send.webhook"]].concat();
    all.sort_unstable();
    assert_eq!(steps, all);
    let (thumbnail, webhook) = (trace.span("generate.thumbnail"), trace.span("send.webhook"));
    for step in [thumbnail, webhook] {
        assert!(root.nanos.1 <= step.nanos.0 && step.nanos.0 <= step.nanos.1, "{step:?} is not after {root:?}");
        assert_eq!((step.kind, &step.error), (INTERNAL, &None), "{step:?}");
    }
    assert!(thumbnail.nanos.0 <= webhook.nanos.1 && webhook.nanos.0 <= thumbnail.nanos.1, "one after the other");
    assert!(webhook.nanos.1 - webhook.nanos.0 >= 1_000_000_000, "two attempts take a second: {webhook:?}");

    let id = moc["id"].as_str().expect("an id");
    let attempts = receiver.received_of(id);
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    for sent in attempts {
        assert_eq!(sent.header("traceparent"), Some(format!("00-{}-{}-01", root.trace_id, webhook.id).as_str()));
        assert_eq!(sent.header("tracestate"), None, "there was no trace that it is of");
    }
    let moc = client.get(&path::moc(id)).await.success(200);
    assert!(moc["thumbnailUrl"].is_string(), "{moc}");
}

/// What an earlier call has done is no step of this one.
#[tokio::test]
async fn a_finalize_that_finds_its_moc_has_one_step() {
    own_stack!();
    let Traced { collector, stack, .. } = Traced::shared();
    let client = stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let title = unique_title();
    let moc = finalize(&client, &session, &title, &[]).await.success(201);
    let _ = collector.trace_of(&session).await;
    let _ = finalize(&client, &session, &title, &[]).await.success(200);
    let again = collector.traces_of(&session, 2).await.remove(1);
    assert_eq!(again.steps(), ["validate.session"]);
    assert_eq!(again.root().attributes["http.response.status_code"], 200);
    assert_eq!(again.root().attributes["mocId"], moc["id"]);
    assert_eq!(again.root().error, None);
}

/// They share an instance and what is static in it.
#[tokio::test]
async fn finalizes_at_once_have_a_trace_each() {
    own_stack!();
    let Traced { collector, stack, .. } = Traced::shared();
    let client = stack.client();
    let sessions = futures::future::join_all((0..8).map(|_| client.upload_pdf(10))).await;
    let finalizes = sessions.iter().map(async |(session, _)| {
        let moc = finalize(&client, session, &unique_title(), &[]).await.success(201);
        moc["id"].clone()
    });
    let mocs = futures::future::join_all(finalizes).await;
    let mut trace_ids = BTreeSet::new();
    for ((session, _), moc) in sessions.iter().zip(mocs) {
        let trace = collector.trace_of(session).await;
        assert_eq!(trace.root().attributes["mocId"], moc);
        assert_eq!(trace.steps(), STEPS);
        trace_ids.insert(trace.root().trace_id.clone());
    }
    assert_eq!(trace_ids.len(), sessions.len());
}

/// A rejection is the client's fault and no error of the service; the step that it comes from has failed.
#[tokio::test]
async fn a_rejected_finalize_is_traced() {
    own_stack!();
    let Traced { collector, stack, .. } = Traced::shared();
    let client = stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let reply = client.delete(&path::session(&session)).await;
    assert_eq!(reply.status, 204);
    let _ = finalize(&client, &session, &unique_title(), &[]).await.problem(409, "SESSION_NOT_ACTIVE");
    let trace = collector.trace_of(&session).await;
    let root = trace.root();
    assert_eq!(root.error, None);
    assert_eq!(root.attributes["http.response.status_code"], 409);
    assert_eq!(root.attributes["code"], "SESSION_NOT_ACTIVE");
    assert!(!root.attributes.contains_key("mocId") && !root.attributes.contains_key("error.type"), "{root:?}");
    assert_eq!(trace.steps(), ["validate.session"]);
    let step = trace.span("validate.session");
    assert_eq!(step.error.as_deref(), Some("SESSION_NOT_ACTIVE"));
    assert_eq!(json!(step.attributes), json!({ "error.type": "SESSION_NOT_ACTIVE" }));
}

#[tokio::test]
async fn a_request_without_a_session_is_traced_too() {
    own_stack!();
    let Traced { collector, stack, .. } = Traced::shared();
    let client = stack.client();
    let made_up = Method::from_bytes(b"BREW").expect("a method");
    for (method, shown, status, code) in [
        (Method::POST, "POST", 400, "MALFORMED_BODY"),
        (Method::PUT, "PUT", 405, "METHOD_NOT_ALLOWED"),
        (made_up, "_OTHER", 405, "METHOD_NOT_ALLOWED"),
    ] {
        let trace_id = uuid::Uuid::new_v4().simple().to_string();
        let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
        let request = client.request(method, path::SESSIONS_FINALIZE).header("traceparent", &traceparent);
        let _ = client.send(request.body("{")).await.problem(status, code);
        let find = async || collector.traces().into_iter().find(|trace| trace.root().trace_id == trace_id);
        let trace = wait_for("the trace", PATIENCE, find).await;
        let expected = json!({
            "userId": "dev-user",
            "code": code,
            "http.request.method": shown,
            "http.response.status_code": status,
            "http.route": path::SESSIONS_FINALIZE,
            "url.path": path::SESSIONS_FINALIZE,
        });
        assert_eq!(json!(trace.root().attributes), expected);
        assert_eq!(trace.spans.len(), 1);
    }
}

/// An outage is an error of the step and of the service.
#[tokio::test]
async fn a_finalize_that_fails_is_traced_as_an_error() {
    own_stack!();
    let (s3, collector) = (FaultProxy::start(moc_tests::s3_url()), Collector::start());
    let variables = [("otel_exporter_otlp_endpoint", collector.endpoint()), ("s3_endpoint", s3.endpoint())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stack = Stack::start(&variables);
    let client = stack.client();
    let (session, _) = client.upload_pdf(10).await;
    s3.reject().await;
    let _ = finalize(&client, &session, &unique_title(), &[]).await.problem(503, "S3_UNAVAILABLE");
    let trace = collector.trace_of(&session).await;
    assert_eq!(trace.steps(), ["validate.session", "validate.files"]);
    assert_eq!(trace.span("validate.session").error, None);
    for failed in [trace.root(), trace.span("validate.files")] {
        assert_eq!(failed.error.as_deref(), Some("S3_UNAVAILABLE"));
        assert_eq!(failed.attributes["error.type"], "S3_UNAVAILABLE");
    }
    assert_eq!(trace.root().attributes["http.response.status_code"], 503);
    assert_eq!(trace.root().attributes.get("mocId"), None::<&Value>);
}
