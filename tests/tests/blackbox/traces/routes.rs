//! Traces of every route, and which requests have one.

use moc_tests::collector::{CLIENT, SERVER, Trace};
use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::{own_stack, path, unique_title, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PATIENCE, REMOTE, Traced, finalize};
use crate::batch;

const SESSION: &str = "/api/mocs/uploads/sessions/:sessionId";
const FILE: &str = "/api/mocs/uploads/sessions/:sessionId/files/:fileId";

/// Waits for the trace of the one request of this route to this path.
async fn trace_to(traced: &Traced, name: &str, path: &str) -> Trace {
    let find = async || {
        let is_it = |trace: &Trace| trace.root().name == name && trace.root().attributes["url.path"] == path;
        traced.collector.traces().into_iter().find(is_it)
    };
    wait_for(&format!("a trace of {name}"), PATIENCE, find).await
}

#[tokio::test]
async fn a_part_has_its_size_its_number_and_the_time_of_the_bucket() {
    own_stack!();
    let traced = Traced::shared();
    let client = traced.stack.client();
    let bytes = pdf(PART_BYTES + 7);
    let session = client.create_session().await;
    let file = client.register_pdf(&session, bytes.len()).await;
    for (number, part) in (1..).zip(bytes.chunks(PART_BYTES)) {
        let _ = client.put_part(&session, &file, number, part.to_vec()).await.success(200);
    }
    let route = format!("{FILE}/parts/:partNumber");
    for (number, size) in [(1, PART_BYTES), (2, 7)] {
        let path = path::part(&session, &file, number);
        let trace = trace_to(traced, &format!("PUT {route}"), &path).await;
        let root = trace.root();
        let time = root.attributes["s3Ms"].as_u64().expect("milliseconds");
        let expected = json!({
            "userId": "dev-user",
            "sessionId": session,
            "fileId": file,
            "partNumber": number,
            "sizeBytes": size,
            "s3Ms": time,
            "http.request.method": "PUT",
            "http.response.status_code": 200,
            "http.route": route,
            "url.path": path,
        });
        assert_eq!(json!(root.attributes), expected);
        assert_eq!((root.kind, &root.error, &root.parent), (SERVER, &None, &None));
        assert_eq!(trace.steps(), ["S3.UploadPart"]);
        let call = trace.span("S3.UploadPart");
        assert_eq!((call.kind, &call.error), (CLIENT, &None));
        assert_eq!(json!(call.attributes), json!({ "partNumber": number, "sizeBytes": size, "s3Ms": time }));
        assert!(root.nanos.0 <= call.nanos.0 && call.nanos.1 <= root.nanos.1, "{trace:?}");
        assert!(time * 1_000_000 <= call.nanos.1 - call.nanos.0, "more than the whole request: {trace:?}");
    }
}

