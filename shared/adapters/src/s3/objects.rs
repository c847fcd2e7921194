//! Objects: head, reading, putting, deleting.

use moc_application::port::{BucketError, ObjectHead};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use rusty_s3::actions::{DeleteObject, GetObject, HeadObject, PutObject};
use spin_sdk::wasip3::http::types::Method;

use super::error::{classify, malformed};
use super::hasher::Hasher;
use super::retry::{Attempt, Call, send, tried};
use super::{PRESIGNED_FOR, S3Bucket, presigned};
use crate::body::{Body, read};
use crate::outbound::{self, Payload, Response, SendError};

/// Largest error response that is read, in bytes.
const ERROR_MAX_BYTES: usize = 64 * 1024;

/// S3 `HeadObject`.
pub async fn head(s3: &S3Bucket, key: &str) -> Result<Option<ObjectHead>, BucketError> {
    let operation = "HeadObject";
    let call = Call { operation, method: Method::Head, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    let response = send(&call, &HeadObject::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    if response.status == 404 {
        return Ok(None);
    }
    let etag = response.etag.as_deref().and_then(ETag::parse);
    let (Some(etag), Some(size_bytes)) = (etag, response.length) else { return Err(malformed(operation)) };
    Ok(Some(ObjectHead { size_bytes, etag }))
}

/// S3 `GetObject` with a `Range` (RFC 9110, section 14.2).
pub async fn first_bytes(s3: &S3Bucket, key: &str, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
    let range = format!("bytes=0-{}", bytes.saturating_sub(1));
    let call = Call {
        operation: "GetObject",
        method: Method::Get,
        headers: &[("range", &range)],
        body: &[],
        first_bytes: Some(usize::try_from(bytes).unwrap_or(usize::MAX)),
        also: Some(404),
    };
    let response = send(&call, &GetObject::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    Ok((response.status != 404).then_some(response.body))
}

/// S3 `GetObject`, whose response's head alone is read; `None` if there is none.
pub async fn get(s3: &S3Bucket, key: &str) -> Result<Option<Response>, Attempt> {
    let url = presigned(&GetObject::new(&s3.bucket, Some(&s3.credentials), key), PRESIGNED_FOR);
    let reply = outbound::send(Method::Get, &url, &[], Payload::Empty).await?;
    match reply.status {
        200 => Ok(Some(reply)),
        404 => Ok(None),
        status => {
            let body = reply.read(ERROR_MAX_BYTES, false).await?;
            Err(Attempt::Response(classify("GetObject", status, &body)))
        }
    }
}

/// The checksums of an object that is read for them, 256 KiB at a time.
pub async fn checksums(s3: &S3Bucket, key: &str, wanted: &Checksums) -> Result<Option<Checksums>, BucketError> {
    tried(async || {
        let Some(reply) = get(s3, key).await? else { return Ok(None) };
        let Body { mut bytes, end } = reply.body();
        let mut hasher = Hasher::new(wanted.md5.is_some(), wanted.sha256.is_some());
        while let Some(chunk) = read(&mut bytes).await {
            hasher.update(&chunk);
        }
        drop(bytes);
        end.await.map_err(SendError::from)?;
        Ok(Some(hasher.finish()))
    })
    .await
}

/// S3 `PutObject`.
pub async fn put(s3: &S3Bucket, key: &str, media_type: &str, body: &[u8]) -> Result<(), BucketError> {
    let headers = [("content-type", media_type)];
    let call =
        Call { operation: "PutObject", method: Method::Put, headers: &headers, body, first_bytes: None, also: None };
    send(&call, &PutObject::new(&s3.bucket, Some(&s3.credentials), key)).await.map(|_| ())
}

/// S3 `DeleteObject`.
pub async fn delete(s3: &S3Bucket, key: &str) -> Result<(), BucketError> {
    let operation = "DeleteObject";
    let call = Call { operation, method: Method::Delete, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    send(&call, &DeleteObject::new(&s3.bucket, Some(&s3.credentials), key)).await.map(|_| ())
}
