//! Trying again: three times, on 5xx, 429 and broken connections, with backoff and jitter. A
//! response that did not arrive in time is not requested again: the client would not wait for it.

use moc_application::port::{BucketError, Platform as _};
use rusty_s3::actions::S3Action;
use spin_sdk::wasip3::http::types::Method;
use spin_sdk::wasip3::random::random;

use super::error::{ErrorBody, classify};
use super::is_kms;
use super::{PRESIGNED_FOR, presigned};
use crate::outbound::{self, Payload, Response, SendError};
use crate::platform::WasiPlatform;

/// How often a request is sent.
const ATTEMPTS_MAX: u32 = 3;
/// The longest pause before the second attempt; it doubles. The half of it is certain.
const PAUSE_MS: u64 = 200;
/// Largest response that is read, in bytes: a page of `ListParts` has 1,000 parts.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// A request that may be sent more than once.
pub struct Call<'a> {
    /// The S3 operation, for the log.
    pub operation: &'static str,
    pub method: Method,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// How many bytes of the response are wanted, where not all are.
    pub first_bytes: Option<usize>,
    /// A status that is no error next to 2xx.
    pub also: Option<u16>,
}

/// A response with its body.
pub struct S3Response {
    pub status: u16,
    pub body: Vec<u8>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `ETag`.
    pub etag: Option<String>,
    /// Whether it says that the object is under SSE-KMS, where an ETag is no MD5, but has the form of one.
    pub kms: bool,
}

/// Sends a call until it succeeds or another attempt cannot help.
pub async fn send<'a>(call: &Call<'_>, action: &impl S3Action<'a>) -> Result<S3Response, BucketError> {
    tried(async || attempt(call, action).await).await
}

/// Sends the request until it succeeds or another attempt cannot help.
pub async fn tried<T>(attempt: impl AsyncFn() -> Result<T, Attempt>) -> Result<T, BucketError> {
    let mut attempts = 1;
    loop {
        let (error, again) = match attempt().await {
            Ok(done) => return Ok(done),
            Err(Attempt::Send(error)) => {
                let again = matches!(error, SendError::Connection(_));
                (BucketError::from(error), again)
            }
            Err(Attempt::Response(error)) => {
                let again = matches!(error, BucketError::Unavailable(_));
                (error, again)
            }
        };
        if !again || attempts == ATTEMPTS_MAX {
            return Err(error);
        }
        let pause_ms = PAUSE_MS << (attempts - 1);
        WasiPlatform.sleep(pause_ms / 2 + random::get_random_u64() % (pause_ms / 2)).await;
        attempts += 1;
    }
}

/// Why an attempt has failed.
pub enum Attempt {
    /// There is no response.
    Send(SendError),
    /// The response is no success.
    Response(BucketError),
}

impl From<SendError> for Attempt {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

async fn attempt<'a>(call: &Call<'_>, action: &impl S3Action<'a>) -> Result<S3Response, Attempt> {
    let payload = if call.body.is_empty() { Payload::Empty } else { Payload::Bytes(call.body.to_vec()) };
    let url = presigned(action, PRESIGNED_FOR);
    let reply: Response = outbound::send(call.method.clone(), &url, call.headers, payload).await?;
    let status = reply.status;
    let succeeded = (200..300).contains(&status) || call.also == Some(status);
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    let etag = reply.header("etag").map(str::to_owned);
    let kms = is_kms(&reply);
    let body = match (succeeded, call.first_bytes) {
        (true, Some(wanted)) => reply.read(wanted, false).await?,
        _ => reply.read(RESPONSE_MAX_BYTES, true).await?,
    };
    let failed_late =
        call.first_bytes.is_none() && std::str::from_utf8(&body).ok().and_then(ErrorBody::parse).is_some();
    if !succeeded || (failed_late && call.also != Some(status)) {
        return Err(Attempt::Response(classify(call.operation, status, &body)));
    }
    Ok(S3Response { status, body, length, etag, kms })
}
