//! Multipart uploads: create, list, complete, abort
//! ([Multipart upload](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)).

use moc_application::port::{BucketError, CompletedUpload, ListedPart, PartsPage};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::part::PartNumber;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload, ListParts,
};
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::call::{Call, S3Response, send};
use super::error::malformed;

fn text(response: &S3Response, operation: &str) -> Result<String, BucketError> {
    String::from_utf8(response.body.clone()).map_err(|_| malformed(operation))
}

/// S3 `CreateMultipartUpload`.
pub async fn create(s3: &S3Bucket, key: &str, content: Content) -> Result<String, BucketError> {
    let operation = "CreateMultipartUpload";
    let headers = [("content-type", content.media_type())];
    let call = Call { headers: &headers, ..Call::new(operation, Method::Post) };
    let response = send(&call, &CreateMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    let parsed = CreateMultipartUpload::parse_response(&text(&response, operation)?);
    Ok(parsed.map_err(|_| malformed(operation))?.upload_id().to_owned())
}

/// S3 `ListParts`: a page of 1,000.
pub async fn list_parts(
    s3: &S3Bucket,
    key: &str,
    upload_id: &str,
    after: Option<PartNumber>,
) -> Result<PartsPage, BucketError> {
    let operation = "ListParts";
    let mut action = ListParts::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
    if let Some(after) = after {
        action.set_part_number_marker(after.get());
    }
    let response = send(&Call::new(operation, Method::Get), &action).await?;
    let listed = ListParts::parse_response(&text(&response, operation)?).map_err(|_| malformed(operation))?;
    let parts = listed.parts.into_iter().map(|part| {
        let number = PartNumber::new(part.number.into())?;
        Some(ListedPart { number, size_bytes: part.size, etag: ETag::parse(&part.etag)? })
    });
    let parts: Option<_> = parts.collect();
    let next = listed.next_part_number_marker.and_then(|number| PartNumber::new(number.into()));
    Ok(PartsPage { parts: parts.ok_or_else(|| malformed(operation))?, next })
}

/// S3 `CompleteMultipartUpload`.
pub async fn complete(
    s3: &S3Bucket,
    key: &str,
    upload_id: &str,
    parts: &[ETag],
) -> Result<CompletedUpload, BucketError> {
    let operation = "CompleteMultipartUpload";
    let quoted: Vec<String> = parts.iter().map(ETag::quoted).collect();
    let action = || {
        let etags = quoted.iter().map(String::as_str);
        CompleteMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key, upload_id, etags)
    };
    let body = action().body().into_bytes();
    let headers = [("content-type", "application/xml")];
    let call = Call { headers: &headers, body: &body, ..Call::new(operation, Method::Post) };
    let response = send(&call, &action()).await?;
    let parsed = CompleteMultipartUploadResponse::parse(text(&response, operation)?.trim_start());
    let etag = parsed.ok().and_then(|parsed| ETag::parse(parsed.etag()));
    let etag = etag.ok_or_else(|| malformed(operation))?;
    Ok(CompletedUpload { etag, is_etag_of_bytes: !response.kms })
}

/// S3 `AbortMultipartUpload`.
pub async fn abort(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<(), BucketError> {
    let action = AbortMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
    let call = Call { also: Some(404), ..Call::new("AbortMultipartUpload", Method::Delete) };
    match send(&call, &action).await?.status {
        404 => Err(BucketError::NoSuchUpload),
        _ => Ok(()),
    }
}
