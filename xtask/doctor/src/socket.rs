//! A WebSocket connection to the broadcaster.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustls::ClientConfig;
use tungstenite::http::Uri;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Connector, Error, HandshakeError, Message, WebSocket, client_tls_with_config};

/// Longest time of connecting, and of each step of the handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Longest time of one read.
const READ_LIMIT: Duration = Duration::from_millis(100);

/// An open connection.
pub struct Socket(WebSocket<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects to a `ws` or `wss` URL. No error shows the URL, which has a token.
    pub fn open(url: &str, tls: ClientConfig) -> Result<Self> {
        let uri: Uri = url.parse().context("the wsUrl is no URL")?;
        let host = uri.host().context("the wsUrl has no host")?;
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("ws")) => 80,
            (None, Some("wss")) => 443,
            _ => bail!("the wsUrl is neither ws nor wss"),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = (bare, port).to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
        let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
        stream.set_read_timeout(Some(CONNECT_LIMIT))?;
        stream.set_write_timeout(Some(CONNECT_LIMIT))?;
        let (mut socket, _) = client_tls_with_config(uri, stream, None, Some(Connector::Rustls(Arc::new(tls))))
            .map_err(|error| match error {
                HandshakeError::Failure(Error::Http(response)) => anyhow!("it responds {}", response.status().as_u16()),
                HandshakeError::Failure(error) => error.into(),
                HandshakeError::Interrupted(_) => anyhow!("no response in {} s", CONNECT_LIMIT.as_secs()),
            })?;
        match socket.get_mut() {
            MaybeTlsStream::Plain(stream) => stream.set_read_timeout(Some(READ_LIMIT))?,
            MaybeTlsStream::Rustls(stream) => stream.sock.set_read_timeout(Some(READ_LIMIT))?,
            _ => bail!("the kind of stream is not supported"),
        }
        Ok(Self(socket))
    }

    /// Whether a message with this text arrives within `limit`.
    pub fn receives(&mut self, text: &str, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            match self.0.read() {
                Ok(Message::Text(message)) if message.contains(text) => return true,
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return false;
                }
                // Other messages, and reads that end after their limit.
                _ => {}
            }
        }
        false
    }
}
