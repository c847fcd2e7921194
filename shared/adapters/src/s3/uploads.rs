//! Multipart uploads: create, list, complete, abort
//! ([Multipart upload](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)).

use moc_application::port::{BucketError, Platform as _};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::file::StoredPart;
use moc_domain::limits::PART_NUMBER_MAX;
use moc_domain::part::PartNumber;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload, ListParts,
};
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::error::nonsense;
use super::retry::{Answered, Call, send};
use crate::platform::Wasi;

fn text(answered: &Answered, operation: &str) -> Result<String, BucketError> {
    String::from_utf8(answered.body.clone()).map_err(|_| nonsense(operation))
}

/// S3 `CreateMultipartUpload`.
pub async fn create(s3: &S3Bucket, key: &str, content: Content) -> Result<String, BucketError> {
    let operation = "CreateMultipartUpload";
    let headers = [("content-type", content.media_type())];
    let call = Call { operation, method: Method::Post, headers: &headers, body: &[], first_bytes: None, also: None };
    let answered = send(&call, &CreateMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    let parsed = CreateMultipartUpload::parse_response(&text(&answered, operation)?);
    Ok(parsed.map_err(|_| nonsense(operation))?.upload_id().to_owned())
}

/// S3 `ListParts`, page by page of 1,000.
pub async fn list_parts(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<Vec<StoredPart>, BucketError> {
    let operation = "ListParts";
    let mut parts: Vec<StoredPart> = Vec::new();
    let mut after = None;
    loop {
        let mut action = ListParts::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
        if let Some(marker) = after {
            action.set_part_number_marker(marker);
        }
        let call = Call { operation, method: Method::Get, headers: &[], body: &[], first_bytes: None, also: None };
        let answered = send(&call, &action).await?;
        let page = ListParts::parse_response(&text(&answered, operation)?).map_err(|_| nonsense(operation))?;
        let now = Wasi.now();
        for part in page.parts {
            let number = PartNumber::new(part.number.into()).ok_or_else(|| nonsense(operation))?;
            let etag = ETag::parse(&part.etag).ok_or_else(|| nonsense(operation))?;
            parts.push(StoredPart { number, etag, size_bytes: part.size, uploaded_at: now });
        }
        match page.next_part_number_marker {
            Some(next) if after < Some(next) && next < PART_NUMBER_MAX => after = Some(next),
            _ => return Ok(parts),
        }
    }
}

/// S3 `CompleteMultipartUpload`.
pub async fn complete(s3: &S3Bucket, key: &str, upload_id: &str, parts: &[ETag]) -> Result<ETag, BucketError> {
    let operation = "CompleteMultipartUpload";
    let quoted: Vec<String> = parts.iter().map(ETag::quoted).collect();
    let action = || {
        let etags = quoted.iter().map(String::as_str);
        CompleteMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key, upload_id, etags)
    };
    let body = action().body().into_bytes();
    let headers = [("content-type", "application/xml")];
    let call = Call { operation, method: Method::Post, headers: &headers, body: &body, first_bytes: None, also: None };
    let answered = send(&call, &action()).await?;
    let parsed = CompleteMultipartUploadResponse::parse(text(&answered, operation)?.trim_start());
    let etag = parsed.ok().and_then(|parsed| ETag::parse(parsed.etag()));
    etag.ok_or_else(|| nonsense(operation))
}

/// S3 `AbortMultipartUpload`.
pub async fn abort(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<(), BucketError> {
    let action = AbortMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
    let operation = "AbortMultipartUpload";
    let call = Call { operation, method: Method::Delete, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    send(&call, &action).await.map(|_| ())
}
