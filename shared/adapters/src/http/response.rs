//! A response, and the one function that sends it.

use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::{StreamWriter, yield_async};

use crate::platform::within;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 64 * 1024;
/// Longest time that a client may take for them.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// Headers that a response has unless the route gives it others: no cache keeps what a token was needed for, and no
/// browser guesses what it is.
const DEFAULT_HEADERS: [(&str, &str); 3] =
    [("cache-control", "no-store"), ("vary", "Authorization"), ("x-content-type-options", "nosniff")];

/// The response of a route: small, and complete before it is sent.
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    after: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Response {
    /// A response of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".into(), media_type.as_bytes().to_vec())];
        Self { status, headers, body, after: None }
    }

    /// A JSON response. What a response holds always serialises.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::new(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
    }

    /// A response without content.
    #[must_use]
    pub const fn no_content() -> Self {
        Self::empty(204)
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), after: None }
    }

    /// Adds a header, its name in lower case.
    pub fn header(&mut self, name: &str, value: impl AsRef<str>) {
        self.headers.push((name.to_owned(), value.as_ref().as_bytes().to_vec()));
    }

    /// Adds a header, its name in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.header(name, value);
        self
    }

    /// Says that the response depends on a header of the request, next to the one that it always depends on.
    pub(super) fn vary(&mut self, name: &str) {
        match self.headers.iter_mut().find(|(given, _)| given == "vary") {
            Some((_, value)) => value.extend_from_slice(format!(", {name}").as_bytes()),
            None => self.header("vary", format!("Authorization, {name}")),
        }
    }

    /// Adds work to do once the host has the whole response, after the work that was added before is
    /// done; or before that, where the host ends the instance then (`background_work`). It is interrupted when the
    /// request has to be over. Nothing of it survives a crash.
    #[must_use]
    pub fn after(mut self, work: impl Future<Output = ()> + 'static) -> Self {
        let before = self.after.take();
        self.after = Some(Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            work.await;
        }));
        self
    }

    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Does the work that was to follow, until `deadline`.
    pub(super) async fn wait(&mut self, deadline: Option<Instant>) {
        if let Some(after) = self.after.take() {
            within(deadline, after).await;
        }
    }

    /// Sends it. What follows ends at `deadline`.
    ///
    /// The listener does not turn Nagle's algorithm off, so a body that followed its head in a packet of its own would
    /// wait for the client's delayed acknowledgement, some 40 ms: the length is known, and the body's write waits
    /// already when the head goes out.
    pub(super) async fn send(mut self, deadline: Option<Instant>) -> Result<types::Response, ErrorCode> {
        if !matches!(self.status, 204 | 304) {
            self.header("content-length", self.body.len().to_string());
        }
        for (name, value) in DEFAULT_HEADERS {
            if !self.headers.iter().any(|(given, _)| given == name) {
                self.header(name, value);
            }
        }
        let headers =
            Fields::from_list(&self.headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (end, end_reader) = wit_future::new(|| Ok(None));
        let (contents, writer) = if self.body.is_empty() {
            (None, None)
        } else {
            let (writer, reader) = wit_stream::new();
            (Some(reader), Some(writer))
        };
        let (response, _sent) = types::Response::new(headers, contents, end_reader);
        let Self { body, after, .. } = self;
        spawn(async move {
            let is_taken = match writer {
                Some(writer) => write(writer, &body).await,
                None => true,
            };
            let _ = end.write(if is_taken { Ok(None) } else { Err(ErrorCode::HttpResponseTimeout) }).await;
            if let Some(after) = after {
                within(deadline, after).await;
            }
        });
        let _ = response.set_status_code(self.status);
        yield_async().await;
        Ok(response)
    }
}

/// Writes a body; `false` if the client stops taking it, so that it does not occupy the instance.
async fn write(mut writer: StreamWriter<u8>, body: &[u8]) -> bool {
    for piece in body.chunks(WRITE_BYTES) {
        let writing = within(Instant::now() + WRITE_MAX, writer.write_all(piece.to_vec()));
        if !writing.await.is_some_and(|unwritten| unwritten.is_empty()) {
            return false;
        }
    }
    true
}
