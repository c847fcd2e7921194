//! Outbound HTTP: one request, the head of its response, and as much of the body as needed.

use std::cell::OnceCell;
use std::fmt;
use std::time::{Duration, Instant};

use spin_sdk::wasip3::http::types::{
    ErrorCode, Fields, Method, Request, RequestOptions, Response as HostResponse, Scheme, Trailers,
};
use spin_sdk::wasip3::{http::client, wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use url::Url;

use crate::body::Body;
use crate::platform::within;

/// Longest time to connect.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Longest time for a request and all of its response that is read here.
pub const RESPONSE_TIMEOUT_MS: u64 = 30_000;
/// Bytes that a response is read by.
const READ_BYTES: usize = 16 * 1024;
/// As much of a cause as goes to the log, in bytes.
const CAUSE_MAX_BYTES: usize = 1024;

/// Why there is no response.
#[derive(Debug)]
pub enum SendError {
    /// Nothing was sent, or the connection broke: the request may be tried again.
    Connection(String),
    /// The response did not come in time.
    Timeout(String),
    /// The host does not allow the request, or the request is invalid: another attempt cannot help.
    Denied(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Connection(text) | Self::Timeout(text) | Self::Denied(text)) = self;
        f.write_str(text)
    }
}

impl From<ErrorCode> for SendError {
    fn from(code: ErrorCode) -> Self {
        let text = code.to_string();
        match code {
            ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => Self::Timeout(text),
            ErrorCode::HttpRequestDenied
            | ErrorCode::HttpRequestUriInvalid
            | ErrorCode::HttpRequestMethodInvalid
            | ErrorCode::ConfigurationError => Self::Denied(text),
            _ => Self::Connection(text),
        }
    }
}

/// The bytes that a request sends.
pub enum Payload {
    /// None.
    Empty,
    /// These.
    Bytes(Vec<u8>),
    /// `length` bytes of a stream, whose end says whether they are whole. The time until the
    /// response's head is the caller's to watch: it includes the stream's own.
    Stream { bytes: StreamReader<u8>, end: FutureReader<Result<Option<Trailers>, ErrorCode>>, length: u64 },
}

/// Headers as [`send`] takes them.
pub fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A response whose body is not read yet.
pub struct Response {
    pub status: u16,
    /// Copied from the host once somebody asks.
    headers: OnceCell<Vec<(String, Vec<u8>)>>,
    response: HostResponse,
    /// When [`Response::read`] gives up.
    deadline: Instant,
}

/// Sends a request and waits for the response's head.
///
/// # Errors
/// See [`SendError`].
pub async fn send(
    method: Method,
    url: &Url,
    headers: &[(&str, &str)],
    payload: Payload,
) -> Result<Response, SendError> {
    send_within(RESPONSE_TIMEOUT_MS, method, url, headers, payload).await
}

/// As [`send`], with another limit for the request and its whole response, in milliseconds.
///
/// # Errors
/// See [`SendError`].
pub async fn send_within(
    timeout_ms: u64,
    method: Method,
    url: &Url,
    headers: &[(&str, &str)],
    payload: Payload,
) -> Result<Response, SendError> {
    let timeout = Duration::from_millis(timeout_ms);
    if let Payload::Stream { .. } = payload {
        let response = head(&method, url, headers, payload).await?;
        return Ok(Response::new(response, Instant::now() + timeout));
    }
    let deadline = Instant::now() + timeout;
    let response = within(deadline, head(&method, url, headers, payload)).await;
    Ok(Response::new(response.unwrap_or_else(|| Err(too_late()))?, deadline))
}

/// As [`send`], of a stream that is at hand: the host alone limits the time until the response's head, in milliseconds,
/// and nothing runs here meanwhile.
///
/// # Errors
/// See [`SendError`].
pub async fn pass_on(
    timeout_ms: u64,
    url: &Url,
    headers: &[(&str, &str)],
    body: Body,
    length: u64,
) -> Result<Response, SendError> {
    let limit = Some(timeout_ms * 1_000_000);
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(limit);
    let _ = options.set_first_byte_timeout(limit);
    let Body { bytes, end } = body;
    let payload = Payload::Stream { bytes, end, length };
    let (request, _) = prepare_with(Some(options), &Method::Post, url, headers, payload)?;
    Ok(Response::new(client::send(request).await?, Instant::now() + Duration::from_millis(timeout_ms)))
}

fn too_late() -> SendError {
    SendError::Timeout("the response did not arrive in time".into())
}

async fn head(
    method: &Method,
    url: &Url,
    headers: &[(&str, &str)],
    payload: Payload,
) -> Result<HostResponse, SendError> {
    let (request, write) = prepare(method, url, headers, payload)?;
    let (response, ()) = futures::future::join(client::send(request), write).await;
    Ok(response?)
}

