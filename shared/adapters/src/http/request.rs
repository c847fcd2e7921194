//! A request as a component reads it.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_config::HostLimits;
use moc_contract::body;
use moc_contract::path::Route;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::FileId;
use moc_domain::limits::{MIB, PART_SIZE_MAX_MIB};
use moc_domain::time::Timestamp;
use serde::de::DeserializeOwned;
use spin_sdk::wasip3::http::types::{self, Method};
use spin_sdk::wasip3::{spawn, wit_future};
use spin_sdk::wit_bindgen::StreamResult;

use super::memory::WholeBody;
use crate::body::Body;
use crate::platform::{RequestPlatform, WasiPlatform, within};
use crate::trace::Trace;

/// Longest `X-Request-Id` that is taken over from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 128;
/// Bytes that a JSON body is read by.
const READ_BYTES: usize = 16 * 1024;
/// Largest body of a rejected request that is read to its end: the largest part.
const DISCARD_MAX_BYTES: u64 = PART_SIZE_MAX_MIB * MIB;
/// Bytes that it is read by.
const DISCARD_READ_BYTES: usize = 256 * 1024;
/// Longest time that is spent on it.
const DISCARD_MAX: Duration = Duration::from_secs(10);
/// Longest wait for its next bytes.
const DISCARD_SILENCE_MAX: Duration = Duration::from_secs(2);

/// A request: its head, and its body until that is taken.
pub struct Request {
    method: String,
    path: String,
    query: String,
    authority: String,
    headers: Vec<(String, Vec<u8>)>,
    /// Made once somebody asks.
    id: OnceCell<String>,
    unread: Option<types::Request>,
    received: Instant,
    limits: Option<TimeLimits>,
    pub(super) trace: Trace,
}

/// When a request has to be over.
#[derive(Clone, Copy)]
struct TimeLimits {
    /// Its handler, so that there is time for a response.
    handler: Instant,
    /// What its handler waits for, so that there is time to let go of it.
    work: Instant,
    /// The same by the clock on the wall.
    work_at: Timestamp,
}

impl Request {
    pub(super) fn new(request: types::Request) -> Self {
        let headers = request.get_headers().copy_all();
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let method = method_name(request.get_method());
        let authority = request.get_authority().unwrap_or_default();
        let (unread, received, id) = (Some(request), Instant::now(), OnceCell::new());
        let (limits, trace) = (None, Trace::OFF);
        let mut request = Self { method, path, query, authority, headers, id, unread, received, limits, trace };
        if request.authority.is_empty() {
            // A host may leave it in the header.
            request.authority = request.header("host").unwrap_or_default().to_owned();
        }
        request
    }

    /// Sets its time limits: those of the host, if it has any.
    pub(super) fn limit(&mut self, host: &HostLimits) {
        let Some((handler_ms, work_ms)) = host.handler_max_ms().zip(host.work_max_ms()) else { return };
        let work = self.received + Duration::from_millis(work_ms);
        let left = work.saturating_duration_since(Instant::now());
        let left_ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        let (handler, work_at) =
            (self.received + Duration::from_millis(handler_ms), WasiPlatform.now().plus_millis(left_ms));
        self.limits = Some(TimeLimits { handler, work, work_at });
    }

