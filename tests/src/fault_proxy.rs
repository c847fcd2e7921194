//! A proxy between a host and its S3 that fails as it is scripted.
//!
//! Faults are set for one S3 operation and for keys that contain a scope (for example a session's id), so
//! that any number of tests can share one proxy at the same time. Each connection carries one
//! request: what is counted is what was sent. The `Host` header goes on as it came, because the
//! signature covers it.

use std::{
    future::pending,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::path_prefix;

/// Largest request head that is read, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long a test waits for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the rest of a request is read after its response, so that no reset overtakes the response.
const LINGER: Duration = Duration::from_secs(2);
/// Pause between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(10);

/// An operation of S3, by its method and query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `CreateMultipartUpload`
    Create,
    /// `UploadPart`
    UploadPart,
    /// `ListParts`
    ListParts,
    /// `CompleteMultipartUpload`
    Complete,
    /// `AbortMultipartUpload`
    Abort,
    /// `HeadObject`
    Head,
    /// `GetObject`
    Get,
    /// `DeleteObject`
    Delete,
    /// Anything else.
    Other,
}

/// How a request fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset before anything gets a response; S3 never sees the request.
    Reset,
    /// The request is read, and the response has this status and body; S3 never sees it.
    Response(u16, String),
    /// The same, but the response comes before the request's body is read.
    EarlyResponse(u16, String),
    /// S3 gets half of the request's body, then both connections break.
    CutRequest,
    /// S3 does its work, half of its response goes back, then the connection breaks.
    TruncateResponse,
    /// S3 does its work, and its response is lost.
    LoseResponse,
    /// The request is read and never gets a response; S3 never sees it.
    Silence,
    /// The request waits until the fault is lifted, and then goes on as if nothing had been.
    Hold,
    /// S3 does its work, and its response waits until the fault is lifted.
    HoldResponse,
    /// The request goes on after this time.
    Delay(Duration),
}

impl Fault {
    /// An `InternalError` of S3.
    pub fn internal_error() -> Self {
        Self::Response(500, error_xml("InternalError"))
    }

    /// S3 asks for fewer requests.
    pub fn slow_down() -> Self {
        Self::Response(503, error_xml("SlowDown"))
    }

    /// A 200 that is none, as `CompleteMultipartUpload` can return it.
    pub fn error_inside() -> Self {
        Self::Response(200, error_xml("InternalError"))
    }
}

/// S3's `<Error>` with this code.
pub fn error_xml(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
    )
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// For so many requests; those after them pass.
    First(u32),
    /// Until it is lifted.
    Always,
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    scope: String,
    times: Times,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<(Operation, String)>,
    /// Those whose response is held.
    worked: Vec<(Operation, String)>,
}

fn count(requests: &[(Operation, String)], operation: Operation, scope: &str) -> usize {
    requests.iter().filter(|(seen, path)| *seen == operation && path.contains(scope)).count()
}

struct Shared {
    upstream: SocketAddr,
    /// Path below which the S3 is.
    prefix: &'static str,
    /// Path that its requests get instead.
    behind_prefix: &'static str,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and says how it fails.
    fn arrived(&self, request: &Head) -> Option<Fault> {
        let mut state = self.state();
        state.seen.push((request.operation, request.path.clone()));
        let rule = state.rules.iter_mut().find(|rule| {
            rule.operation == request.operation
                && request.path.contains(&rule.scope)
                && !matches!(rule.times, Times::First(0))
        })?;
        if let Times::First(left) = &mut rule.times {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }

    async fn lifted(&self, request: &Head) {
        let held = |rule: &Rule| rule.operation == request.operation && request.path.contains(&rule.scope);
        while self.state().rules.iter().any(held) {
            sleep(POLL).await;
        }
    }
}

/// A running proxy; it ends when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
    /// Bound but not listening, so that the port stays reserved.
    _reserved: TcpSocket,
    runtime: Option<Runtime>,
}

impl FaultProxy {
    /// Starts a proxy in front of the S3 at `upstream`, an origin for example `http://127.0.0.1:9000`.
    pub fn start(upstream: &str) -> Self {
        Self::start_between("", "", upstream)
    }

