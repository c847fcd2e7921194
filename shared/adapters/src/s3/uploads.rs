//! Multipart uploads: create, list, complete, abort
//! ([Multipart upload](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)).

use moc_application::port::{BucketError, CompletedUpload, ListedPart, PartsPage};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::part::PartNumber;
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::call::{Call, send};
use super::error::malformed;
use super::xml;

/// S3 `CreateMultipartUpload`.
pub async fn create(s3: &S3Bucket, key: &str, content: Content) -> Result<String, BucketError> {
    let operation = "CreateMultipartUpload";
    let headers = [("content-type", content.media_type())];
    let call = Call { query: &[("uploads", "")], headers: &headers, ..Call::new(operation, Method::Post, key) };
    let response = send(s3, &call).await?;
    upload_id(&response.body).ok_or_else(|| malformed(operation))
}

fn upload_id(body: &[u8]) -> Option<String> {
    let mut id = String::new();
    xml::read(body, &mut |path, text| {
        if path == "InitiateMultipartUploadResult/UploadId" {
            id = text.to_owned();
        }
    })?;
    (!id.is_empty()).then_some(id)
}

/// S3 `ListParts`: a page of 1,000.
pub async fn list_parts(
    s3: &S3Bucket,
    key: &str,
    upload_id: &str,
    after: Option<PartNumber>,
) -> Result<PartsPage, BucketError> {
    let operation = "ListParts";
    let marker = after.map(|after| after.get().to_string());
    let mut query: Vec<_> = marker.iter().map(|marker| ("part-number-marker", marker.as_str())).collect();
    query.push(("uploadId", upload_id));
    let response = send(s3, &Call { query: &query, ..Call::new(operation, Method::Get, key) }).await?;
    parts_page(&response.body).ok_or_else(|| malformed(operation))
}

/// A page of `ListParts`.
fn parts_page(body: &[u8]) -> Option<PartsPage> {
    let (mut parts, mut is_well_formed) = (Vec::new(), true);
    let (mut number, mut size_bytes, mut etag) = (None, None, None);
    let (mut is_truncated, mut next) = (false, None);
    xml::read(body, &mut |path, text| match path {
        "ListPartsResult/IsTruncated" => is_truncated = text == "true",
        "ListPartsResult/NextPartNumberMarker" => next = PartNumber::parse(text),
        "ListPartsResult/Part/PartNumber" => number = PartNumber::parse(text),
        "ListPartsResult/Part/Size" => size_bytes = text.parse().ok(),
        "ListPartsResult/Part/ETag" => etag = ETag::parse(text),
        "ListPartsResult/Part" => match (number.take(), size_bytes.take(), etag.take()) {
            (Some(number), Some(size_bytes), Some(etag)) => parts.push(ListedPart { number, size_bytes, etag }),
            _ => is_well_formed = false,
        },
        _ => {}
    })?;
    // A page that is not the last one says where the next begins.
    (is_well_formed && (next.is_some() || !is_truncated))
        .then_some(PartsPage { parts, next: next.filter(|_| is_truncated) })
}

/// S3 `CompleteMultipartUpload`.
pub async fn complete(
    s3: &S3Bucket,
    key: &str,
    upload_id: &str,
    parts: &[ETag],
) -> Result<CompletedUpload, BucketError> {
    let operation = "CompleteMultipartUpload";
    let body = manifest(parts);
    let call = Call {
        query: &[("uploadId", upload_id)],
        headers: &[("content-type", "application/xml")],
        body: body.as_bytes(),
        ..Call::new(operation, Method::Post, key)
    };
    let response = send(s3, &call).await?;
    let etag = completed_etag(&response.body).ok_or_else(|| malformed(operation))?;
    Ok(CompletedUpload { etag, is_etag_of_bytes: !response.kms })
}

/// The parts of an object, in order.
fn manifest(parts: &[ETag]) -> String {
    let mut xml = String::from("<CompleteMultipartUpload>");
    for (part, number) in parts.iter().zip(1..) {
        let etag = quick_xml::escape::escape(part.as_str());
        xml += &format!("<Part><ETag>&quot;{etag}&quot;</ETag><PartNumber>{number}</PartNumber></Part>");
    }
    xml + "</CompleteMultipartUpload>"
}

fn completed_etag(body: &[u8]) -> Option<ETag> {
    let mut etag = None;
    xml::read(body, &mut |path, text| {
        if path == "CompleteMultipartUploadResult/ETag" {
            etag = ETag::parse(text);
        }
    })?;
    etag
}

/// S3 `AbortMultipartUpload`.
pub async fn abort(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<(), BucketError> {
    let call = Call {
        query: &[("uploadId", upload_id)],
        also: Some(404),
        ..Call::new("AbortMultipartUpload", Method::Delete, key)
    };
    match send(s3, &call).await?.status {
        404 => Err(BucketError::NoSuchUpload),
        _ => Ok(()),
    }
}
