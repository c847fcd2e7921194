//! A proxy in front of an S3 that counts requests and lets each one wait.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, server};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::client::Connection;

/// The proxy; it ends when it is dropped.
pub struct SlowS3 {
    /// Where it listens.
    pub origin: Url,
    requests: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl SlowS3 {
    /// Starts a proxy whose every response comes `delay` later than that of the S3 at `upstream`.
    pub async fn start(upstream: &Url, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = Url::parse(&format!("http://{}", listener.local_addr()?))?;
        let (upstream, requests) = (upstream.clone(), Arc::new(AtomicUsize::new(0)));
        let counter = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, counter) = (upstream.clone(), counter.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let service = service_fn(|request| {
                        counter.fetch_add(1, Ordering::Relaxed);
                        response(&upstream, delay, request)
                    });
                    // A broken connection is its client's to notice.
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

impl Drop for SlowS3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn response(
    upstream: &Url,
    delay: Duration,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(delay).await;
    Ok(forward(upstream, request).await.unwrap_or_else(|_| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }))
}

/// The head goes on as it came, because the signature covers `Host`.
async fn forward(upstream: &Url, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut connection = Connection::open(upstream).await?;
    let response = connection.start(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}
