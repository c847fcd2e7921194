//! Accepts HTTP connections, for the application and for the embedded S3.

use std::{error::Error, net::SocketAddr, time::Duration};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::{conn::auto::Builder, graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};

use crate::host_names::HostNames;

/// Response to a request for a host that is not served.
pub const MISDIRECTED: &str = "This server serves only localhost and loopback addresses, because it is for development. \
                               To serve another name, add its origin to allowed_upload_origins.";

/// How long connections may finish what they are doing after a stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Opens a listening socket; port 0 is any free one.
/// Errors: the address cannot be used, mostly because the port is in use.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!("{address} is already in use"),
        _ => anyhow!("cannot listen on {address}: {error}"),
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves connections, each with a service made by `connect`, until `stop` is done. A request for a host that is not of
/// `names` gets 421 (RFC 9110, section 15.5.20).
pub async fn serve<S, B>(
    listener: TcpListener,
    names: HostNames,
    connect: impl Fn(&TcpStream, SocketAddr) -> S,
    stop: impl Future,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut stop = std::pin::pin!(stop);
    let builder = Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let Ok((stream, client)) = accepted else {
            // Out of file descriptors, most likely: give connections time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (service, names) = (connect(&stream, client), names.clone());
        let service = service_fn(move |request| {
            let responding = names.allow(&request).then(|| service.call(request));
            async move {
                match responding {
                    Some(responding) => responding.await.map(|response| response.map(Either::Left)),
                    None => Ok(misdirected().map(Either::Right)),
                }
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A broken connection is the client's business.
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, connections.shutdown()).await;
}

fn misdirected() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(MISDIRECTED));
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
