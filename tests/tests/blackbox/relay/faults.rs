//! Broadcasters that fail in every way: an upload goes on, costs little more, and one line reports why.

use std::time::{Duration, Instant};

use moc_tests::broadcaster::{Broadcaster, ELSEWHERE, Mode};
use moc_tests::content::{PART_BYTES, pdf, starting};
use moc_tests::host::HostKind;
use moc_tests::{Client, Response, Stack, components_apart, own_stack, sharing_instances, unique_title, wait_for};

use super::{KEY, Relayed, complaints};

/// How long an event may take in these tests.
pub(super) const EMIT_LIMIT: Duration = Duration::from_millis(300);
/// What a request may take next to its event, on a busy machine.
pub(super) const WORK: Duration = Duration::from_millis(1_500);
/// For how long nothing is sent after a failure.
pub(super) const PAUSE: Duration = Duration::from_secs(5);
pub(super) const WARNING: &str = "progress events: ";

fn start() -> Relayed {
    Relayed::start("/ws/broadcast", &[("websocket_emit_timeout_ms", "300")])
}

/// Sends a request and keeps how long its response took.
async fn timed(times: &mut Vec<(String, Duration)>, ask: impl Future<Output = Response>) -> Response {
    let started = Instant::now();
    let reply = ask.await;
    times.push((reply.path.clone(), started.elapsed()));
    reply
}

/// Uploads two files of two parts each and makes a MOC of them; gives how long each response took.
async fn upload(client: &Client) -> Vec<(String, Duration)> {
    let mut times = Vec::new();
    let files = [
        ("castle.pdf", "instruction", "application/pdf", pdf(PART_BYTES + 1_000)),
        ("front.png", "image", "image/png", starting(b"\x89PNG\r\n\x1a\n", PART_BYTES + 1_000)),
    ];
    let declared = serde_json::json!({ "files": [moc_tests::declared_pdf(1)] });
    let created = timed(&mut times, client.post(moc_tests::path::SESSIONS, &declared)).await;
    let session = created.text_of("sessionId");
    for (name, category, media_type, bytes) in files {
        let register = client.try_register(&session, name, category, media_type, bytes.len());
        let file = timed(&mut times, register).await.text_of("fileId");
        for (number, part) in (1..).zip(bytes.chunks(PART_BYTES)) {
            let sent = timed(&mut times, client.put_part(&session, &file, number, part.to_vec())).await;
            let _ = sent.success(200);
        }
        let _ = timed(&mut times, client.complete(&session, &file)).await.success(200);
    }
    let moc = timed(&mut times, client.finalize(&session, &unique_title())).await.success(201);
    assert_eq!(moc["files"].as_array().map(Vec::len), Some(2), "{moc}");
    times
}

/// A whole upload while the broadcaster fails, and events again once it does not.
async fn fails(relayed: Relayed, tries_reach_it: bool) {
    let Relayed { broadcaster, stack } = &relayed;
    let (client, share) = (stack.client(), HostKind::chosen().instances_share());
    let started = Instant::now();
    let times = upload(&client).await;
    let elapsed = started.elapsed();
    for (path, time) in &times {
        assert!(*time < EMIT_LIMIT + WORK, "{path} took {time:?}");
    }
    let said = complaints(stack).await;
    assert!(!said.is_empty(), "{}", stack.log());
    for line in &said {
        assert!(line.contains("\"level\":\"warn\"") && line.contains(WARNING), "{line}");
        assert!(line.contains("; none are sent for 5 s"), "{line}");
    }
    if share {
        let slow: Vec<_> = times.iter().filter(|(_, time)| *time > EMIT_LIMIT).collect();
        assert!(slow.len() <= 2, "more than the pause lets wait: {slow:?} of {times:?}");
        // Instances of all routes know of the pause: there is one attempt, and one line.
        let attempts = if elapsed < PAUSE { 1 } else { 2 };
        assert!((1..=attempts).contains(&said.len()), "in {elapsed:?}: {said:?}");
        assert_eq!(broadcaster.connections(), if tries_reach_it { said.len() } else { 0 });
    }
    assert!(broadcaster.posts().iter().all(|post| post.path != ELSEWHERE));

    broadcaster.set(Mode::well());
    broadcaster.listen();
    if !share {
        // Each instance has a pause of its own: the last one begins with an event that is under way.
        tokio::time::sleep(EMIT_LIMIT + PAUSE).await;
    }
    let before = broadcaster.posts().len();
    let flows = async || {
        client.create_session().await;
        (broadcaster.posts().len() > before).then_some(())
    };
    wait_for("events after the pause", PAUSE * 2, flows).await;
    let quiet = complaints(stack).await.len();
    let (session, _) = client.upload_pdf(100).await;
    assert_eq!(relayed.events(&session).len(), 5);
    if share {
        assert_eq!(complaints(stack).await.len(), quiet, "{:?}", complaints(stack).await);
    }
}

