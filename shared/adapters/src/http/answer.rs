//! An answer, and the one function that sends it.

use serde::Serialize;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Response};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::yield_async;

/// What a route answers: small, and whole before it is sent.
pub struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    /// An answer of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".into(), media_type.as_bytes().to_vec())], body }
    }

    /// A JSON answer. What an answer holds always serialises.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::new(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
    }

    /// An answer without content.
    #[must_use]
    pub const fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), body: Vec::new() }
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

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Sends it. The listener does not turn Nagle's algorithm off, so a body that followed its head
    /// in a packet of its own would wait for the client's delayed acknowledgement, some 40 ms: the
    /// length is known, and the body's write waits already when the head goes out.
    pub(super) async fn send(mut self) -> Result<Response, ErrorCode> {
        if self.status != 204 {
            self.header("content-length", self.body.len().to_string());
        }
        let headers =
            Fields::from_list(&self.headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (end, end_reader) = wit_future::new(|| Ok(None));
        let (response, _sent) = if self.body.is_empty() {
            Response::new(headers, None, end_reader)
        } else {
            let (mut bytes, reader) = wit_stream::new();
            let body = self.body;
            spawn(async move {
                bytes.write_all(body).await;
                drop(bytes);
                let _ = end.write(Ok(None)).await;
            });
            Response::new(headers, Some(reader), end_reader)
        };
        let _ = response.set_status_code(self.status);
        yield_async().await;
        Ok(response)
    }
}
