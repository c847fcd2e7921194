//! A proxy that gives connections to several hosts in turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::surroundings::background;

/// A running proxy. Dropping it closes it, but not its connections.
pub(crate) struct Balancer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Balancer {
    /// Starts a proxy in front of hosts at these origins, for example `http://127.0.0.1:3000`.
    pub(crate) fn start<'a>(origins: impl Iterator<Item = &'a str>) -> Self {
        let parse = |origin: &str| origin.trim_start_matches("http://").parse().expect("an origin with an IP address");
        let hosts: Vec<SocketAddr> = origins.map(parse).collect();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket that does not block");
        Self { address, accepting: background().spawn(accept(listener, hosts)) }
    }

    /// `http://…`, where it listens.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: std::net::TcpListener, hosts: Vec<SocketAddr>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let next = AtomicUsize::new(0);
    while let Ok((client, _)) = listener.accept().await {
        let host = hosts[next.fetch_add(1, Ordering::Relaxed) % hosts.len()];
        // A connection that breaks is the test's business.
        tokio::spawn(async move { connect(client, host).await });
    }
}

async fn connect(mut client: TcpStream, host: SocketAddr) -> std::io::Result<()> {
    let mut host = TcpStream::connect(host).await?;
    client.set_nodelay(true)?;
    host.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut host).await?;
    Ok(())
}
