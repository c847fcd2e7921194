//! Collectors that fail in every way: responses come as ever, and one line reports why there are no traces.

use std::time::{Duration, Instant};

use moc_tests::broadcaster::Mode;
use moc_tests::host::HostKind;
use moc_tests::{own_stack, unique_title, work_after_responses};

use super::{Traced, finalize};

/// What a finalize may take on a busy machine, far below the time limit of a trace.
const WORK: Duration = Duration::from_millis(1_500);
/// How many finalizes there are after the collector has failed.
const FINALIZES: usize = 6;

/// The requests of an upload and its finalize.
const REQUESTS: usize = 5;

/// The warnings of the log.
fn warnings(traced: &Traced) -> Vec<String> {
    let log = traced.stack.log();
    log.lines().filter(|line| line.contains("\"traces: ")).map(str::to_owned).collect()
}

/// A request that meets the collector; then uploads and finalizes, which do not wait for it, and what is said of it.
/// Where instances share what they know, the first request is the only one that does meet it.
async fn fails(traced: &Traced, cause: &str) {
    let client = traced.stack.client();
    let _ = client.create_session().await;
    let line = traced.stack.logged("\"traces: ").await;
    assert!(line.contains("\"level\":\"warn\"") && line.contains(cause), "{line}");
    assert!(line.contains("; none are sent for 60 s"), "{line}");
    let attempts = traced.collector.connections();
    let sessions = futures::future::join_all((0..FINALIZES).map(|_| client.upload_pdf(10))).await;
    for (session, _) in &sessions {
        let started = Instant::now();
        let _ = finalize(&client, session, &unique_title(), &[]).await.success(201);
        assert!(started.elapsed() < WORK, "the response took {:?}", started.elapsed());
    }
    let more = traced.collector.connections() - attempts;
    let more_max = if HostKind::chosen().instances_share() { 0 } else { FINALIZES * REQUESTS };
    assert!(more <= more_max, "{more} more attempts");
    assert!((1..=1 + more_max).contains(&warnings(traced).len()), "{:?}", warnings(traced));
}

#[tokio::test]
async fn it_responds_500() {
    own_stack!();
    let traced = Traced::start(&[]);
    traced.collector.set(Mode::Response(500, "Internal Server Error".into()));
    fails(&traced, "the collector responded 500").await;
    assert!(traced.collector.connections() >= 1);
}

#[tokio::test]
async fn it_rejects_connections() {
    own_stack!();
    let traced = Traced::start(&[]);
    traced.collector.reject().await;
    fails(&traced, "the collector cannot be reached").await;
}

#[tokio::test]
async fn it_is_somewhere_else() {
    own_stack!();
    let traced = Traced::start(&[]);
    traced.collector.set(Mode::Response(302, String::new()));
    fails(&traced, "the collector responded 302").await;
    assert!(traced.collector.posts().iter().all(|post| post.path == "/v1/traces"));
}

#[tokio::test]
async fn it_says_nothing() {
    own_stack!();
    work_after_responses!();
    let traced = Traced::start(&[]);
    traced.collector.set(Mode::Silent);
    fails(&traced, "the collector did not respond within 4500 ms").await;
}

#[tokio::test]
async fn it_reads_nothing() {
    own_stack!();
    work_after_responses!();
    let traced = Traced::start(&[]);
    traced.collector.set(Mode::Deaf);
    fails(&traced, "the collector did not respond within 4500 ms").await;
}

/// The status suffices: the body is not read.
#[tokio::test]
async fn a_success_without_end_is_one() {
    own_stack!();
    let traced = Traced::start(&[]);
    traced.collector.set(Mode::Endless);
    let client = traced.stack.client();
    for _ in 0..2 {
        let (session, _) = client.upload_pdf(10).await;
        let _ = finalize(&client, &session, &unique_title(), &[]).await.success(201);
        let _ = traced.collector.trace_of(&session).await;
    }
    assert_eq!(warnings(&traced), Vec::<String>::new());
}