    /// When its handler has to be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.limits.map(|limits| limits.handler)
    }

    /// The platform of the work that it causes.
    #[must_use]
    pub fn platform(&self) -> RequestPlatform {
        RequestPlatform { ends_at: self.limits.map(|limits| limits.work_at) }
    }

    /// How long its body may take, where that is limited to `limit_ms` next to the host's limit.
    #[must_use]
    pub fn body_max_ms(&self, limit_ms: u64) -> u64 {
        let left = self.limits.map(|limits| limits.work.saturating_duration_since(Instant::now()));
        let left_ms = left.and_then(|left| u64::try_from(left.as_millis()).ok());
        left_ms.map_or(limit_ms, |left_ms| limit_ms.min(left_ms))
    }

    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Accepts these methods only; `allow` in the form of the header, for example `GET, DELETE`.
    ///
    /// # Errors
    /// [`ErrorKind::MethodNotAllowed`].
    pub fn allow(&self, allow: &'static str) -> Result<(), ErrorKind> {
        let allowed = allow.split(", ").any(|method| method == self.method());
        if allowed { Ok(()) } else { Err(ErrorKind::MethodNotAllowed { allow }) }
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, without its question mark. It may have a token, so it never gets into a log.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The host and port that the request names; empty if the host passes none on.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The id that the response and the log name this request by: the client's, or a new one.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.get_or_init(|| {
            let given = self.header("x-request-id").filter(|id| is_request_id(id)).map(str::to_owned);
            // Any UUIDv7 does; that of a file has no other meaning here.
            given.unwrap_or_else(|| FileId::new(WasiPlatform.now(), WasiPlatform.random()).to_string())
        })
    }

    /// The trace that the request is recorded in, if it is.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What the path names.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], also for ids that are none.
    pub fn route(&self) -> Result<Route, ErrorKind> {
        Route::parse(&self.path).ok_or(ErrorKind::NotFound)
    }

    /// The first header of this name (in lower case), where it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The header of this name (in lower case), where it is UTF-8. `None` if there is more than one.
    #[must_use]
    pub fn only_header(&self, name: &str) -> Option<&str> {
        let mut given = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let (_, value) = given.next()?;
        std::str::from_utf8(value).ok().filter(|_| given.next().is_none())
    }

    /// The headers of this name (in lower case), those that are not UTF-8 left out.
    pub fn header_lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        lines.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The media type of the body, without parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.only_header("content-type")?.split(';').next().map(str::trim)
    }

    /// `Content-Length`, in bytes. `None` if it is absent or unreadable.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// The body, untouched. `None` the second time.
    pub fn body(&mut self) -> Option<Body> {
        let request = self.unread.take()?;
        let (_, result) = wit_future::new(|| Ok(()));
        let (bytes, end) = types::Request::consume_body(request, result);
        Some(Body { bytes, end })
    }

    /// Reads a JSON body of at most `limit_bytes` that arrives within `timeout_ms`.
    ///
    /// # Errors
    /// Those of [`Request::whole_body`] and [`body::read`].
    pub async fn json<T: DeserializeOwned>(&mut self, limit_bytes: u64, timeout_ms: u64) -> Result<T, Error> {
        Ok(body::read(self.whole_body(limit_bytes, timeout_ms).await?.as_mut())?)
    }

    /// Reads a JSON body that may be absent.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn optional_json<T: DeserializeOwned + Default>(
        &mut self,
        limit_bytes: u64,
        timeout_ms: u64,
    ) -> Result<T, Error> {
        let mut body = self.whole_body(limit_bytes, timeout_ms).await?;
        if body.as_ref().is_empty() { Ok(T::default()) } else { Ok(body::read(body.as_mut())?) }
    }

    /// Discards the rest of the body after the response: a client that is
    /// rejected while it still sends would find its connection closed, and never see why. A client that waits for
    /// `100 Continue` (RFC 9110, section 10.1.1) does not send yet, and reading would make the host ask it to.
    pub(super) fn discard(&mut self) {
        let waits = self.header("expect").is_some();
        if waits || self.content_length().is_none_or(|length| !(1..=DISCARD_MAX_BYTES).contains(&length)) {
            return;
        }
        if let Some(body) = self.body() {
            drain(body);
        }
    }

    /// Reads a body of at most `limit_bytes` that arrives within `timeout_ms`.
    ///
    /// # Errors
    /// [`ErrorKind::PayloadTooLarge`]; [`ErrorKind::MalformedBody`] where it breaks off; [`ErrorKind::RequestTimeout`];
    /// [`ErrorKind::Busy`] if there is no memory for it.
    pub async fn whole_body(&mut self, limit_bytes: u64, timeout_ms: u64) -> Result<WholeBody, Error> {
        let expected_bytes = self.content_length().unwrap_or_default();
        if expected_bytes > limit_bytes {
            return Err(ErrorKind::PayloadTooLarge { limit_bytes }.into());
        }
        let memory = WholeBody::new(limit_bytes, usize::try_from(expected_bytes).unwrap_or_default());
        let Some(body) = self.body() else { return Ok(memory) };
        let began = Instant::now();
        let timeout_ms = self.body_max_ms(timeout_ms);
        let reading = within(began + Duration::from_millis(timeout_ms), read_whole(body, memory, limit_bytes));
        reading.await.unwrap_or_else(|| {
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Err(ErrorKind::RequestTimeout { elapsed_ms, timeout_at: WasiPlatform.now() }.into())
        })
    }
}

async fn read_whole(body: Body, mut memory: WholeBody, limit_bytes: u64) -> Result<WholeBody, Error> {
    let Body { bytes: mut stream, end } = body;
    loop {
        let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        if (memory.len() + chunk.len()) as u64 > limit_bytes {
            return Err(ErrorKind::PayloadTooLarge { limit_bytes }.into());
        }
        memory.extend(&chunk).await?;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(stream);
    end.await.map_err(|error| {
        let detail = "The request body ended before its announced length. Send it again.".into();
        Error::with_source(ErrorKind::MalformedBody { detail }, error.to_string())
    })?;
    Ok(memory)
}

/// Discards the rest of a body in the background. Where the host ends that, it is lost harmlessly: such a host has taken
/// the whole body before, or closes the connection.
pub(super) fn drain(Body { mut bytes, end }: Body) {
    spawn(async move {
        let began = Instant::now();
        let mut buffer = Vec::with_capacity(DISCARD_READ_BYTES);
        while began.elapsed() < DISCARD_MAX {
            let next = within(Instant::now() + DISCARD_SILENCE_MAX, bytes.read(buffer)).await;
            let Some((StreamResult::Complete(_), mut read)) = next else { break };
            read.clear();
            buffer = read;
        }
        drop(end);
    });
}

fn is_request_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=REQUEST_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(plain)
}

fn method_name(method: Method) -> String {
    match method {
        Method::Get => "GET".into(),
        Method::Head => "HEAD".into(),
        Method::Post => "POST".into(),
        Method::Put => "PUT".into(),
        Method::Delete => "DELETE".into(),
        Method::Connect => "CONNECT".into(),
        Method::Options => "OPTIONS".into(),
        Method::Trace => "TRACE".into(),
        Method::Patch => "PATCH".into(),
        Method::Other(other) => other,
    }
}
