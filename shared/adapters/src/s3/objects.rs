//! Objects: head, first bytes, delete.

use moc_application::port::{BucketError, ObjectHead};
use moc_domain::etag::ETag;
use rusty_s3::actions::{DeleteObject, GetObject, HeadObject};
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::error::nonsense;
use super::retry::{Call, send};

/// S3 `HeadObject`.
pub async fn head(s3: &S3Bucket, key: &str) -> Result<Option<ObjectHead>, BucketError> {
    let operation = "HeadObject";
    let call = Call { operation, method: Method::Head, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    let answered = send(&call, &HeadObject::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    if answered.status == 404 {
        return Ok(None);
    }
    let etag = answered.etag.as_deref().and_then(ETag::parse);
    let (Some(etag), Some(size_bytes)) = (etag, answered.length) else { return Err(nonsense(operation)) };
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
    let answered = send(&call, &GetObject::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    Ok((answered.status != 404).then_some(answered.body))
}

/// S3 `DeleteObject`.
pub async fn delete(s3: &S3Bucket, key: &str) -> Result<(), BucketError> {
    let operation = "DeleteObject";
    let call = Call { operation, method: Method::Delete, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    send(&call, &DeleteObject::new(&s3.bucket, Some(&s3.credentials), key)).await.map(|_| ())
}
