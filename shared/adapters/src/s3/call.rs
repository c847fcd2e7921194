//! One request to S3 without a body that streams, and its response.

use std::time::Instant;

use moc_application::port::BucketError;
use spin_sdk::wasip3::http::types::Method;

use super::error::{ErrorBody, classify};
use super::{BUCKET_UNAVAILABLE, S3Bucket, is_kms};
use crate::outbound::{self, Payload, Response};

/// Largest response that is read, in bytes: a page of `ListParts` has 1,000 parts.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// A request.
pub struct Call<'a> {
    /// The S3 operation, for the log.
    pub operation: &'static str,
    pub method: Method,
    /// The object's key; empty for a request to the bucket itself.
    pub key: &'a str,
    /// Sorted by name.
    pub query: &'a [(&'a str, &'a str)],
    /// Sorted by name, lowercase; they are signed.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// How many bytes of the response are wanted, where not all are.
    pub first_bytes: Option<usize>,
    /// A status that is no error next to 2xx.
    pub also: Option<u16>,
}

impl<'a> Call<'a> {
    /// A request without query, headers and body.
    pub const fn new(operation: &'static str, method: Method, key: &'a str) -> Self {
        Self { operation, method, key, query: &[], headers: &[], body: &[], first_bytes: None, also: None }
    }
}

/// A response with its body.
pub struct S3Response {
    pub status: u16,
    pub body: Vec<u8>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Content-Type`.
    pub media_type: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// Whether it says that the object is under SSE-KMS, where an ETag is no MD5, but has the form of one.
    pub kms: bool,
}

/// Sends a request once. A trace has it.
pub async fn send(s3: &S3Bucket, call: &Call<'_>) -> Result<S3Response, BucketError> {
    let span = s3.trace.call(call.operation);
    let began = Instant::now();
    let response = request(s3, call).await;
    if let Some(span) = span {
        span.end(began.elapsed(), Vec::new(), response.is_err().then_some(BUCKET_UNAVAILABLE));
    }
    response
}

async fn request(s3: &S3Bucket, call: &Call<'_>) -> Result<S3Response, BucketError> {
    let payload = if call.body.is_empty() { Payload::Empty } else { Payload::Bytes(call.body.to_vec()) };
    let url = s3.presigned(&call.method, call.key, call.query, call.headers);
    let reply: Response = outbound::send(call.method.clone(), &url, call.headers, payload).await?;
    let status = reply.status;
    let succeeded = (200..300).contains(&status) || call.also == Some(status);
    let length = reply.length();
    let media_type = reply.header("content-type").map(str::to_owned);
    let etag = reply.header("etag").map(str::to_owned);
    let kms = is_kms(&reply);
    let body = match (succeeded, call.first_bytes) {
        (true, Some(wanted)) => reply.read(wanted, false).await?,
        _ => reply.read(RESPONSE_MAX_BYTES, true).await?,
    };
    let failed_late = call.first_bytes.is_none() && ErrorBody::parse(&body).is_some();
    if !succeeded || (failed_late && call.also != Some(status)) {
        return Err(classify(call.operation, status, &body));
    }
    Ok(S3Response { status, body, length, media_type, etag, kms })
}
