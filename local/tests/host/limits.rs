//! What the limits of a platform do to a component that reaches them: `tests/probe`, run by the program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use moc_local::limits::Limits;
use moc_local::manifest::Manifest;
use tempfile::TempDir;

type Body = BoxBody<Bytes, std::convert::Infallible>;

const BODY_MAX_BYTES: usize = Limits::AKAMAI.body_bytes;

/// The program, with the probe in it.
struct Probe {
    program: Child,
    origin: String,
    client: Client<HttpConnector, Body>,
    _state: TempDir,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Probe {
    fn start(options: &[&str]) -> Self {
        let state = TempDir::new().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_moc-local"))
            .args(["up", "--listen", "127.0.0.1:0", "--manifest"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/probe/spin.toml"))
            .arg("--state")
            .arg(state.path().join("state"))
            .args(options)
            // It starts no S3 of its own.
            .env("SPIN_VARIABLE_S3_ENDPOINT", "http://127.0.0.1:9000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map_while(Result::ok);
        let origin = lines.find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let origin = origin.expect("the host starts, where the probe is built (`cargo xtask test` does)");
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { program, origin, client, _state: state }
    }

    /// The status, and the body if it arrives whole.
    async fn send(&self, path: &str, body: Body) -> (StatusCode, Option<String>) {
        let request = Request::post(format!("{}/{path}", self.origin)).body(body).unwrap();
        let response = self.client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.ok();
        (status, body.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()))
    }

    async fn get(&self, path: &str) -> String {
        let (status, body) = self.send(path, whole(0)).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        body.unwrap()
    }

    async fn becomes(&self, path: &str, expected: &str) {
        let started = Instant::now();
        while self.get(path).await != expected {
            assert!(started.elapsed() < Duration::from_secs(10), "{path} does not become {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A body of this many bytes.
fn whole(bytes: usize) -> Body {
    Full::new(Bytes::from(vec![0; bytes])).boxed()
}

/// A body that does not say how long it is.
fn chunked(bytes: usize) -> Body {
    let chunks = std::iter::repeat_n(Bytes::from(vec![0; 1 << 20]), bytes >> 20);
    let rest = Bytes::from(vec![0; bytes % (1 << 20)]);
    let frames = chunks.chain([rest]).map(|chunk| Ok(Frame::data(chunk)));
    BodyExt::boxed(StreamBody::new(futures::stream::iter(frames)))
}

#[tokio::test]
async fn bodies_have_10_mib_at_most() {
    let probe = Probe::start(&["--limits", "akamai"]);
    let most = Some(BODY_MAX_BYTES.to_string());
    assert_eq!(probe.send("length", whole(BODY_MAX_BYTES)).await, (StatusCode::OK, most.clone()));
    assert_eq!(probe.send("length", chunked(BODY_MAX_BYTES)).await, (StatusCode::OK, most));
    // The component sees an error instead of the end, and does not respond.
    let (status, _) = probe.send("length", chunked(BODY_MAX_BYTES + 1)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);

    let (_, body) = probe.send(&format!("bytes/{BODY_MAX_BYTES}"), whole(0)).await;
    assert_eq!(body.map(|body| body.len()), Some(BODY_MAX_BYTES));
    let (_, body) = probe.send(&format!("bytes/{}", BODY_MAX_BYTES + 1), whole(0)).await;
    assert_eq!(body, None);
}

/// Here the probe responds without a look at the body, and its instance ends.
#[tokio::test]
async fn a_client_that_still_sends_gets_the_response() {
    let probe = Probe::start(&["--limits", "akamai"]);
    for _ in 0..3 {
        assert_eq!(probe.send("requests", whole(BODY_MAX_BYTES)).await, (StatusCode::OK, Some("1".to_owned())));
    }
}

/// The connection is closed under a client that still sends, so it sends nothing.
#[tokio::test]
async fn a_body_that_is_too_long_by_its_header_is_rejected_unread() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let probe = Probe::start(&["--limits", "akamai"]);
    let address = probe.origin.trim_start_matches("http://");
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST /length HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", BODY_MAX_BYTES + 1);
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

#[tokio::test]
async fn an_instance_has_128_mib_and_one_request() {
    let probe = Probe::start(&["--limits", "akamai"]);
    assert_eq!(probe.get("memory/100").await, "true");
    assert_eq!(probe.get("memory/128").await, "false");
    assert_eq!((probe.get("requests").await, probe.get("requests").await), ("1".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn a_request_that_takes_too_long_gets_504() {
    let probe = Probe::start(&["--limits", "akamai", "--request-ms", "300"]);
    for path in ["sleep/60000", "loop"] {
        let started = Instant::now();
        assert_eq!(probe.send(path, whole(0)).await.0, StatusCode::GATEWAY_TIMEOUT, "{path}");
        assert!(started.elapsed() >= Duration::from_millis(300), "{path}");
    }
    assert_eq!(probe.get("sleep/1").await, "");
}

#[tokio::test]
async fn a_write_is_read_by_its_own_instance_at_once_and_by_others_later() {
    let probe = Probe::start(&["--limits", "akamai", "--key-value-delay-ms", "500"]);
    let started = Instant::now();
    assert_eq!(probe.get("write/a").await, "written");
    let others = probe.get("read/a").await;
    assert!(others.is_empty() || started.elapsed() >= Duration::from_millis(500));
    probe.becomes("read/a", "written").await;
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn work_after_a_response_ends_at_its_bound() {
    let delay = ["--limits", "akamai", "--key-value-delay-ms", "0"];
    let probe = Probe::start(&[&delay[..], &["--after-response-ms", "2000"]].concat());
    let _ = probe.get("write-after/a/100").await;
    let _ = probe.get("write-after/late/2500").await;
    probe.becomes("read/a", "written").await;

    let none = Probe::start(&delay);
    let _ = none.get("write-after/a/50").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((none.get("read/a").await, probe.get("read/late").await), (String::new(), String::new()));
}

#[tokio::test]
async fn without_limits_nothing_of_this_holds() {
    let probe = Probe::start(&[]);
    let more = BODY_MAX_BYTES + 1;
    assert_eq!(probe.send("length", whole(more)).await, (StatusCode::OK, Some(more.to_string())));
    assert_eq!(probe.get("memory/200").await, "true");
    assert_eq!(probe.get("write-after/a/100").await, "");
    probe.becomes("read/a", "written").await;
    assert_ne!(probe.get("requests").await, "1");
}

#[test]
fn a_platform_without_sqlite_rejects_a_grant_of_one() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/spin.toml"));
    let manifest: Manifest = text.unwrap().parse().unwrap();
    assert!(manifest.check_grants(&Limits::SPIN).is_ok());
    let error = manifest.check_grants(&Limits::AKAMAI).unwrap_err().to_string();
    assert_eq!(error, "component `conformance` is granted a SQLite database, and this platform provides none");
}
