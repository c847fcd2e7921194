//! Multipart uploads: create, list, complete, abort
//! ([Multipart upload](https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)).

use moc_application::port::{BucketError, CompletedUpload, ListedPart, PartsPage};
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::call::{Call, send};
use super::error::malformed;
use super::headers::of_object;
use super::xml;

/// Parts per page of `ListParts`. Some servers send 10,000 by default, more bytes than are read.
const PAGE_PARTS: &str = "1000";

/// S3 `CreateMultipartUpload`.
pub async fn create(s3: &S3Bucket, object: Object<'_>) -> Result<String, BucketError> {
    let operation = "CreateMultipartUpload";
    let disposition = object.disposition();
    let headers = of_object(&s3.settings, object.content.stored_type(), &disposition, None, true);
    let call = Call { query: &[("uploads", "")], headers: &headers, ..Call::new(operation, Method::Post, object.key) };
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

/// S3 `ListParts`: a page.
pub async fn list_parts(
    s3: &S3Bucket,
    key: &str,
    upload_id: &str,
    after: Option<PartNumber>,
) -> Result<PartsPage, BucketError> {
    let operation = "ListParts";
    let marker = after.map(|after| after.get().to_string());
    let mut query = vec![("max-parts", PAGE_PARTS)];
    query.extend(marker.iter().map(|marker| ("part-number-marker", marker.as_str())));
    query.push(("uploadId", upload_id));
    let response = send(s3, &Call { query: &query, ..Call::new(operation, Method::Get, key) }).await?;
    parts_page(&response.body).ok_or_else(|| malformed(operation))
}

/// A page of `ListParts`. Where a server does not say where the next one begins, it is after the last part of this.
fn parts_page(body: &[u8]) -> Option<PartsPage> {
    let (mut parts, mut is_well_formed) = (Vec::<ListedPart>::new(), true);
    let (mut number, mut size_bytes, mut etag) = (None, None, None);
    let (mut is_list, mut is_last, mut next) = (false, false, None);
    xml::read(body, &mut |path, text| match path {
        "ListPartsResult/Part/PartNumber" => number = PartNumber::parse(text),
        "ListPartsResult/Part/Size" => size_bytes = text.parse().ok(),
        "ListPartsResult/Part/ETag" => etag = ETag::parse(text),
        "ListPartsResult/Part" => match (number.take(), size_bytes.take(), etag.take()) {
            (Some(number), Some(size_bytes), Some(etag)) => parts.push(ListedPart { number, size_bytes, etag }),
            _ => is_well_formed = false,
        },
        "ListPartsResult/IsTruncated" => is_last = text.eq_ignore_ascii_case("false"),
        "ListPartsResult/NextPartNumberMarker" => next = PartNumber::parse(text),
        "ListPartsResult" => is_list = true,
        _ => {}
    })?;
    let next = next.or(parts.last().map(|part| part.number)).filter(|_| !is_last);
    (is_list && is_well_formed).then_some(PartsPage { parts, next })
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
    let is_etag_of_bytes = s3.is_of_bytes(&etag, response.kms);
    Ok(CompletedUpload { etag, is_etag_of_bytes })
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

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";

    fn numbers(body: &str) -> Option<(Vec<u16>, Option<u16>)> {
        let page = parts_page(body.as_bytes())?;
        assert!(page.parts.iter().all(|part| part.size_bytes == 5 && part.etag.as_str() == MD5));
        Some((page.parts.iter().map(|part| part.number.get()).collect(), page.next.map(PartNumber::get)))
    }

    #[test]
    fn pages_of_parts_are_read_as_services_send_them() {
        let aws = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><Key>k</Key>\
            <Initiator><ID>i</ID><DisplayName>&#228; &amp; &lt;o&gt;</DisplayName></Initiator><Owner/>\
            <PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker>\
            <MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>\
            <Part><PartNumber>1</PartNumber><LastModified>2010-11-10T20:48:34.000Z</LastModified>\
            <ETag>&quot;{MD5}&quot;</ETag><Size>5</Size></Part>\
            <Part><PartNumber>2</PartNumber><ETag>\"{MD5}\"</ETag><Size>5</Size></Part></ListPartsResult>"
        );
        let bare = format!(
            "<ListPartsResult><IsTruncated>false</IsTruncated>\
            <Part><PartNumber>1</PartNumber><ETag>{MD5}</ETag><Size>5</Size></Part>\
            <Part><Size> 5 </Size><ETag>&#34;{MD5}&#x22;</ETag><PartNumber>\n2\n</PartNumber></Part></ListPartsResult>"
        );
        let bom = '\u{feff}';
        let prefixed = format!(
            "{bom}<?xml version='1.0'?><!-- list --><s3:ListPartsResult xmlns:s3='urn:x' a='&lt;'>\n\
            <s3:IsTruncated>False</s3:IsTruncated><Part xmlns='urn:y'><PartNumber>1<!-- one --></PartNumber>\
            <ETag><![CDATA[\"{MD5}\"]]></ETag><Size>5</Size><Checksum><ETag>no</ETag></Checksum></Part>\
            <s3:Part><o:PartNumber xmlns:o='urn:z'>2</o:PartNumber><s3:ETag>{MD5}</s3:ETag><s3:Size>5</s3:Size>\
            </s3:Part></s3:ListPartsResult>\n"
        );
        for body in [aws, bare, prefixed] {
            assert_eq!(numbers(&body), Some((vec![1, 2], None)), "{body}");
        }
    }

    #[test]
    fn a_page_that_is_not_the_last_has_a_next_one() {
        let page = |rest: &str| {
            let part = format!("<Part><PartNumber>7</PartNumber><ETag>{MD5}</ETag><Size>5</Size></Part>");
            numbers(&format!("<ListPartsResult>{part}{rest}</ListPartsResult>")).map(|(_, next)| next)
        };
        let truncated = "<IsTruncated>true</IsTruncated>";
        assert_eq!(page(&format!("{truncated}<NextPartNumberMarker>9</NextPartNumberMarker>")), Some(Some(9)));
        // As servers have it that leave out one or both.
        assert_eq!(page(truncated), Some(Some(7)));
        assert_eq!(page(&format!("{truncated}<NextPartNumberMarker>0</NextPartNumberMarker>")), Some(Some(7)));
        assert_eq!(page(""), Some(Some(7)));
        assert_eq!(numbers("<ListPartsResult></ListPartsResult>"), Some((vec![], None)));
        assert_eq!(numbers("<ListPartsResult/>"), Some((vec![], None)));
    }

    #[test]
    fn what_is_no_whole_page_is_malformed() {
        let whole = format!(
            "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>{MD5}</ETag>\
            <Size>5</Size></Part></ListPartsResult>"
        );
        assert!(numbers(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(numbers(&whole[..end]), None, "{}", &whole[..end]);
        }
        for bad in [
            "<html><body>Welcome</body></html>".to_owned(),
            "{}".into(),
            whole.replace("<Size>5</Size>", ""),
            whole.replace(MD5, ""),
            whole.replace("<PartNumber>1<", "<PartNumber>10001<"),
            whole.replace("<Size>5<", "<Size>-5<"),
            whole.replace("</Part>", "</Parts>"),
            whole.replace("<Size>5<", "<Size>&five;<"),
            format!("{whole}{whole}"),
            format!("{whole} and more"),
            format!("200 {whole}"),
        ] {
            assert_eq!(numbers(&bad), None, "{bad}");
        }
    }

    #[test]
    fn uploads_have_ids_in_every_namespace() {
        let body = "<InitiateMultipartUploadResult xmlns=\"http://doc.example/\"><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(upload_id(body.as_bytes()).as_deref(), Some("a&b"));
        let bare = "<InitiateMultipartUploadResult><UploadId>2~x</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(upload_id(bare.as_bytes()).as_deref(), Some("2~x"));
        for bad in
            ["", "<UploadId>x</UploadId>", "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"]
        {
            assert_eq!(upload_id(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_completed_upload_has_an_etag() {
        let etag = |body: &str| completed_etag(body.as_bytes()).map(|etag| etag.to_string());
        let result = "<CompleteMultipartUploadResult><Location>http://x</Location><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>";
        for body in [
            result.to_owned(),
            format!(" \n \n<?xml version=\"1.0\"?>\n{result}"),
            format!("<?xml version=\"1.0\"?> \n  {result}"),
            result.replace("Result>", "Result >").replace("<ETag>", "<ETag a='b'>"),
        ] {
            assert_eq!(etag(&body).as_deref(), Some("e-2"), "{body}");
        }
        assert_eq!(etag("<Error><Code>InternalError</Code></Error>"), None);
        assert_eq!(etag(&result[..result.len() - 1]), None);
    }

    #[test]
    fn parts_are_listed_to_be_completed() {
        let etags: Vec<ETag> = ["abc", "a<&b"].into_iter().filter_map(ETag::parse).collect();
        assert_eq!(
            manifest(&etags),
            "<CompleteMultipartUpload>\
            <Part><ETag>&quot;abc&quot;</ETag><PartNumber>1</PartNumber></Part>\
            <Part><ETag>&quot;a&lt;&amp;b&quot;</ETag><PartNumber>2</PartNumber></Part>\
            </CompleteMultipartUpload>"
        );
    }
}
