//! The broadcasters that users run, each behind its own format: they stop, are slow, fail, or are not who they say.
//! Uploads go on, and who watches one catches up.

use std::time::{Duration, Instant};

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, FaultProxy, Operation, Times};
use moc_tests::host::HostKind;
use moc_tests::local_broadcaster::LocalBroadcaster;
use moc_tests::nginx::Nginx;
use moc_tests::pushpin::Pushpin;
use moc_tests::socket::Socket;
use moc_tests::{Client, Stack, own_stack, path, unique_title};
use serde_json::Value;

use super::faults::{EMIT_LIMIT, PAUSE, WARNING, WORK};
use super::{KEY, TOKEN_SECRET, complaints};

/// What Pushpin signs with.
const GRIP_KEY: &str = "a-key-for-requests-of-pushpin-alone";
/// How long a response takes that comes too late.
const TOO_LONG: Duration = Duration::from_secs(1);

/// A broadcaster that is not scripted.
enum Server {
    Local(LocalBroadcaster),
    Nchan(Nginx),
    Pushpin(Pushpin),
}

impl Server {
    /// All that are installed.
    fn all() -> Vec<Self> {
        let local = Self::Local(LocalBroadcaster::start(KEY, TOKEN_SECRET));
        let nchan = Nginx::is_installed().then(|| Self::Nchan(Nginx::start(KEY)));
        let pushpin = Pushpin::is_installed().then(|| Self::Pushpin(Pushpin::reserve(GRIP_KEY)));
        for (name, is_missing) in [("nginx with nchan", nchan.is_none()), ("Pushpin", pushpin.is_none())] {
            if is_missing {
                moc_tests::skipped(name, file!(), line!());
            }
        }
        [Some(local), nchan, pushpin].into_iter().flatten().collect()
    }

    /// Its `websocket_broadcast_format`.
    fn format(&self) -> &'static str {
        match self {
            Self::Local(_) => "json",
            Self::Nchan(_) => "nchan",
            Self::Pushpin(_) => "pushpin",
        }
    }

    /// Where it takes events: its origin, and the path there.
    fn api(&self) -> (String, &'static str) {
        match self {
            Self::Local(local) => (local.origin(), "/ws/broadcast"),
            Self::Nchan(nginx) => (nginx.origin(), "/pub"),
            Self::Pushpin(pushpin) => (pushpin.publishing_origin(), "/publish/"),
        }
    }

    /// Its `websocket_server_url`.
    fn server_url(&self) -> String {
        match self {
            Self::Local(local) => local.origin().replace("http://", "ws://"),
            Self::Nchan(nginx) => nginx.server_url(),
            Self::Pushpin(pushpin) => pushpin.server_url(),
        }
    }

    /// A stack that publishes at this origin, which leads to this server.
    fn stack(&mut self, api_origin: &str) -> Stack {
        let stack = Stack::start(&[
            ("websocket_api_url", &format!("{api_origin}{}", self.api().1)),
            ("websocket_api_origin", api_origin),
            ("websocket_api_key", KEY),
            ("websocket_broadcast_format", self.format()),
            ("websocket_emit_timeout_ms", &EMIT_LIMIT.as_millis().to_string()),
            ("websocket_server_url", &self.server_url()),
            ("websocket_token_secret", TOKEN_SECRET),
            ("pushpin_grip_key", GRIP_KEY),
        ]);
        if let Self::Pushpin(pushpin) = self {
            pushpin.start(stack.base_url());
        }
        stack
    }

    fn stop(&mut self) {
        match self {
            Self::Local(local) => local.stop(),
            Self::Nchan(nginx) => nginx.stop(),
            Self::Pushpin(pushpin) => pushpin.stop(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Local(local) => local.restart(),
            Self::Nchan(nginx) => nginx.restart(),
            Self::Pushpin(pushpin) => pushpin.restart(),
        }
    }
}

/// An upload of one file of three parts, and who watches it.
struct Upload {
    client: Client,
    session: String,
    file: String,
    bytes: Vec<u8>,
}

impl Upload {
    async fn start(stack: &Stack) -> Self {
        let (client, bytes) = (stack.client(), pdf(2 * PART_BYTES + 1_000));
        let session = client.create_session().await;
        let file = client.register_pdf(&session, bytes.len()).await;
        Self { client, session, file, bytes }
    }

    /// Sends a part, which no broadcaster may make fail, or slower than the limit allows.
    async fn send(&self, number: usize) {
        let part = self.bytes.chunks(PART_BYTES).nth(number - 1).expect("one of three parts").to_vec();
        let started = Instant::now();
        let _ = self.client.put_part(&self.session, &self.file, number as u64, part).await.success(200);
        assert!(started.elapsed() < EMIT_LIMIT + WORK, "{:?}", started.elapsed());
    }

