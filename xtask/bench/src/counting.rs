//! Servers that count what the application sends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, server};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// Largest message of PostgreSQL's protocol that is read, in bytes.
const MESSAGE_MAX_BYTES: usize = 1 << 24;

/// A server that accepts every HTTP request: broadcaster, receiver of webhooks and collector. It ends when it is
/// dropped.
pub struct Sink {
    /// Where it listens.
    pub origin: Url,
    requests: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Sink {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = Url::parse(&format!("http://{}", listener.local_addr()?))?;
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| {
                        counter.fetch_add(1, Ordering::Relaxed);
                        async move {
                            // What breaks off is its sender's to notice.
                            let _ = request.into_body().collect().await;
                            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                        }
                    });
                    let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { origin, requests, accepting })
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A proxy in front of PostgreSQL that counts statements, by the messages of its protocol
/// ([Message formats](https://www.postgresql.org/docs/current/protocol-message-formats.html)). It ends when it is
/// dropped.
pub struct PostgresProxy {
    /// Where it listens.
    pub port: u16,
    statements: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl PostgresProxy {
    /// Starts a proxy of the server at this port of 127.0.0.1. Its connections have no TLS.
    pub async fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let statements = Arc::new(AtomicUsize::new(0));
        let counter = statements.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    // A connection that breaks off is the application's to notice.
                    let _ = forward(client, upstream, &counter).await;
                });
            }
        });
        Ok(Self { port, statements, accepting })
    }

    /// How many statements were executed. Before each, the host's pool resets its connection, which does not count.
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, upstream: u16, statements: &AtomicUsize) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        // The first message has no type.
        let mut message = Vec::new();
        read_message(&mut from_client, &mut message).await?;
        to_server.write_all(&message).await?;
        loop {
            message.clear();
            let kind = from_client.read_u8().await?;
            // Execute. A Query resets the connection, or belongs to a migration.
            if kind == b'E' {
                statements.fetch_add(1, Ordering::Relaxed);
            }
            message.push(kind);
            read_message(&mut from_client, &mut message).await?;
            to_server.write_all(&message).await?;
        }
    };
    tokio::select! {
        result = requests => result,
        result = copy(&mut from_server, &mut to_client) => Ok(result.map(drop)?),
    }
}

/// Reads a length, which includes itself, and so many bytes.
async fn read_message(stream: &mut (impl AsyncRead + Unpin), message: &mut Vec<u8>) -> Result<()> {
    let length = stream.read_u32().await?;
    message.extend(length.to_be_bytes());
    let rest = usize::try_from(length)?.checked_sub(size_of::<u32>());
    let Some(rest) = rest.filter(|rest| *rest <= MESSAGE_MAX_BYTES) else { bail!("a message of {length} bytes") };
    let head = message.len();
    message.resize(head + rest, 0);
    if let Some(rest) = message.get_mut(head..) {
        stream.read_exact(rest).await?;
    }
    Ok(())
}
