//! libSQL over HTTP: every operation is one request, which leaves no stream open on the server.

use std::time::{Duration, Instant};

use moc_store::{Rows, SqlError, Statement, hrana};
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::outbound::{self, Payload, SendError};
use crate::platform::within;

/// Longest time of one request, the time to connect and to read the response included. It is sent up to three times: a
/// server whose writers wait for one another responds to a later request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(7);
/// Largest response that is read: the 10,000 parts of a file take 1.3 MB.
const RESPONSE_MAX_BYTES: usize = 8 * 1024 * 1024;

pub struct Libsql {
    url: Url,
    token: Option<String>,
}

impl Libsql {
    pub fn new(mut url: Url, token: Option<String>) -> Self {
        let path = format!("{}{}", url.path().trim_end_matches('/'), hrana::PATH);
        url.set_path(&path);
        Self { url, token }
    }

    pub async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        self.post(hrana::pipeline(statements)).await
    }

    pub async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        self.post(hrana::transaction(statements)).await.map(drop)
    }

    async fn post(&self, body: Vec<u8>) -> Result<Vec<Rows>, SqlError> {
        let posting = within(Instant::now() + ATTEMPT_TIMEOUT, self.send(body)).await;
        posting.unwrap_or_else(|| Err(SqlError::unavailable("the libSQL server did not respond in time")))
    }

    async fn send(&self, body: Vec<u8>) -> Result<Vec<Rows>, SqlError> {
        let authorization = self.token.as_ref().map(|token| ("authorization", format!("Bearer {token}")));
        let headers: Vec<_> =
            [("content-type", "application/json".to_owned())].into_iter().chain(authorization).collect();
        let response =
            outbound::send(Method::Post, &self.url, &outbound::borrowed(&headers), Payload::Bytes(body)).await?;
        match response.status {
            200 => hrana::results(&response.read(RESPONSE_MAX_BYTES, true).await?),
            status => {
                let text = format!("the libSQL server responded {status}: {}", response.cause().await);
                let may_recover = status >= 500 || status == 429;
                Err(if may_recover { SqlError::unavailable(text) } else { SqlError::permanent(text) })
            }
        }
    }
}

impl From<SendError> for SqlError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Connection(text) => Self::unavailable(text),
            SendError::Timeout(text) | SendError::Denied(text) => Self::permanent(text),
        }
    }
}