    /// The same, with the S3 below a path, which requests have to be signed with. Without a trailing slash.
    pub fn start_below(prefix: &'static str, upstream: &str) -> Self {
        Self::start_between(prefix, "", upstream)
    }

    /// The same, as a host that is a bucket's own: requests for `/key` are for `bucket`, which begins with a slash.
    pub fn start_virtual(bucket: &'static str, upstream: &str) -> Self {
        Self::start_between("", bucket, upstream)
    }

    fn start_between(prefix: &'static str, behind_prefix: &'static str, upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/');
        let upstream = upstream.parse().expect("an origin with an IP address and a port");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = reserved.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { upstream, prefix, behind_prefix, state: Mutex::default() });
        let proxy = Self { address, shared, listening: Mutex::default(), _reserved: reserved, runtime: Some(runtime) };
        proxy.listen();
        proxy
    }

    /// Where it listens, as an origin.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests for `operation` whose path contains `scope` fail so, `times` often.
    pub fn fail(&self, operation: Operation, scope: &str, times: Times, fault: Fault) {
        self.shared.state().rules.push(Rule { operation, scope: scope.to_owned(), times, fault });
    }

    /// Ends all faults of `scope`.
    pub fn lift(&self, scope: &str) {
        self.shared.state().rules.retain(|rule| rule.scope != scope);
    }

    /// How many requests for `operation` came whose path contains `scope`.
    pub fn count(&self, operation: Operation, scope: &str) -> usize {
        count(&self.shared.state().seen, operation, scope)
    }

    /// Waits until so many requests for `operation` have come.
    pub async fn wait_for(&self, operation: Operation, scope: &str, times: usize) {
        let started = Instant::now();
        while self.count(operation, scope) < times {
            assert!(started.elapsed() < PATIENCE, "{operation:?} did not come {times} times");
            sleep(POLL).await;
        }
    }

    /// Waits until S3 has done one of the `operation`s whose responses are held.
    pub async fn wait_for_held(&self, operation: Operation, scope: &str) {
        let started = Instant::now();
        while count(&self.shared.state().worked, operation, scope) == 0 {
            assert!(started.elapsed() < PATIENCE, "no response to {operation:?} is held");
            sleep(POLL).await;
        }
    }

    /// Rejects connections, until [`FaultProxy::listen`].
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
        let shared = Arc::clone(&self.shared);
        let _guard = runtime.enter();
        let listener = socket(self.address).and_then(|socket| socket.listen(1024)).expect("the reserved port");
        *self.listening() = Some(runtime.spawn(accept(listener, shared)));
    }

    fn listening(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A socket on an address that another one of this process may have, too.
pub(crate) fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A connection that breaks is what tests are about: the counts show what came.
        tokio::spawn(async move { serve(client, &shared).await });
    }
}

/// The head of a request.
struct Head {
    operation: Operation,
    path: String,
    length: u64,
    /// As it goes to S3.
    bytes: Vec<u8>,
    /// What was read beyond it.
    body_start: Vec<u8>,
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let Some(mut request) = read_head(&mut client).await? else { return Ok(()) };
    if !shared.prefix.is_empty() || !shared.behind_prefix.is_empty() {
        match path_prefix::rewrite(&request.bytes, shared.prefix, shared.behind_prefix) {
            Some(bytes) => request.bytes = bytes,
            None => return response(client, 403, &error_xml("SignatureDoesNotMatch")).await,
        }
    }
    match shared.arrived(&request) {
        None => forward(client, &request, shared.upstream).await,
        Some(Fault::Delay(time)) => {
            sleep(time).await;
            forward(client, &request, shared.upstream).await
        }
        Some(Fault::Hold) => {
            shared.lifted(&request).await;
            forward(client, &request, shared.upstream).await
        }
        Some(Fault::Reset) => client.set_zero_linger(),
        Some(Fault::Silence) => copy(&mut client, &mut sink()).await.map(|_| ()),
        Some(Fault::Response(status, body)) => {
            let rest = request.length.saturating_sub(request.body_start.len() as u64);
            copy(&mut (&mut client).take(rest), &mut sink()).await?;
            response(client, status, &body).await
        }
        Some(Fault::EarlyResponse(status, body)) => response(client, status, &body).await,
        Some(Fault::CutRequest) => {
            let mut s3 = connect(&request, shared.upstream).await?;
            let rest = (request.length / 2).saturating_sub(request.body_start.len() as u64);
            copy(&mut (&mut client).take(rest), &mut s3).await?;
            s3.set_zero_linger()?;
            client.set_zero_linger()
        }
        Some(Fault::HoldResponse) => {
            let response = response_of_s3(&mut client, &request, shared.upstream).await?;
            shared.state().worked.push((request.operation, request.path.clone()));
            shared.lifted(&request).await;
            client.write_all(&response).await?;
            close(client).await
        }
        Some(Fault::LoseResponse) => {
            response_of_s3(&mut client, &request, shared.upstream).await?;
            client.set_zero_linger()
        }
        Some(Fault::TruncateResponse) => {
            let response = response_of_s3(&mut client, &request, shared.upstream).await?;
            // Half of the body, if there is one: a whole head is what makes the cut a hard one.
            let head = response.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
            let half = if response.len() > head { head + (response.len() - head) / 2 } else { head / 2 };
            client.write_all(response.get(..half).unwrap_or_default()).await?;
            // The half is given time to arrive: a reset at once would take it along.
            sleep(Duration::from_millis(50)).await;
            client.set_zero_linger()
        }
    }
}