/// A request, and what writes its body while it is sent.
///
/// # Errors
/// [`SendError::Denied`].
pub fn prepare(
    method: &Method,
    url: &Url,
    headers: &[(&str, &str)],
    payload: Payload,
) -> Result<(Request, impl Future<Output = ()> + use<>), SendError> {
    let is_in_application = url.host_str().is_some_and(|host| host.ends_with(".spin.internal"));
    let options = (!is_in_application).then(|| {
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(CONNECT_TIMEOUT_MS * 1_000_000));
        let _ = options.set_between_bytes_timeout(Some(RESPONSE_TIMEOUT_MS * 1_000_000));
        options
    });
    prepare_with(options, method, url, headers, payload)
}

fn prepare_with(
    options: Option<RequestOptions>,
    method: &Method,
    url: &Url,
    headers: &[(&str, &str)],
    payload: Payload,
) -> Result<(Request, impl Future<Output = ()> + use<>), SendError> {
    let invalid = |()| SendError::Denied("the request's address is not valid".into());
    let length = match &payload {
        Payload::Empty if matches!(method, Method::Get | Method::Head | Method::Delete) => None,
        Payload::Empty => Some(0),
        Payload::Bytes(bytes) => Some(bytes.len() as u64),
        Payload::Stream { length, .. } => Some(*length),
    };
    let mut list: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    // Without it the body would go out in chunks, which S3 rejects.
    list.extend(length.map(|length| ("content-length".to_owned(), length.to_string().into_bytes())));
    let fields = Fields::from_list(&list).map_err(|error| SendError::Denied(error.to_string()))?;

    let (contents, end, writing) = match payload {
        Payload::Stream { bytes, end, .. } => (Some(bytes), end, None),
        Payload::Bytes(bytes) => {
            let (writer, reader) = wit_stream::new();
            let (end_writer, end) = wit_future::new(|| Ok(None));
            (Some(reader), end, Some((Some((writer, bytes)), end_writer)))
        }
        Payload::Empty => {
            let (end_writer, end) = wit_future::new(|| Ok(None));
            (None, end, Some((None, end_writer)))
        }
    };
    let (request, _sent) = Request::new(fields, contents, end, options);
    address(&request, method, url).map_err(invalid)?;
    let write = async move {
        let Some((contents, end_writer)) = writing else { return };
        if let Some((mut writer, bytes)) = contents {
            writer.write_all(bytes).await;
        }
        let _ = end_writer.write(Ok(None)).await;
    };
    Ok((request, write))
}

fn address(request: &Request, method: &Method, url: &Url) -> Result<(), ()> {
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    request.set_method(method)?;
    request.set_scheme(Some(&scheme))?;
    request.set_authority(Some(url.authority()))?;
    request.set_path_with_query(Some(&target))
}

impl Response {
    /// A response whose head has arrived just now.
    #[cfg(feature = "wasi")]
    pub fn of(response: HostResponse) -> Self {
        Self::new(response, Instant::now() + Duration::from_millis(RESPONSE_TIMEOUT_MS))
    }

    fn new(response: HostResponse, deadline: Instant) -> Self {
        Self { status: response.get_status_code(), headers: OnceCell::new(), response, deadline }
    }

    /// The first header of this name, where it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_or_init(|| self.response.get_headers().copy_all());
        let (_, value) = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// `Content-Length`, in bytes. `None` if it is absent or unreadable.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The response itself, to be passed on.
    pub fn into_host(self) -> HostResponse {
        self.response
    }

    /// The body, untouched. Its time is the caller's to watch.
    pub fn body(self) -> Body {
        let (_, result) = wit_future::new(|| Ok(()));
        let (bytes, end) = HostResponse::consume_body(self.response, result);
        Body { bytes, end }
    }

    /// The start of the body as text for the log: why the request failed, or why that does not arrive.
    pub async fn cause(self) -> String {
        match self.read(CAUSE_MAX_BYTES, false).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Reads the body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`SendError::Connection`] where it ends before its time, or is larger and `whole` is asked;
    /// [`SendError::Timeout`].
    pub async fn read(self, limit: usize, whole: bool) -> Result<Vec<u8>, SendError> {
        let deadline = self.deadline;
        within(deadline, self.read_untimed(limit, whole)).await.unwrap_or_else(|| Err(too_late()))
    }

    async fn read_untimed(self, limit: usize, whole: bool) -> Result<Vec<u8>, SendError> {
        let Body { bytes: mut stream, end } = self.body();
        let mut bytes = Vec::new();
        loop {
            let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                bytes.truncate(limit);
                let too_large = || SendError::Connection(format!("the response has more than {limit} bytes"));
                return if whole { Err(too_large()) } else { Ok(bytes) };
            }
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        drop(stream);
        end.await?;
        Ok(bytes)
    }
}
