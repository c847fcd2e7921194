//! Where a trace comes from and where it goes on: W3C Trace Context.

use moc_tests::broadcaster::Post;
use moc_tests::{Stack, local_host, own_stack, unique_title};

use super::{REMOTE, Traced, finalize};

const SPAN: &str = "00f067aa0ba902b7";

fn trace_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What the broadcaster got of a session before its finalize, and what it got of that. The stack must have no other
/// requests meanwhile: events of several share a post, which has the context of one of them.
fn posts(traced: &Traced, session: &str) -> (Vec<Post>, Post) {
    let posts = traced.broadcaster.posts_of(session);
    let is_of_finalize = |post: &Post| post.body.to_string().contains("session_finalized");
    let (mut last, others): (Vec<Post>, Vec<Post>) = posts.into_iter().partition(is_of_finalize);
    assert_eq!(last.len(), 1, "one batch of finalize: {last:?}");
    (others, last.remove(0))
}

#[tokio::test]
async fn a_trace_that_has_begun_goes_on() {
    own_stack!();
    let traced = Traced::start(&[]);
    let client = traced.stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let trace_id = trace_id();
    let traceparent = format!("00-{trace_id}-{SPAN}-01");
    let headers = [("traceparent", traceparent.as_str()), ("tracestate", "a=1"), ("tracestate", "b=2,c=3")];
    let _ = finalize(&client, &session, &unique_title(), &headers).await.success(201);
    let trace = traced.collector.trace_of(&session).await;
    let root = trace.root();
    assert_eq!((root.trace_id.as_str(), root.parent.as_deref()), (trace_id.as_str(), Some(SPAN)));
    assert_eq!(root.flags, REMOTE);
    assert!(trace.spans.iter().all(|span| span.state == "a=1,b=2,c=3"), "{trace:?}");
    assert_eq!(trace.steps().len(), trace.spans.len() - 1);

    let (others, last) = posts(&traced, &session);
    assert_eq!(last.header("traceparent"), Some(format!("00-{trace_id}-{}-01", root.id).as_str()));
    assert_eq!(last.header("tracestate"), Some("a=1,b=2,c=3"));
    assert!(!others.is_empty() && others.iter().all(|post| post.header("traceparent").is_none()), "{others:?}");
}

#[tokio::test]
async fn a_trace_begins_where_none_has() {
    own_stack!();
    let traced = Traced::start(&[]);
    let client = traced.stack.client();
    let id = trace_id();
    let (first, second) = (format!("00-{id}-{SPAN}-01"), format!("00-{id}-00f067aa0ba902b8-01"));
    let (zeros, capitals) = (format!("00-{}-{SPAN}-01", "0".repeat(32)), first.to_uppercase());
    let two = [("traceparent", first.as_str()), ("traceparent", &second)];
    for headers in [
        &[][..],
        &[("tracestate", "a=1")],
        &[("traceparent", "malformed"), ("tracestate", "a=1")],
        &[("traceparent", &zeros)],
        &[("traceparent", &capitals)],
        &two,
    ] {
        let (session, _) = client.upload_pdf(10).await;
        let _ = finalize(&client, &session, &unique_title(), headers).await.success(201);
        let trace = traced.collector.trace_of(&session).await;
        let root = trace.root();
        assert_eq!((&root.parent, root.state.as_str()), (&None, ""), "{headers:?}");
        assert_ne!(root.trace_id, id, "{headers:?}");
        let (_, last) = posts(&traced, &session);
        assert_eq!(last.header("traceparent"), Some(format!("00-{}-{}-01", root.trace_id, root.id).as_str()));
        assert_eq!(last.header("tracestate"), None);
    }
}

/// Somebody before has decided that nobody records it: it goes on like that, and is not sent.
#[tokio::test]
async fn a_trace_that_is_not_sampled_is_passed_on_and_not_sent() {
    own_stack!();
    let traced = Traced::start(&[]);
    let client = traced.stack.client();
    let (quiet, _) = client.upload_pdf(10).await;
    let traceparent = format!("00-{}-{SPAN}-00", trace_id());
    let headers = [("traceparent", traceparent.as_str()), ("tracestate", "a=1")];
    let _ = finalize(&client, &quiet, &unique_title(), &headers).await.success(201);
    let (_, last) = posts(&traced, &quiet);
    assert_eq!(last.header("traceparent"), Some(traceparent.as_str()));
    assert_eq!(last.header("tracestate"), Some("a=1"));
    // What came later is there: what came before would be.
    for _ in 0..3 {
        let (session, _) = client.upload_pdf(10).await;
        let _ = finalize(&client, &session, &unique_title(), &[]).await.success(201);
        let _ = traced.collector.trace_of(&session).await;
    }
    assert!(traced.collector.traces_of(&quiet, 0).await.is_empty());
}

/// Nothing is traced, so there is nothing to go on with.
#[tokio::test]
async fn without_a_collector_no_context_goes_on() {
    own_stack!();
    let traced = Traced::start(&[("otel_exporter_otlp_endpoint", "")]);
    let client = traced.stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let traceparent = format!("00-{}-{SPAN}-01", trace_id());
    let _ = finalize(&client, &session, &unique_title(), &[("traceparent", &traceparent)]).await.success(201);
    let (others, last) = posts(&traced, &session);
    assert!(others.iter().chain([&last]).all(|post| post.header("traceparent").is_none()), "{last:?}");
    assert_eq!(traced.collector.connections(), 0);
    assert!(!traced.stack.log().contains("traces:"), "{}", traced.stack.log());
}

#[test]
fn a_collector_that_is_no_url_is_warned_of_and_stops_nothing() {
    local_host!();
    let state = moc_tests::temporary_folder();
    let (rejected, said) =
        moc_tests::host::rejected(state.path(), &[("otel_exporter_otlp_endpoint", "127.0.0.1:4318")]);
    assert!(!rejected && said.contains("warning: the variable otel_exporter_otlp_endpoint "), "{said}");
}

#[tokio::test]
async fn the_exporter_is_no_public_route() {
    own_stack!();
    let stack: &Stack = &Traced::shared().stack;
    let client = stack.client();
    for path in ["/trace-exporter", "/hosted-trace-exporter", "/internal/trace-exporter", "/v1/traces"] {
        let _ = client.post(path, &serde_json::json!({})).await.problem(404, "NOT_FOUND");
    }
}
