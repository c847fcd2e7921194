//! The broadcasters that users run, each behind its own format: they stop, are slow, fail, or are not who they say.
//! Uploads go on, and who watches one catches up.

use std::time::{Duration, Instant};

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::fault_proxy::{Fault, FaultProxy, Operation, Times};
use moc_tests::host::HostKind;
use moc_tests::local_broadcaster::LocalBroadcaster;
use moc_tests::nginx::{Addresses, Nginx};
use moc_tests::pushpin::Pushpin;
use moc_tests::socket::Socket;
use moc_tests::{Client, Stack, own_stack, path, unique_title};
use serde_json::Value;

use super::faults::{EMIT_LIMIT, PAUSE, WARNING, WORK};
use super::{GRIP_KEY, KEY, TOKEN_SECRET, complaints};

/// The event of a part that has a number for progress bars.
const PART: &str = "upload.part.completed";
/// How long a response takes that comes too late.
const TOO_LONG: Duration = Duration::from_secs(1);

/// The broadcasters.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Local,
    Nchan,
    Pushpin,
}

/// How the relay reaches one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Direct,
    /// Through a proxy that fails as it is scripted.
    Proxied,
    /// With TLS, to a port that does not speak it.
    Tls,
    /// With TLS, and a certificate that nobody trusts.
    Untrusted,
}

enum Server {
    Local(LocalBroadcaster),
    Nchan(Nginx),
    Pushpin(Pushpin),
}

/// A broadcaster that is not scripted, and a stack that publishes there.
struct Live {
    kind: Kind,
    server: Server,
    proxy: Option<FaultProxy>,
    stack: Stack,
}

impl Live {
    /// One of each kind that is installed.
    fn all(way: Way) -> Vec<Self> {
        let kinds = [
            (Kind::Local, "", true),
            (Kind::Nchan, "nginx with nchan", Nginx::is_installed()),
            (Kind::Pushpin, "Pushpin", Pushpin::is_installed()),
        ];
        for (_, name, _) in kinds.iter().filter(|(.., is_installed)| !is_installed) {
            moc_tests::skipped(name, file!(), line!());
        }
        kinds.into_iter().filter(|(.., is_installed)| *is_installed).map(|(kind, ..)| Self::start(kind, way)).collect()
    }

    fn start(kind: Kind, way: Way) -> Self {
        match kind {
            Kind::Local => {
                let local = LocalBroadcaster::start(KEY, TOKEN_SECRET);
                let server_url = local.origin().replace("http://", "ws://");
                let (stack, proxy) = stack("json", way, local.origin(), "/ws/broadcast", &server_url);
                Self { kind, server: Server::Local(local), proxy, stack }
            }
            Kind::Nchan => {
                let addresses = Addresses::reserve();
                let (stack, proxy) = stack("nchan", way, addresses.publisher(), "/publish", &addresses.server_url());
                let start = if way == Way::Untrusted { Nginx::start_with_tls } else { Nginx::start };
                let nginx = start(addresses, stack.base_url());
                Self { kind, server: Server::Nchan(nginx), proxy, stack }
            }
            Kind::Pushpin => {
                let mut pushpin = Pushpin::reserve(GRIP_KEY);
                let (stack, proxy) =
                    stack("pushpin", way, pushpin.publishing_origin(), "/publish/", &pushpin.server_url());
                pushpin.start(stack.base_url());
                Self { kind, server: Server::Pushpin(pushpin), proxy, stack }
            }
        }
    }

    fn stop(&mut self) {
        match &mut self.server {
            Server::Local(local) => local.stop(),
            Server::Nchan(nginx) => nginx.stop(),
            Server::Pushpin(pushpin) => pushpin.stop(),
        }
    }

    fn restart(&mut self) {
        match &mut self.server {
            Server::Local(local) => local.restart(),
            Server::Nchan(nginx) => nginx.restart(),
            Server::Pushpin(pushpin) => pushpin.restart(),
        }
    }

    /// What the log says of a failure that lasted less than the pause after it: one warning.
    async fn warns_once(&self) -> String {
        let said = complaints(&self.stack).await;
        assert!(!said.is_empty() && said.iter().all(|line| line.contains(WARNING)), "{:?}: {said:?}", self.kind);
        assert!(said.len() == 1 || !HostKind::chosen().instances_share(), "{:?}: {said:?}", self.kind);
        said[0].clone()
    }
}