    /// Watches it from now on, as somebody does who has lost the connection: first connects, then reads the state.
    async fn watch(&self) -> (Socket, Value) {
        let state = async || self.client.get(&path::session(&self.session)).await.success(200);
        let ws_url = state().await["wsUrl"].as_str().expect("a wsUrl").to_owned();
        let socket = Socket::connect(&ws_url).await.expect("a fresh token is good");
        (socket, state().await)
    }

    /// Makes a MOC of it.
    async fn end(&self) {
        let _ = self.client.complete(&self.session, &self.file).await.success(200);
        let _ = self.client.finalize(&self.session, &unique_title()).await.success(201);
    }

    /// Waits until events of a part come again, sending it as often as it takes: none are sent during the pause after a
    /// failure.
    async fn flows_again(&self, number: usize, socket: &mut Socket) {
        let started = Instant::now();
        loop {
            self.send(number).await;
            while let Some(event) = socket.next_within(EMIT_LIMIT).await {
                if event["type"] == "upload.part.completed" && event["partNumber"] == number {
                    assert_eq!(event["completedParts"], 3, "{event}");
                    return;
                }
            }
            assert!(started.elapsed() < PAUSE * 2, "no events after the pause");
        }
    }
}

/// What the log says of a failure that lasted less than the pause after it: one warning.
async fn warns_once(stack: &Stack, format: &str) -> String {
    let said = complaints(stack).await;
    assert!(!said.is_empty() && said.iter().all(|line| line.contains(WARNING)), "{format}: {said:?}");
    assert!(said.len() == 1 || !HostKind::chosen().instances_share(), "{format}: {said:?}");
    said[0].clone()
}

/// An upload that is watched while its broadcaster fails.
async fn is_watched_through(mut server: Server, fault: Option<Fault>) {
    let format = server.format();
    let proxy = fault.as_ref().map(|_| FaultProxy::start(&server.api().0));
    let origin = proxy.as_ref().map_or_else(|| server.api().0, FaultProxy::endpoint);
    let stack = server.stack(&origin);
    let upload = Upload::start(&stack).await;
    let (mut socket, _) = upload.watch().await;
    upload.send(1).await;
    assert_eq!(socket.take(2).await[1]["completedParts"], 1, "{format}");
    assert_eq!(complaints(&stack).await, Vec::<String>::new(), "{format}");

    match (&proxy, fault) {
        (Some(proxy), Some(fault)) => proxy.fail(Operation::Other, "", Times::Always, fault),
        _ => {
            server.stop();
            socket.ended().await;
        }
    }
    upload.send(2).await;
    let _ = warns_once(&stack, format).await;
    match &proxy {
        Some(proxy) => proxy.lift(""),
        None => server.restart(),
    }
    let (mut socket, state) = upload.watch().await;
    assert_eq!(state["files"][0]["partsCompleted"], 2, "{format}: {state}");

    upload.flows_again(3, &mut socket).await;
    upload.end().await;
    let last = socket.until("upload.session.finalized").await;
    assert!(last.iter().any(|event| event["type"] == "file_completed"), "{format}: {last:?}");
}

async fn all_are_watched_through(fault: Option<Fault>) {
    join_all(Server::all().into_iter().map(|server| is_watched_through(server, fault.clone()))).await;
}

#[tokio::test]
async fn a_broadcaster_is_restarted_during_an_upload() {
    own_stack!();
    all_are_watched_through(None).await;
}

#[tokio::test]
async fn a_broadcaster_is_too_slow_during_an_upload() {
    own_stack!();
    all_are_watched_through(Some(Fault::Delay(TOO_LONG))).await;
}

#[tokio::test]
async fn a_broadcaster_responds_500_during_an_upload() {
    own_stack!();
    all_are_watched_through(Some(Fault::Response(500, String::new()))).await;
}

/// Neither a port that does not speak TLS, nor a server whose certificate nobody trusts, gets an event.
#[tokio::test]
async fn a_broadcaster_without_valid_tls_gets_nothing_and_uploads_go_on() {
    own_stack!();
    let untrusted = Nginx::is_installed().then(|| Server::Nchan(Nginx::start_with_tls(KEY)));
    let fail = Server::all().into_iter().chain(untrusted).map(async |mut server| {
        let format = server.format();
        let stack = server.stack(&server.api().0.replace("http://", "https://"));
        let upload = Upload::start(&stack).await;
        for number in 1..=3 {
            upload.send(number).await;
        }
        // Pushpin waits for the end of what it takes for a request.
        let line = warns_once(&stack, format).await;
        assert!(line.contains("cannot be reached") || line.contains("did not respond"), "{format}: {line}");
        upload.end().await;
        let state = upload.client.get(&path::session(&upload.session)).await.success(200);
        assert_eq!(state["status"], "finalized", "{format}: {state}");
    });
    join_all(fail).await;
}
