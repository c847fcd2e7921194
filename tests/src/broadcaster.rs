//! A broadcaster that the relay POSTs to: it keeps every request, and responds or fails as it is scripted.
//!
//! Each connection carries one request, so what is counted is what was tried.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::fault_proxy::socket;
use crate::inbound::{self, Request};

/// Largest request that is read, in bytes.
const REQUEST_MAX_BYTES: usize = 1024 * 1024;
/// Pause between two bytes of a head that never ends.
const DRIP: Duration = Duration::from_millis(50);
/// How long a connection is kept open after its response, so that no reset overtakes the response.
const LINGER: Duration = Duration::from_secs(2);

/// The scripted behaviour for a request.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Reads it and responds with this status and body. A redirection leads to [`ELSEWHERE`].
    Response(u16, String),
    /// Reads it and sends no response.
    Silent,
    /// Takes the connection and reads nothing.
    Deaf,
    /// Reads it and sends a head, byte by byte, that does not end.
    SlowHead,
    /// Reads it and responds 200 with a body that does not end, as fast as it goes.
    Endless,
}

/// Where redirections lead: a path of the same broadcaster.
pub const ELSEWHERE: &str = "/elsewhere";

impl Mode {
    /// The response of a healthy broadcaster.
    pub fn well() -> Self {
        Self::Response(204, String::new())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Post {
    pub method: String,
    /// The path with its query.
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// The body, which a broadcaster's must be: JSON.
    pub body: Value,
}

impl Post {
    /// A header, if there is one of this name and no other.
    pub fn header(&self, name: &str) -> Option<&str> {
        inbound::only(&self.headers, name)
    }

    /// The names of the headers, sorted.
    pub fn header_names(&self) -> Vec<&str> {
        inbound::names(&self.headers)
    }

    /// Whether it is of this session, whatever its format.
    pub fn is_of(&self, session: &str) -> bool {
        self.path.contains(session) || self.body.to_string().contains(session)
    }
}

impl From<Request> for Post {
    fn from(Request { method, path, headers, body: bytes }: Request) -> Self {
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| format!("no JSON, {error}: {}", String::from_utf8_lossy(&bytes)).into());
        Self { method, path, headers, body, bytes }
    }
}

struct State {
    mode: Mode,
    connections: usize,
    posts: Vec<Post>,
}

/// A running broadcaster; it ends when it is dropped.
pub struct Broadcaster {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: Mutex<Option<JoinHandle<()>>>,
    /// Bound but not listening, so that the port stays reserved.
    _reserved: TcpSocket,
    runtime: Option<Runtime>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Broadcaster {
    /// Starts a healthy one.
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = reserved.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State { mode: Mode::well(), connections: 0, posts: Vec::new() }));
        let broadcaster =
            Self { address, state, listening: Mutex::default(), _reserved: reserved, runtime: Some(runtime) };
        broadcaster.listen();
        broadcaster
    }

    /// Where it listens, as an origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it takes POSTs, as far as it cares: this path of its origin.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets the behaviour from now on.
    pub fn set(&self, mode: Mode) {
        locked(&self.state).mode = mode;
    }

    /// Rejects connections, until [`Broadcaster::listen`].
    pub async fn reject(&self) {
        let listening = self.listening().take();
        if let Some(task) = listening {
            task.abort();
            let _ = task.await;
        }
    }

    /// Takes connections again.
    pub fn listen(&self) {
        let runtime = self.runtime.as_ref().expect("a runtime until the end");
        let _guard = runtime.enter();
        let listener = socket(self.address).and_then(|socket| socket.listen(1024)).expect("the reserved port");
        *self.listening() = Some(runtime.spawn(accept(listener, Arc::clone(&self.state))));
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        locked(&self.state).connections
    }

    /// The requests so far.
    pub fn posts(&self) -> Vec<Post> {
        locked(&self.state).posts.clone()
    }

    /// The requests so far that are of this session.
    pub fn posts_of(&self, session: &str) -> Vec<Post> {
        self.posts().into_iter().filter(|post| post.is_of(session)).collect()
    }

    fn listening(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        locked(&state).connections += 1;
        // A relay that gives up breaks its connection: what came is kept already.
        tokio::spawn(async move { serve(client, &state).await });
    }
}

async fn serve(mut client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mode = locked(state).mode.clone();
    if matches!(mode, Mode::Deaf) {
        return std::future::pending().await;
    }
    let Some(request) = inbound::read(&mut client, REQUEST_MAX_BYTES).await? else { return Ok(()) };
    let post = Post::from(request);
    locked(state).posts.push(post);
    match mode {
        Mode::Response(status, body) => response(&mut client, status, &body).await?,
        Mode::Silent | Mode::Deaf => {}
        Mode::SlowHead => {
            client.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await?;
            loop {
                client.write_all(b"o").await?;
                sleep(DRIP).await;
            }
        }
        Mode::Endless => {
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n").await?;
            let block = vec![b' '; 64 * 1024];
            loop {
                client.write_all(&block).await?;
            }
        }
    }
    // Whoever gives up closes the connection.
    copy(&mut client, &mut sink()).await.map(|_| ())
}

async fn response(client: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let location = if (300..400).contains(&status) { format!("location: {ELSEWHERE}\r\n") } else { String::new() };
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n{location}{length}");
    client.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await?;
    client.shutdown().await?;
    let _ = timeout(LINGER, copy(client, &mut sink())).await;
    Ok(())
}