async fn fails_so(mode: Mode) {
    let relayed = start();
    relayed.broadcaster.set(mode);
    fails(relayed, true).await;
}

#[tokio::test]
async fn it_rejects_connections() {
    own_stack!();
    let relayed = start();
    relayed.broadcaster.reject().await;
    fails(relayed, false).await;
}

#[tokio::test]
async fn it_says_nothing() {
    own_stack!();
    fails_so(Mode::Silent).await;
}

#[tokio::test]
async fn it_reads_nothing() {
    own_stack!();
    fails_so(Mode::Deaf).await;
}

#[tokio::test]
async fn it_responds_500() {
    own_stack!();
    fails_so(Mode::Response(500, "Internal Server Error".into())).await;
}

#[tokio::test]
async fn it_is_somewhere_else() {
    own_stack!();
    fails_so(Mode::Response(302, String::new())).await;
}

#[tokio::test]
async fn it_responds_byte_by_byte() {
    own_stack!();
    fails_so(Mode::SlowHead).await;
}

/// The status suffices: the body is not read.
#[tokio::test]
async fn a_success_without_end_is_one() {
    own_stack!();
    let relayed = start();
    relayed.broadcaster.set(Mode::Endless);
    for (path, time) in upload(&relayed.stack.client()).await {
        assert!(time < EMIT_LIMIT + WORK, "{path} took {time:?}");
    }
    assert_eq!(relayed.broadcaster.posts().len(), 10);
    assert_eq!(complaints(&relayed.stack).await, Vec::<String>::new());
}

/// Many parts at once, each of which has an event to send to a broadcaster that says nothing: each
/// instance that they run in makes one attempt.
#[tokio::test]
async fn parts_at_once_wait_once() {
    own_stack!();
    sharing_instances!();
    let relayed = start();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let names: Vec<String> = (0..12).map(|number| format!("{number}.png")).collect();
    let register = names.iter().map(|name| client.register(&session, name, "image", "image/png", 100));
    let files = futures::future::join_all(register).await;
    relayed.broadcaster.set(Mode::Silent);
    let before = relayed.broadcaster.connections();
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let sends = files.iter().map(async |file| {
            let started = Instant::now();
            let _ = client.put_part(&session, file, 1, pdf(100)).await.success(200);
            assert!(started.elapsed() < EMIT_LIMIT + WORK, "{:?}", started.elapsed());
        });
        futures::future::join_all(sends).await;
        attempts.push(relayed.broadcaster.connections() - before);
    }
    let said = complaints(&relayed.stack).await;
    assert!((1..=files.len()).contains(&attempts[0]), "{attempts:?}");
    assert_eq!((attempts[1], said.len()), (attempts[0], attempts[0]), "nobody waits again: {said:?}");
}

/// A broadcaster that was well until now: instances of every route are there, and hear of the pause
/// within a second. Each of them makes one attempt at most.
#[tokio::test]
async fn it_dies_in_the_middle() {
    own_stack!();
    sharing_instances!();
    let relayed = start();
    let client = relayed.stack.client();
    let _ = upload(&client).await;
    assert_eq!(complaints(&relayed.stack).await, Vec::<String>::new());
    relayed.broadcaster.set(Mode::Silent);
    let before = relayed.broadcaster.connections();
    let times = upload(&client).await;
    for (path, time) in &times {
        assert!(*time < EMIT_LIMIT + WORK, "{path} took {time:?}");
    }
    let attempts = relayed.broadcaster.connections() - before;
    // Five routes send events.
    assert!((1..=5).contains(&attempts), "{attempts} attempts: {times:?}");
    assert_eq!(complaints(&relayed.stack).await.len(), attempts);
}

/// A host that starts again knows no better than the one before: it neither waits nor warns again.
#[tokio::test]
async fn a_pause_outlives_the_host() {
    own_stack!();
    components_apart!();
    let mut relayed = start();
    relayed.broadcaster.set(Mode::Response(500, String::new()));
    relayed.stack.client().create_session().await;
    assert_eq!(relayed.broadcaster.connections(), 1);
    let failed = Instant::now();
    // The pause is kept next to the response.
    let kept = async || relayed.stack.has_key("broadcaster-pause-ends").then_some(());
    wait_for("the pause in the key-value store", Duration::from_secs(10), kept).await;
    relayed.stack.restart();
    relayed.stack.client().create_session().await;
    if failed.elapsed() < PAUSE - Duration::from_millis(500) {
        assert_eq!((relayed.broadcaster.connections(), complaints(&relayed.stack).await.len()), (1, 1));
    }
    // Another broadcaster is not kept waiting.
    let other = Broadcaster::start();
    let (url, origin) = (other.url("/ws/broadcast"), other.origin());
    let variables =
        [("websocket_api_url", url.as_str()), ("websocket_api_origin", &origin), ("websocket_api_key", KEY)];
    let neighbour = Stack::start_next_to_with(&relayed.stack, &variables);
    let session = neighbour.client().create_session().await;
    assert_eq!(other.posts_of(&session).len(), 1);
}
