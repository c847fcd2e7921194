//! Collectors as they are sold: behind a path, with a key, and in gzip.

use moc_tests::collector::Trace;
use moc_tests::{local_host, own_stack, unique_title, wait_for};

use super::{PATIENCE, Traced, finalize};

const HEADERS: &str = "Authorization=Basic%20czNjcmV0OmtleQ%3D%3D, X-Scope-OrgID = moc,";

#[tokio::test]
async fn a_hosted_collector_gets_traces_behind_its_path_with_its_key_and_in_gzip() {
    own_stack!();
    let traced = Traced::hosted(
        "/otlp/",
        &[("otel_exporter_otlp_headers", HEADERS), ("otel_exporter_otlp_compression", "gzip")],
    );
    let client = traced.stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let _ = finalize(&client, &session, &unique_title(), &[]).await.success(201);
    let trace = traced.collector.trace_of(&session).await;
    assert_eq!(trace.resource["service.name"], "moc-uploads");
    // Those of the upload's four requests, and of the finalize.
    let all = async || Some(traced.collector.posts()).filter(|posts| posts.len() >= 5);
    let posts = wait_for("all traces", PATIENCE, all).await;
    for post in &posts {
        assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/otlp/v1/traces"));
        assert_eq!(post.header("authorization"), Some("Basic czNjcmV0OmtleQ=="));
        assert_eq!(post.header("x-scope-orgid"), Some("moc"));
        assert_eq!(post.header("content-encoding"), Some("gzip"));
        assert_eq!(post.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(post.header("content-length"), Some(post.bytes.len().to_string().as_str()));
        assert!(post.header("user-agent").is_some_and(|agent| agent.starts_with("moc-uploads/")), "{post:?}");
        assert!(!Trace::of(post).spans.is_empty());
    }
    let log = traced.stack.log();
    assert!(!log.contains("czNjcmV0") && !log.contains("traces:"), "{log}");
}

/// The start succeeds, as under Spin, and one line names each variable.
#[test]
fn variables_that_turn_traces_off_are_warned_of_at_the_start() {
    local_host!();
    let state = moc_tests::temporary_folder();
    let endpoint = |value| ("otel_exporter_otlp_endpoint", value);
    let plain = endpoint("http://127.0.0.1:4318");
    for (variables, named) in [
        (vec![endpoint("127.0.0.1:4318")], vec!["otel_exporter_otlp_endpoint must be"]),
        (vec![endpoint("http://127.0.0.1:4318/v1/traces")], vec!["otel_exporter_otlp_endpoint must be"]),
        (
            vec![endpoint("http://127.0.0.1:4318/otlp")],
            vec!["otel_exporter_otlp_endpoint has a path", "otel_exporter_otlp_origin"],
        ),
        (vec![plain, ("otel_exporter_otlp_headers", "s3cret")], vec!["otel_exporter_otlp_headers must be"]),
        (vec![plain, ("otel_exporter_otlp_compression", "zstd")], vec!["otel_exporter_otlp_compression must be"]),
        (vec![plain, ("traces_sampler_ratio", "2")], vec!["traces_sampler_ratio must be"]),
    ] {
        let (rejected, said) = moc_tests::host::rejected(state.path(), &variables);
        assert!(!rejected && named.iter().all(|name| said.contains(name)), "{variables:?}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