#[tokio::test]
async fn every_route_has_a_trace() {
    own_stack!();
    let traced = Traced::shared();
    let client = traced.stack.client();
    let (session, file) = client.upload_pdf(10).await;
    let second = client.register(&session, "second.pdf", "instruction", "application/pdf", 20).await;
    let _ = batch::post(&client, &session, &second, batch::form(&[("part1", &pdf(20))])).await.success(200);
    let numbers = json!({ "partNumbers": [1] });
    let _ = client.post(&path::part_urls(&session, &second), &numbers).await.success(200);
    let parts = client.get(&path::parts(&session, &second)).await.success(200)["parts"].clone();
    let stored = json!({ "parts": [
        { "partNumber": 1, "etag": parts[0]["etag"], "sizeBytes": 20 },
    ] });
    let _ = client.post(&path::stored_parts(&session, &second), &stored).await.success(200);
    let _ = client.complete(&session, &second).await.success(200);
    let _ = client.get(&path::session(&session)).await.success(200);
    let moc = finalize(&client, &session, &unique_title(), &[]).await.success(201);
    let moc = path::moc(moc["id"].as_str().expect("an id"));
    let _ = client.get(&moc).await.success(200);
    let _ = client.get(path::HEALTH).await.success(200);
    let cancelled = client.create_session().await;
    assert_eq!(client.delete(&path::session(&cancelled)).await.status, 204);

    for (name, path, calls) in [
        (format!("POST {SESSION}/files"), path::files(&session), &["S3.CreateMultipartUpload"][..]),
        (format!("PUT {FILE}/parts/:partNumber"), path::part(&session, &file, 1), &["S3.UploadPart"]),
        (format!("POST {FILE}/parts/batch"), path::batch(&session, &second), &["S3.UploadPart"]),
        (format!("POST {FILE}/parts/urls"), path::part_urls(&session, &second), &[]),
        (format!("POST {FILE}/parts/stored"), path::stored_parts(&session, &second), &[]),
        (format!("GET {FILE}/parts"), path::parts(&session, &second), &[]),
        (format!("POST {FILE}/complete"), path::complete(&session, &file), &["S3.CompleteMultipartUpload"]),
        (format!("GET {SESSION}"), path::session(&session), &[]),
        (format!("DELETE {SESSION}"), path::session(&cancelled), &[]),
        ("GET /api/mocs/:mocId".to_owned(), moc, &[]),
    ] {
        let trace = trace_to(traced, &name, &path).await;
        let (root, route) = (trace.root(), name.split(' ').nth(1).expect("a route"));
        assert_eq!(root.attributes["http.route"], route);
        assert_eq!((root.kind, &root.error), (SERVER, &None), "{trace:?}");
        let found: Vec<&str> = trace.steps().into_iter().filter(|step| calls.contains(step)).collect();
        assert_eq!(found, calls, "{trace:?}");
    }
    let created = format!("POST {}", path::SESSIONS);
    let _ = traced.collector.traces_named(&created, &session, 1).await;
    let _ = trace_to(traced, &format!("GET {}", path::HEALTH), path::HEALTH).await;
}

#[tokio::test]
async fn a_rejected_request_has_the_code_and_is_not_an_error_of_the_service() {
    own_stack!();
    let traced = Traced::shared();
    let client = traced.stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let _ = client.put_part(&session, &file, 1, pdf(9)).await.problem(400, "PART_SIZE_MISMATCH");
    let path = path::part(&session, &file, 1);
    let trace = trace_to(traced, &format!("PUT {FILE}/parts/:partNumber"), &path).await;
    let root = trace.root();
    assert_eq!((&root.attributes["code"], &root.error), (&json!("PART_SIZE_MISMATCH"), &None));
    assert_eq!(trace.spans.len(), 1, "the bucket was not asked: {trace:?}");
    let malformed = path::session("x");
    let _ = client.get(&malformed).await.problem(404, "NOT_FOUND");
    let trace = trace_to(traced, &format!("GET {SESSION}"), &malformed).await;
    assert_eq!(trace.root().attributes.get("sessionId"), None::<&Value>);
}

/// Of the requests that belong to no trace, the ratio chooses; a caller that records its trace gets its spans.
#[tokio::test]
async fn a_caller_decides_before_the_ratio() {
    own_stack!();
    let traced = Traced::start(&[("traces_sampler_ratio", "0")]);
    let client = traced.stack.client();
    let session = client.create_session().await;
    let _ = client.get(&path::session(&session)).await.success(200);
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    for flags in ["00", "01"] {
        let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-{flags}");
        let request = client.request(Method::GET, &path::session(&session)).header("traceparent", traceparent);
        let _ = client.send(request).await.success(200);
    }
    let trace = trace_to(&traced, &format!("GET {SESSION}"), &path::session(&session)).await;
    let root = trace.root();
    assert_eq!((root.trace_id.as_str(), root.parent.as_deref()), (trace_id.as_str(), Some("00f067aa0ba902b7")));
    assert_eq!(root.flags, REMOTE);
    assert_eq!(traced.collector.posts().len(), 1, "of the four requests");
}
