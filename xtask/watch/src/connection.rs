//! The WebSocket connection to the broadcaster.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, HandshakeError, Message, WebSocket, client_tls_with_config};

/// The most that connecting, and then each step of the handshake, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a read waits.
const READ_LIMIT: Duration = Duration::from_millis(250);
/// How often the broadcaster is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may be silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Largest message that is taken.
const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An open connection.
pub struct Connection {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    pinged: Instant,
    heard: Instant,
}

/// What came.
pub enum Incoming {
    Text(String),
    /// A sign of life only.
    Control,
    /// Nothing for a moment.
    Nothing,
}

impl Connection {
    /// Connects to a `ws` or `wss` URL. No error shows the URL's token.
    pub fn open(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().context("the wsUrl is no URL")?;
        let host = uri.host().context("the wsUrl has no host")?;
        let default_port = match uri.scheme_str() {
            Some("ws") => 80,
            Some("wss") => 443,
            _ => bail!("the wsUrl is neither ws nor wss"),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let stream = connect(host, port).with_context(|| format!("{host}:{port}"))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX_BYTES))
            .max_frame_size(Some(MESSAGE_MAX_BYTES));
        let (mut socket, _) = client_tls_with_config(uri, stream, Some(config), None).map_err(|error| match error {
            HandshakeError::Failure(Error::Http(response)) => anyhow!("it responded {}", response.status().as_u16()),
            HandshakeError::Failure(error) => error.into(),
            HandshakeError::Interrupted(_) => anyhow!("no response in {} s", CONNECT_LIMIT.as_secs()),
        })?;
        match socket.get_mut() {
            MaybeTlsStream::Plain(stream) => stream.set_read_timeout(Some(READ_LIMIT))?,
            MaybeTlsStream::Rustls(stream) => stream.sock.set_read_timeout(Some(READ_LIMIT))?,
            _ => bail!("it came by an unknown kind of stream"),
        }
        Ok(Self { socket, pinged: Instant::now(), heard: Instant::now() })
    }

    /// The next message, if it arrives within a moment.
    pub fn next(&mut self) -> Result<Incoming> {
        if self.pinged.elapsed() >= PING_INTERVAL {
            self.pinged = Instant::now();
            self.socket.send(Message::Ping(Default::default())).context("the connection is lost")?;
        }
        let incoming = match self.socket.read() {
            Ok(Message::Text(text)) => Incoming::Text(text.to_string()),
            Ok(Message::Close(frame)) => {
                // The response to it; the other side may have gone.
                let _ = self.socket.flush();
                match frame {
                    Some(frame) if frame.reason.is_empty() => bail!("the connection was closed with {}", frame.code),
                    Some(frame) => {
                        let reason = frame.reason.replace(char::is_control, " ");
                        bail!("the connection was closed with {}, {reason:?}", frame.code)
                    }
                    None => bail!("the connection was closed"),
                }
            }
            Ok(_) => Incoming::Control,
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if self.heard.elapsed() >= SILENCE_LIMIT {
                    bail!("nothing came for {} s", SILENCE_LIMIT.as_secs());
                }
                return Ok(Incoming::Nothing);
            }
            Err(error) => return Err(error).context("the connection is lost"),
        };
        self.heard = Instant::now();
        Ok(incoming)
    }
}

/// Connects to the first of the host's addresses that responds.
fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut rejected = anyhow!("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(CONNECT_LIMIT))?;
                stream.set_write_timeout(Some(CONNECT_LIMIT))?;
                return Ok(stream);
            }
            Err(error) => rejected = error.into(),
        }
    }
    Err(rejected)
}
