//! A receiver of webhooks: it keeps every request, and responds or fails as it is scripted.
//!
//! Each connection carries one request, so what is counted is what was tried.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::inbound::{self, Request};
use crate::wait_for;

/// Largest request that is read, in bytes.
const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// How long requests are waited for: four attempts that fail at once take seven seconds.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// Where redirections lead: a path of the same receiver.
pub const ELSEWHERE: &str = "/elsewhere";

/// The scripted behaviour, once a request has been read.
#[derive(Clone, Copy, Debug)]
pub enum Reaction {
    /// It responds with this status, a redirection to [`ELSEWHERE`].
    Response(u16),
    /// It responds with this status after a while.
    Late(Duration, u16),
    /// It responds 200 and begins a body that does not end.
    Endless,
    /// It sends no response.
    Hang,
    /// It ends the connection in the middle of its response's head.
    Cut,
    /// It resets the connection.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was there.
    pub at: Instant,
    pub method: String,
    /// The path with its query.
    pub path: String,
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Received {
    /// A header, if there is one of this name and no other.
    pub fn header(&self, name: &str) -> Option<&str> {
        inbound::only(&self.headers, name)
    }

    /// The names of the headers, sorted.
    pub fn header_names(&self) -> Vec<&str> {
        inbound::names(&self.headers)
    }
}

struct State {
    /// What it does with the next requests, in order.
    script: VecDeque<Reaction>,
    /// What it does with all later requests.
    then: Reaction,
    received: Vec<Received>,
    /// How many connections the other side has ended while nothing was said.
    left: usize,
}

/// A running receiver; it ends when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// Starts one that responds 200.
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let then = Reaction::Response(200);
        let state = State { script: VecDeque::new(), then, received: Vec::new(), left: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A sender that gives up breaks its connection: what came is kept already.
                tokio::spawn(async move { serve(client, &state).await });
            }
        });
        Self { address, state, runtime: Some(runtime) }
    }

    /// Where it listens, as an origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it takes webhooks, as far as it cares: this path of its origin.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets the behaviour for the next requests, one each; the last one stays.
    pub fn script(&self, first: impl IntoIterator<Item = Reaction>, then: Reaction) {
        let mut state = locked(&self.state);
        state.script = first.into_iter().collect();
        state.then = then;
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.state).received.clone()
    }

    /// The requests so far that report this MOC.
    pub fn received_of(&self, moc: &str) -> Vec<Received> {
        let id = format!("msg_{moc}");
        let is_of = |received: &Received| received.header("webhook-id") == Some(&id);
        self.received().into_iter().filter(is_of).collect()
    }

    /// Waits until so many requests have reported this MOC.
    pub async fn wait_for(&self, moc: &str, count: usize) -> Vec<Received> {
        let ask = async || Some(self.received_of(moc)).filter(|received| received.len() >= count);
        wait_for(&format!("{count} webhooks of {moc}"), WAIT_LIMIT, ask).await
    }

    /// How many requests the sender has given up while the receiver hung.
    pub fn left(&self) -> usize {
        locked(&self.state).left
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(mut client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let Some(request) = inbound::read(&mut client, REQUEST_MAX_BYTES).await? else { return Ok(()) };
    let Request { method, path, headers, body } = request;
    // Its length must be given.
    let length = inbound::only(&headers, "content-length").and_then(|length| length.parse().ok());
    if length != Some(body.len()) {
        return Err(ErrorKind::InvalidData.into());
    }
    let received = Received { at: Instant::now(), method, path, headers, body };
    let reaction = {
        let mut state = locked(state);
        state.received.push(received);
        let then = state.then;
        state.script.pop_front().unwrap_or(then)
    };
    match reaction {
        Reaction::Response(status) => response(&mut client, status).await?,
        Reaction::Late(pause, status) => {
            tokio::time::sleep(pause).await;
            response(&mut client, status).await?;
        }
        Reaction::Endless => {
            client.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n.").await?;
        }
        Reaction::Hang => {}
        Reaction::Cut => {
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await?;
            return Ok(());
        }
        Reaction::Reset => return client.set_zero_linger(),
    }
    // Kept open until the other side ends it, so that no reset overtakes the response.
    let _ = copy(&mut client, &mut sink()).await;
    if matches!(reaction, Reaction::Hang) {
        locked(state).left += 1;
    }
    Ok(())
}

async fn response(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let location = if (300..400).contains(&status) { format!("location: {ELSEWHERE}\r\n") } else { String::new() };
    let length = if status == 204 { "" } else { "content-length: 0\r\n" };
    let head = format!("HTTP/1.1 {status} Scripted\r\n{location}{length}connection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await?;
    client.shutdown().await
}
