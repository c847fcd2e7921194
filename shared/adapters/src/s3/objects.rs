//! Objects: head, reading, putting, deleting.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use moc_application::port::{BucketError, ObjectHead, Scan};
use moc_config::PartChecksum;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::limits::KIB;
use moc_domain::object::Object;
use moc_domain::text::TextCheck;
use percent_encoding::utf8_percent_encode;
use spin_sdk::wasip3::http::types::Method;
use spin_sdk::wit_bindgen::yield_async;

use super::S3Bucket;
use super::call::{Call, send};
use super::error::{classify, malformed};
use super::hasher::Hasher;
use super::headers::of_object;
use super::sign::{PATH, SEGMENT};
use super::xml;
use crate::body::{Body, read};
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS, Response, SendError};
use crate::platform::within;

/// Largest error response that is read, in bytes.
const ERROR_MAX_BYTES: usize = 64 * 1024;

/// S3 `HeadObject`.
pub async fn head(s3: &S3Bucket, key: &str) -> Result<Option<ObjectHead>, BucketError> {
    let operation = "HeadObject";
    let call = Call { also: Some(404), ..Call::new(operation, Method::Head, key) };
    let response = send(s3, &call).await?;
    if response.status == 404 {
        return Ok(None);
    }
    let etag = response.etag.as_deref().and_then(ETag::parse);
    let (Some(etag), Some(size_bytes)) = (etag, response.length) else { return Err(malformed(operation)) };
    let is_etag_of_bytes = s3.is_of_bytes(&etag, response.kms);
    Ok(Some(ObjectHead { size_bytes, etag, is_etag_of_bytes, media_type: response.media_type }))
}

/// S3 `GetObject` with a `Range` (RFC 9110, section 14.2).
pub async fn read_range(s3: &S3Bucket, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
    if bytes == 0 {
        return Ok(head(s3, key).await?.map(|_| Vec::new()));
    }
    let range = format!("bytes={offset}-{}", offset.saturating_add(bytes - 1));
    let call = Call {
        headers: &[("range", &range)],
        first_bytes: Some(usize::try_from(bytes).unwrap_or(usize::MAX)),
        also: Some(404),
        ..Call::new("GetObject", Method::Get, key)
    };
    match send(s3, &call).await {
        Ok(response) if response.status == 404 => Ok(None),
        // A server that ignores the range sends the object from its start.
        Ok(response) if response.status == 200 && offset > 0 => Err(malformed("GetObject")),
        Ok(response) => Ok(Some(response.body)),
        // 416: the object ends before the range.
        Err(BucketError::Rejected(cause)) if offset > 0 => match head(s3, key).await? {
            Some(object) if object.size_bytes > offset => Err(BucketError::Rejected(cause)),
            object => Ok(object.map(|_| Vec::new())),
        },
        Err(error) => Err(error),
    }
}

/// S3 `GetObject`, whose response's head alone is read; `None` if there is none.
pub async fn get(s3: &S3Bucket, key: &str) -> Result<Option<Response>, BucketError> {
    let url = s3.presigned(&Method::Get, key, &[], &[]);
    let reply = outbound::send(Method::Get, &url, &[], Payload::Empty).await?;
    match reply.status {
        200 => Ok(Some(reply)),
        404 => Ok(None),
        status => {
            let body = reply.read(ERROR_MAX_BYTES, false).await?;
            Err(classify("GetObject", status, &body))
        }
    }
}

/// Reads an object, 256 KiB at a time, and at 1 MiB/s or faster.
pub async fn scan(s3: &S3Bucket, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError> {
    let Some(reply) = get(s3, key).await? else { return Ok(None) };
    let limit_ms = RESPONSE_TIMEOUT_MS + reply.length().unwrap_or_default() / KIB;
    let Body { mut bytes, end } = reply.body();
    let reading = async {
        let mut hasher = Hasher::new(wanted.md5.is_some(), wanted.sha256.is_some());
        let mut text = TextCheck::default();
        while let Some(chunk) = read(&mut bytes).await {
            hasher.update(&chunk);
            text.push(&chunk);
            // A bucket may be faster than this: other work of the request has its turn between two reads.
            yield_async().await;
        }
        drop(bytes);
        end.await.map_err(SendError::from)?;
        Ok(Some(Scan { checksums: hasher.finish(), charset: text.finish() }))
    };
    let outcome = within(Instant::now() + Duration::from_millis(limit_ms), reading).await;
    outcome.unwrap_or_else(|| Err(BucketError::Silent("GetObject: it takes too long".into())))
}

/// S3 `PutObject`.
pub async fn put(s3: &S3Bucket, key: &str, media_type: &str, body: &[u8]) -> Result<(), BucketError> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let disposition = match Content::from_media_type(media_type) {
        Some(content) => Object { key, content, name }.disposition(),
        None => "attachment".to_owned(),
    };
    // All of it is in memory, so this is the checksum whichever one parts have.
    let md5 = (s3.settings.checksum != PartChecksum::None).then(|| BASE64_STANDARD.encode(Md5::digest(body)));
    let headers = of_object(&s3.settings, media_type, &disposition, md5.as_deref(), false);
    let call = Call { headers: &headers, body, ..Call::new("PutObject", Method::Put, key) };
    send(s3, &call).await.map(|_| ())
}

/// S3 `CopyObject` onto itself, with this `Content-Type`: its other headers are sent again, because they are replaced
/// together ([CopyObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)).
pub async fn retype(s3: &S3Bucket, object: Object<'_>, media_type: &str) -> Result<ETag, BucketError> {
    let operation = "CopyObject";
    let (bucket, key) = (utf8_percent_encode(&s3.settings.bucket, SEGMENT), utf8_percent_encode(object.key, PATH));
    let (source, disposition) = (format!("/{bucket}/{key}"), object.disposition());
    let mut headers = of_object(&s3.settings, media_type, &disposition, None, false);
    headers.extend([("x-amz-copy-source", source.as_str()), ("x-amz-metadata-directive", "REPLACE")]);
    headers.sort_unstable();
    let response = send(s3, &Call { headers: &headers, ..Call::new(operation, Method::Put, object.key) }).await?;
    copied_etag(&response.body).ok_or_else(|| malformed(operation))
}

fn copied_etag(body: &[u8]) -> Option<ETag> {
    let mut etag = None;
    xml::read(body, &mut |path, text| {
        if path == "CopyObjectResult/ETag" {
            etag = ETag::parse(text);
        }
    })?;
    etag
}

/// S3 `DeleteObject`.
pub async fn delete(s3: &S3Bucket, key: &str) -> Result<(), BucketError> {
    let call = Call { also: Some(404), ..Call::new("DeleteObject", Method::Delete, key) };
    send(s3, &call).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_an_etag() {
        let etag = |body: &str| copied_etag(body.as_bytes()).map(|etag| etag.to_string());
        let result = "<?xml version=\"1.0\"?><CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <LastModified>2026-01-25T12:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag></CopyObjectResult>";
        assert_eq!(etag(result).as_deref(), Some("e"));
        for bad in ["", "<Error><Code>InternalError</Code></Error>", &result[..result.len() - 1]] {
            assert_eq!(etag(bad), None, "{bad}");
        }
    }
}