/// A stack that publishes at this path of a broadcaster, in this way.
fn stack(format: &str, way: Way, origin: String, path: &str, server_url: &str) -> (Stack, Option<FaultProxy>) {
    let proxy = (way == Way::Proxied).then(|| FaultProxy::start(&origin));
    let api_origin = match (&proxy, way) {
        (Some(proxy), _) => proxy.endpoint(),
        (None, Way::Tls | Way::Untrusted) => origin.replace("http://", "https://"),
        (None, _) => origin,
    };
    let stack = Stack::start(&[
        ("websocket_api_url", &format!("{api_origin}{path}")),
        ("websocket_api_origin", &api_origin),
        ("websocket_api_key", KEY),
        ("websocket_broadcast_format", format),
        ("websocket_emit_timeout_ms", &EMIT_LIMIT.as_millis().to_string()),
        ("websocket_server_url", server_url),
        ("websocket_token_secret", TOKEN_SECRET),
        ("pushpin_grip_key", GRIP_KEY),
    ]);
    (stack, proxy)
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
    /// failure, of which other instances may hear late, and send some until then.
    async fn flows_again(&self, number: usize, socket: &mut Socket) {
        let started = Instant::now();
        loop {
            self.send(number).await;
            while let Some(event) = socket.next_within(EMIT_LIMIT).await {
                if event["type"] == PART && event["partNumber"] == number {
                    assert_eq!(event["completedParts"], 3, "{event}");
                    if started.elapsed() > PAUSE {
                        return;
                    }
                }
            }
            assert!(started.elapsed() < PAUSE * 2, "no events after the pause");
        }
    }
}

/// An upload that is watched while its broadcaster fails in this way, or is not running.
async fn is_watched_through(mut live: Live, fault: Option<Fault>) {
    let kind = live.kind;
    let upload = Upload::start(&live.stack).await;
    let (mut socket, _) = upload.watch().await;
    upload.send(1).await;
    let events = socket.until(PART).await;
    assert_eq!(events.last().map(|event| &event["completedParts"]), Some(&1.into()), "{kind:?}: {events:?}");
    assert_eq!(complaints(&live.stack).await, Vec::<String>::new(), "{kind:?}");

    match (&live.proxy, fault) {
        (Some(proxy), Some(fault)) => proxy.fail(Operation::Other, "", Times::Always, fault),
        _ => {
            live.stop();
            socket.ended().await;
        }
    }
    upload.send(2).await;
    let _ = live.warns_once().await;
    match &live.proxy {
        Some(proxy) => proxy.lift(""),
        None => live.restart(),
    }
    let (mut socket, state) = upload.watch().await;
    assert_eq!(state["files"][0]["partsCompleted"], 2, "{kind:?}: {state}");

    upload.flows_again(3, &mut socket).await;
    upload.end().await;
    let last = socket.until("upload.session.finalized").await;
    assert!(last.iter().any(|event| event["type"] == "file_completed"), "{kind:?}: {last:?}");
}

#[tokio::test]
async fn a_broadcaster_is_restarted_during_an_upload() {
    own_stack!();
    join_all(Live::all(Way::Direct).into_iter().map(|live| is_watched_through(live, None))).await;
}

#[tokio::test]
async fn a_broadcaster_is_too_slow_during_an_upload() {
    own_stack!();
    let late = || Some(Fault::Delay(TOO_LONG));
    join_all(Live::all(Way::Proxied).into_iter().map(|live| is_watched_through(live, late()))).await;
}

#[tokio::test]
async fn a_broadcaster_responds_500_during_an_upload() {
    own_stack!();
    let error = || Some(Fault::Response(500, String::new()));
    join_all(Live::all(Way::Proxied).into_iter().map(|live| is_watched_through(live, error()))).await;
}

/// Neither a port that does not speak TLS, nor a server whose certificate nobody trusts, gets an event.
#[tokio::test]
async fn a_broadcaster_without_valid_tls_gets_nothing_and_uploads_go_on() {
    own_stack!();
    let untrusted = Nginx::is_installed().then(|| Live::start(Kind::Nchan, Way::Untrusted));
    let fail = Live::all(Way::Tls).into_iter().chain(untrusted).map(async |live| {
        let upload = Upload::start(&live.stack).await;
        for number in 1..=3 {
            upload.send(number).await;
        }
        // Pushpin waits for the end of what it takes for a request.
        let line = live.warns_once().await;
        let is_said = ["cannot be reached", "did not respond", "in time"].iter().any(|cause| line.contains(cause));
        assert!(is_said, "{:?}: {line}", live.kind);
        upload.end().await;
        let state = upload.client.get(&path::session(&upload.session)).await.success(200);
        assert_eq!(state["status"], "finalized", "{:?}: {state}", live.kind);
    });
    join_all(fail).await;
}
