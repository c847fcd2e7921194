//! One HTTP/1.1 connection that is kept alive.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response as HyperResponse, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

/// Longest response that is read, in bytes.
const RESPONSE_MAX_BYTES: usize = 4 << 20;

/// A request whose body is in memory.
pub type Message = Request<Full<Bytes>>;

/// A response, whole.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    /// The JSON that it holds.
    pub fn json(&self) -> Result<serde_json::Value> {
        self.success()?;
        serde_json::from_slice(&self.body).context("a response is not JSON")
    }

    /// Lets a response of status 2xx pass.
    pub fn success(&self) -> Result<()> {
        if self.status.is_success() {
            return Ok(());
        }
        let body = self.body.get(..self.body.len().min(300)).unwrap_or_default();
        bail!("the response is {}: {}", self.status, String::from_utf8_lossy(body))
    }
}

/// A connection; requests on it follow each other.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects to an origin, for example `http://127.0.0.1:3000`.
    pub async fn open(origin: &Url) -> Result<Self> {
        let address = origin.socket_addrs(|| None).context("the origin has no address")?;
        let stream = TcpStream::connect(&*address).await.with_context(|| format!("cannot connect to {origin}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // A broken connection fails the request that is on it.
            let _ = connection.await;
        });
        Ok(Self(sender))
    }

    /// Sends a request and takes the whole response.
    pub async fn send(&mut self, request: Message) -> Result<Response> {
        let (head, body) = self.start(request).await?.into_parts();
        let body = Limited::new(body, RESPONSE_MAX_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("a response broke off: {error}"))?.to_bytes();
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    /// Sends a request and takes the response's head.
    pub async fn start(&mut self, request: Message) -> Result<HyperResponse<Incoming>> {
        self.0.ready().await.context("the connection is closed")?;
        self.0.send_request(request).await.context("a request failed")
    }
}

/// A request to `target`, a path with its query, at `origin`.
pub fn message(origin: &Url, method: Method, target: &str, body: Bytes) -> Result<Message> {
    let mut message = Request::builder().method(method).uri(target).body(Full::new(body))?;
    let host = HeaderValue::from_str(origin.authority())?;
    message.headers_mut().insert(HOST, host);
    Ok(message)
}
