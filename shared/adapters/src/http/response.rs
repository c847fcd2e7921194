//! A response, and the one function that sends it.

use std::pin::Pin;

use serde::Serialize;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::yield_async;

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

    /// Adds work to do once the host has the whole response, after the work that was added before is
    /// done. Nothing of it survives a crash.
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

    /// Sends it. The listener does not turn Nagle's algorithm off, so a body that followed its head
    /// in a packet of its own would wait for the client's delayed acknowledgement, some 40 ms: the
    /// length is known, and the body's write waits already when the head goes out.
    pub(super) async fn send(mut self) -> Result<types::Response, ErrorCode> {
        if !matches!(self.status, 204 | 304) {
            self.header("content-length", self.body.len().to_string());
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
            if let Some(mut writer) = writer {
                writer.write_all(body).await;
            }
            let _ = end.write(Ok(None)).await;
            if let Some(after) = after {
                after.await;
            }
        });
        let _ = response.set_status_code(self.status);
        yield_async().await;
        Ok(response)
    }
}
