//! Multipart uploads: create, list, complete, abort
//! ([Multipart upload](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)).

use moc_application::port::{BucketError, CompletedUpload, ListedPart};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::limits::PART_NUMBER_MAX;
use moc_domain::part::PartNumber;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload, ListParts,
};
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::error::malformed;
use super::retry::{Call, S3Response, send};
use super::xml::{unescape, walk};

fn text(response: &S3Response, operation: &str) -> Result<String, BucketError> {
    String::from_utf8(response.body.clone()).map_err(|_| malformed(operation))
}

/// S3 `CreateMultipartUpload`.
pub async fn create(s3: &S3Bucket, key: &str, content: Content) -> Result<String, BucketError> {
    let operation = "CreateMultipartUpload";
    let headers = [("content-type", content.media_type())];
    let call = Call { operation, method: Method::Post, headers: &headers, body: &[], first_bytes: None, also: None };
    let response = send(&call, &CreateMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key)).await?;
    let parsed = CreateMultipartUpload::parse_response(&text(&response, operation)?);
    Ok(parsed.map_err(|_| malformed(operation))?.upload_id().to_owned())
}

/// S3 `ListParts`, page by page of 1,000.
pub async fn list_parts(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<Vec<ListedPart>, BucketError> {
    let operation = "ListParts";
    let mut parts: Vec<ListedPart> = Vec::new();
    let mut after = None;
    loop {
        let mut action = ListParts::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
        if let Some(marker) = after {
            action.set_part_number_marker(marker);
        }
        let call = Call { operation, method: Method::Get, headers: &[], body: &[], first_bytes: None, also: None };
        let response = send(&call, &action).await?;
        let page = PartsPage::parse(&text(&response, operation)?).ok_or_else(|| malformed(operation))?;
        parts.extend(page.parts);
        match page.next {
            Some(next) if after < Some(next) && next < PART_NUMBER_MAX => after = Some(next),
            _ => return Ok(parts),
        }
    }
}

/// A page of `ListParts`. rusty-s3 reads one too, but not one without ETags or `MaxParts`.
#[derive(Debug, Default, PartialEq, Eq)]
struct PartsPage {
    parts: Vec<ListedPart>,
    next: Option<u16>,
}

impl PartsPage {
    fn parse(xml: &str) -> Option<Self> {
        #[derive(Default)]
        struct Raw<'a> {
            number: &'a str,
            size: &'a str,
            etag: Option<String>,
        }
        let mut raw: Vec<Raw<'_>> = Vec::new();
        let (mut is_list, mut truncated, mut next) = (false, false, None);
        walk(xml, |path, text| match (path, text) {
            (["ListPartsResult"], None) => is_list = true,
            (["ListPartsResult", "IsTruncated"], Some(text)) => truncated = text == "true",
            (["ListPartsResult", "NextPartNumberMarker"], Some(text)) => next = text.parse().ok(),
            (["ListPartsResult", "Part"], None) => raw.push(Raw::default()),
            (["ListPartsResult", "Part", property], Some(text)) => {
                let Some(part) = raw.last_mut() else { return };
                match *property {
                    "PartNumber" => part.number = text,
                    "Size" => part.size = text,
                    "ETag" => part.etag = Some(unescape(text)),
                    _ => {}
                }
            }
            _ => {}
        })?;
        let part = |raw: Raw<'_>| {
            Some(ListedPart {
                number: PartNumber::parse(raw.number)?,
                size_bytes: raw.size.parse().ok()?,
                etag: raw.etag.as_deref().and_then(ETag::parse),
            })
        };
        let parts = raw.into_iter().map(part).collect::<Option<_>>()?;
        is_list.then_some(Self { parts, next: next.filter(|_| truncated) })
    }
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
    let call = Call { operation, method: Method::Post, headers: &headers, body: &body, first_bytes: None, also: None };
    let response = send(&call, &action()).await?;
    let parsed = CompleteMultipartUploadResponse::parse(text(&response, operation)?.trim_start());
    let etag = parsed.ok().and_then(|parsed| ETag::parse(parsed.etag()));
    let etag = etag.ok_or_else(|| malformed(operation))?;
    Ok(CompletedUpload { etag, is_composite: !response.kms })
}

/// S3 `AbortMultipartUpload`.
pub async fn abort(s3: &S3Bucket, key: &str, upload_id: &str) -> Result<(), BucketError> {
    let action = AbortMultipartUpload::new(&s3.bucket, Some(&s3.credentials), key, upload_id);
    let operation = "AbortMultipartUpload";
    let call = Call { operation, method: Method::Delete, headers: &[], body: &[], first_bytes: None, also: Some(404) };
    send(&call, &action).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_parts_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>2</MaxParts>\
            <Part><PartNumber>1</PartNumber><ETag>&quot;abc&quot;</ETag><Size>5</Size></Part>\
            <Part><Size>7</Size><PartNumber>2</PartNumber></Part></ListPartsResult>";
        let page = PartsPage::parse(xml).unwrap();
        let parts: Vec<_> = page.parts.iter().map(|p| (p.number.get(), p.size_bytes, p.etag.clone())).collect();
        assert_eq!(parts, [(1, 5, ETag::parse("abc")), (2, 7, None)]);
        assert_eq!(page.next, Some(2));
    }

    #[test]
    fn what_is_no_page_is_rejected() {
        assert_eq!(PartsPage::parse("<ListPartsResult/>"), Some(PartsPage::default()));
        for bad in ["", "<html/>", "<ListPartsResult><Part></Part></ListPartsResult>", "<ListPartsResult><Part"] {
            assert_eq!(PartsPage::parse(bad), None, "{bad}");
        }
    }
}
