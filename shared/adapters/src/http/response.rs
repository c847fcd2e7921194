//! A response, and the one function that sends it.

use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::{StreamResult, StreamWriter, yield_async};

use crate::platform::within;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 64 * 1024;
/// Longest time that a client may take for them.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// Headers that a response has unless the route gives it others: no cache keeps what a token was needed for, and no
/// browser guesses what it is.
const DEFAULT_HEADERS: [(&str, &str); 3] =
    [("cache-control", "no-store"), ("vary", "Authorization"), ("x-content-type-options", "nosniff")];

/// The response of a route: small, and complete before it is sent, unless it is streamed.
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    /// What is done when a streamed body has ended.
    at_end: Vec<Box<dyn FnOnce()>>,
    after: Option<Work>,
}

type Work = Pin<Box<dyn Future<Output = ()>>>;
type Written = Pin<Box<dyn Future<Output = Result<(), ClientLeft>>>>;

enum Body {
    Whole(Vec<u8>),
    /// That of another response, which is passed on as it is.
    PassedOn(types::Response),
    Streamed {
        write: Box<dyn FnOnce(BodyWriter) -> Written>,
        /// Whether the work that would follow the response is done before its body ends.
        ends_after_work: bool,
    },
}

/// A client has closed its connection, or takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLeft;

/// Writes a streamed body.
pub struct BodyWriter(StreamWriter<u8>);

impl BodyWriter {
    /// Writes some bytes, which leave at once.
    ///
    /// # Errors
    /// [`ClientLeft`]; a client may take 20 seconds for each 64 KiB.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientLeft> {
        for piece in bytes.chunks(WRITE_BYTES) {
            let writing = within(Instant::now() + WRITE_MAX, self.0.write_all(piece.to_vec()));
            if !writing.await.is_some_and(|unwritten| unwritten.is_empty()) {
                return Err(ClientLeft);
            }
        }
        Ok(())
    }

    /// Looks whether the client is there, by a write of no bytes: it waits until the last ones are taken, and fails
    /// once the host has closed the connection.
    ///
    /// # Errors
    /// As [`BodyWriter::write`].
    pub async fn probe(&mut self) -> Result<(), ClientLeft> {
        match within(Instant::now() + WRITE_MAX, self.0.write(Vec::new())).await {
            Some((StreamResult::Complete(_), _)) => Ok(()),
            _ => Err(ClientLeft),
        }
    }
}

impl Response {
    /// A response of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".into(), media_type.as_bytes().to_vec())];
        Self { headers, body: Body::Whole(body), ..Self::empty(status) }
    }

    /// A response of this media type whose body `write` writes piece by piece, as long as it likes.
    #[must_use]
    pub fn streamed<W>(media_type: &str, write: impl FnOnce(BodyWriter) -> W + 'static) -> Self
    where
        W: Future<Output = Result<(), ClientLeft>> + 'static,
    {
        let headers = vec![("content-type".into(), media_type.as_bytes().to_vec())];
        let write = Box::new(|writer| Box::pin(write(writer)) as _);
        Self { headers, body: Body::Streamed { write, ends_after_work: false }, ..Self::empty(200) }
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

    /// The response of another server, passed on as it is: nothing can be added to it.
    #[must_use]
    pub(crate) fn passed_on(status: u16, response: types::Response) -> Self {
        Self { body: Body::PassedOn(response), ..Self::empty(status) }
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()), at_end: Vec::new(), after: None }
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

    /// Does something when a streamed body has ended; at once for any other, which is complete.
    #[must_use]
    pub(crate) fn at_end(mut self, work: impl FnOnce() + 'static) -> Self {
        match self.body {
            Body::Whole(_) | Body::PassedOn(_) => work(),
            Body::Streamed { .. } => self.at_end.push(Box::new(work)),
        }
        self
    }

    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Does the work that was to follow, until `deadline`; that of a streamed response before its body ends.
    pub(super) async fn wait(&mut self, deadline: Option<Instant>) {
        match &mut self.body {
            Body::Streamed { ends_after_work, .. } => *ends_after_work = true,
            Body::Whole(_) | Body::PassedOn(_) => {
                if let Some(after) = self.after.take() {
                    within(deadline, after).await;
                }
            }
        }
    }

    /// Sends it. What follows ends at `deadline`.
    ///
    /// The listener does not turn Nagle's algorithm off, so a body that followed its head in a packet of its own would
    /// wait for the client's delayed acknowledgement, some 40 ms: the length is known, unless the body is streamed, and
    /// the body's write waits already when the head goes out.
    pub(super) async fn send(mut self, deadline: Option<Instant>) -> Result<types::Response, ErrorCode> {
        if let Body::PassedOn(response) = self.body {
            return Ok(response);
        }
        if let Body::Whole(body) = &self.body
            && !matches!(self.status, 204 | 304)
        {
            let length = body.len().to_string();
            self.header("content-length", length);
        }
        for (name, value) in DEFAULT_HEADERS {
            if !self.headers.iter().any(|(given, _)| given == name) {
                self.header(name, value);
            }
        }
        let headers =
            Fields::from_list(&self.headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (end, end_reader) = wit_future::new(|| Ok(None));
        let (contents, writer) = if matches!(&self.body, Body::Whole(body) if body.is_empty()) {
            (None, None)
        } else {
            let (writer, reader) = wit_stream::new();
            (Some(reader), Some(BodyWriter(writer)))
        };
        let (response, _sent) = types::Response::new(headers, contents, end_reader);
        let Self { body, at_end, mut after, .. } = self;
        let has_body = writer.is_some();
        spawn(async move {
            let written = match (body, writer) {
                (Body::PassedOn(_), _) | (_, None) => Ok(()),
                (Body::Whole(body), Some(mut writer)) => writer.write(&body).await,
                (Body::Streamed { write, ends_after_work }, Some(writer)) => {
                    let written = write(writer).await;
                    at_end.into_iter().for_each(|work| work());
                    if ends_after_work && let Some(after) = after.take() {
                        within(deadline, after).await;
                    }
                    written
                }
            };
            // So that a client that stops taking it does not occupy the instance.
            let _ = end.write(written.map(|()| None).map_err(|ClientLeft| ErrorCode::HttpResponseTimeout)).await;
            if let Some(after) = after {
                within(deadline, after).await;
            }
        });
        let _ = response.set_status_code(self.status);
        if has_body {
            yield_async().await;
        }
        Ok(response)
    }
}