async fn read_head(client: &mut TcpStream) -> io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > HEAD_MAX_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let body_start = bytes.split_off(end);
    let text = String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData)?;
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));

    let mut length = 0;
    let mut head = format!("{first}\r\nconnection: close\r\n");
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| ErrorKind::InvalidData)?;
        }
        if !name.eq_ignore_ascii_case("connection") {
            head.extend([line, "\r\n"]);
        }
    }
    head.push_str("\r\n");
    let operation = operation(method, query);
    Ok(Some(Head { operation, path: path.to_owned(), length, bytes: head.into_bytes(), body_start }))
}

fn operation(method: &str, query: &str) -> Operation {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match method {
        "POST" if has("uploads") => Operation::Create,
        "POST" if has("uploadId") => Operation::Complete,
        "PUT" if has("uploadId") => Operation::UploadPart,
        "GET" if has("uploadId") => Operation::ListParts,
        "DELETE" if has("uploadId") => Operation::Abort,
        "HEAD" => Operation::Head,
        "GET" => Operation::Get,
        "DELETE" => Operation::Delete,
        _ => Operation::Other,
    }
}

/// A connection to S3 on which the head is sent, and what came with it of the body.
async fn connect(request: &Head, upstream: SocketAddr) -> io::Result<TcpStream> {
    let mut s3 = TcpStream::connect(upstream).await?;
    s3.set_nodelay(true)?;
    s3.write_all(&request.bytes).await?;
    s3.write_all(&request.body_start).await?;
    Ok(s3)
}

/// Passes a request on, and the response back, as S3 gives it.
async fn forward(mut client: TcpStream, request: &Head, upstream: SocketAddr) -> io::Result<()> {
    let mut s3 = connect(request, upstream).await?;
    {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_s3, mut to_s3) = s3.split();
        let rest = request.length.saturating_sub(request.body_start.len() as u64);
        let body = async {
            // S3 may respond before it has read all: its response is what ends this.
            let _ = copy(&mut (&mut from_client).take(rest), &mut to_s3).await;
            pending::<()>().await;
        };
        tokio::select! {
            copied = copy(&mut from_s3, &mut to_client) => copied?,
            () = body => 0,
        };
    }
    close(client).await
}

/// Passes a request on, and returns S3's whole response.
async fn response_of_s3(client: &mut TcpStream, request: &Head, upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let mut s3 = connect(request, upstream).await?;
    let rest = request.length.saturating_sub(request.body_start.len() as u64);
    copy(&mut client.take(rest), &mut s3).await?;
    let mut response = Vec::new();
    s3.read_to_end(&mut response).await?;
    Ok(response)
}

async fn response(mut client: TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    close(client).await
}

/// Ends the response, and reads what is left of the request for a while.
async fn close(mut client: TcpStream) -> io::Result<()> {
    client.shutdown().await?;
    let _ = timeout(LINGER, copy(&mut client, &mut sink())).await;
    Ok(())
}
