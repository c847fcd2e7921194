//! A request as a component reads it.

use std::pin::pin;

use futures::future::select;
use moc_application::port::Platform as _;
use moc_contract::body;
use moc_contract::path::Route;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::FileId;
use moc_domain::limits::{MIB, PART_SIZE_MAX_MIB};
use serde::de::DeserializeOwned;
use spin_sdk::wasip3::http::types::{self, Method};
use spin_sdk::wasip3::{spawn, wit_future};
use spin_sdk::wit_bindgen::StreamResult;

use crate::body::Body;
use crate::platform::WasiPlatform;

/// Longest `X-Request-Id` that is taken over from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 128;
/// Bytes that a JSON body is read by.
const READ_BYTES: usize = 16 * 1024;
/// Largest body of a rejected request that is read to its end: the largest part.
const DISCARD_MAX_BYTES: u64 = PART_SIZE_MAX_MIB * MIB;
/// Bytes that it is read by.
const DISCARD_READ_BYTES: usize = 256 * 1024;
/// Longest time that is spent on it.
const DISCARD_MAX_MS: u64 = 10_000;

/// A request: its head, and its body until that is taken.
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    id: String,
    unread: Option<types::Request>,
}

impl Request {
    pub(super) fn new(request: types::Request) -> Self {
        let headers = request.get_headers().copy_all();
        let target = request.get_path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let method = method_name(request.get_method());
        let mut request = Self { method, path, headers, id: String::new(), unread: Some(request) };
        let given = request.header("x-request-id").filter(|id| is_request_id(id)).map(str::to_owned);
        // Any UUIDv7 does; that of a file has no other meaning here.
        request.id = given.unwrap_or_else(|| FileId::new(WasiPlatform.now(), WasiPlatform.random()).to_string());
        request
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

    /// The id that the response and the log name this request by: the client's, or a new one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
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

    /// The headers of this name (in lower case), those that are not UTF-8 left out.
    pub fn header_lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        lines.filter_map(|(_, value)| std::str::from_utf8(value).ok())
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

    /// Reads a JSON body of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::PayloadTooLarge`], or those of [`body::read`].
    pub async fn json<T: DeserializeOwned>(&mut self, limit_bytes: u64) -> Result<T, Error> {
        Ok(body::read(&self.bytes(limit_bytes).await?)?)
    }

    /// Reads a JSON body that may be absent.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn optional_json<T: DeserializeOwned + Default>(&mut self, limit_bytes: u64) -> Result<T, Error> {
        let bytes = self.bytes(limit_bytes).await?;
        if bytes.is_empty() { Ok(T::default()) } else { Ok(body::read(&bytes)?) }
    }

    /// Discards the rest of the body after the response: a client that is
    /// rejected while it still sends would find its connection closed, and never see why.
    pub(super) fn discard(&mut self) {
        if self.content_length().is_none_or(|length| !(1..=DISCARD_MAX_BYTES).contains(&length)) {
            return;
        }
        if let Some(body) = self.body() {
            drain(body);
        }
    }

    /// Reads a body of at most `limit_bytes`, whole.
    ///
    /// # Errors
    /// [`ErrorKind::PayloadTooLarge`], or [`ErrorKind::MalformedBody`] where it breaks off.
    pub async fn bytes(&mut self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let too_large = || ErrorKind::PayloadTooLarge { limit_bytes };
        if self.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(too_large().into());
        }
        let Some(Body { bytes: mut stream, end }) = self.body() else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        loop {
            let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit_bytes {
                return Err(too_large().into());
            }
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        drop(stream);
        end.await.map_err(|error| {
            let detail = "The request body ended before its announced length. Send it again.".into();
            Error::with_source(ErrorKind::MalformedBody { detail }, error.to_string())
        })?;
        Ok(bytes)
    }
}

/// Discards the rest of a body in the background.
pub(super) fn drain(Body { mut bytes, end }: Body) {
    spawn(async move {
        let reading = pin!(async {
            let mut buffer = Vec::with_capacity(DISCARD_READ_BYTES);
            loop {
                let (result, mut read) = bytes.read(buffer).await;
                if !matches!(result, StreamResult::Complete(_)) {
                    break;
                }
                read.clear();
                buffer = read;
            }
        });
        select(reading, pin!(WasiPlatform.sleep(DISCARD_MAX_MS))).await;
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
