//! Accepts HTTP connections, for the application and for the embedded S3.

use std::{error::Error, net::SocketAddr, time::Duration};

use anyhow::{Result, anyhow};
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::{conn::auto::Builder, graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};

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

/// Serves connections, each with a service made by `connect`, until `stop` is done.
pub async fn serve<S, B>(listener: TcpListener, connect: impl Fn(&TcpStream, SocketAddr) -> S, stop: impl Future)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
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
        let service = connect(&stream, client);
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
