//! One request to S3 without a body that streams, and its response.

use moc_application::port::BucketError;
use rusty_s3::actions::S3Action;
use spin_sdk::wasip3::http::types::Method;

use super::error::{ErrorBody, classify};
use super::{PRESIGNED_FOR, is_kms, presigned};
use crate::outbound::{self, Payload, Response};

/// Largest response that is read, in bytes: a page of `ListParts` has 1,000 parts.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// A request.
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

impl Call<'_> {
    /// A request without headers and body.
    pub const fn new(operation: &'static str, method: Method) -> Self {
        Self { operation, method, headers: &[], body: &[], first_bytes: None, also: None }
    }
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

/// Sends a request once.
pub async fn send<'a>(call: &Call<'_>, action: &impl S3Action<'a>) -> Result<S3Response, BucketError> {
    let payload = if call.body.is_empty() { Payload::Empty } else { Payload::Bytes(call.body.to_vec()) };
    let url = presigned(action, PRESIGNED_FOR);
    let reply: Response = outbound::send(call.method.clone(), &url, call.headers, payload).await?;
    let status = reply.status;
    let succeeded = (200..300).contains(&status) || call.also == Some(status);
    let length = reply.length();
    let etag = reply.header("etag").map(str::to_owned);
    let kms = is_kms(&reply);
    let body = match (succeeded, call.first_bytes) {
        (true, Some(wanted)) => reply.read(wanted, false).await?,
        _ => reply.read(RESPONSE_MAX_BYTES, true).await?,
    };
    let failed_late =
        call.first_bytes.is_none() && std::str::from_utf8(&body).ok().and_then(ErrorBody::parse).is_some();
    if !succeeded || (failed_late && call.also != Some(status)) {
        return Err(classify(call.operation, status, &body));
    }
    Ok(S3Response { status, body, length, etag, kms })
}
