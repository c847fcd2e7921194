//! Lists of what the bucket has below a prefix. Keys are not encoded (`encoding-type`, which some servers ignore): ours
//! have no characters that XML cannot hold.

use moc_application::port::{BucketError, KeysPage, ListedUpload, UploadsPage};
use moc_domain::limits::BUCKET_PAGE_MAX;
use spin_sdk::wasip3::http::types::Method;

use super::S3Bucket;
use super::call::{Call, send};
use super::error::malformed;
use super::xml;

/// S3 `ListMultipartUploads`: the first page.
pub async fn uploads(s3: &S3Bucket, prefix: &str) -> Result<UploadsPage, BucketError> {
    let operation = "ListMultipartUploads";
    let page = BUCKET_PAGE_MAX.to_string();
    let query = [("max-uploads", page.as_str()), ("prefix", prefix), ("uploads", "")];
    let response = send(s3, &Call { query: &query, ..Call::new(operation, Method::Get, "") }).await?;
    uploads_page(&response.body).ok_or_else(|| malformed(operation))
}

fn uploads_page(body: &[u8]) -> Option<UploadsPage> {
    let (mut page, mut is_list, mut is_well_formed) = (UploadsPage::default(), false, true);
    let (mut key, mut id) = (String::new(), String::new());
    xml::read(body, &mut |path, text| match path {
        "ListMultipartUploadsResult/Upload/Key" => text.clone_into(&mut key),
        "ListMultipartUploadsResult/Upload/UploadId" => text.clone_into(&mut id),
        "ListMultipartUploadsResult/Upload" => {
            let upload = ListedUpload { key: std::mem::take(&mut key), id: std::mem::take(&mut id) };
            is_well_formed &= !upload.key.is_empty() && !upload.id.is_empty();
            page.uploads.push(upload);
        }
        "ListMultipartUploadsResult/IsTruncated" => page.is_truncated = text.eq_ignore_ascii_case("true"),
        "ListMultipartUploadsResult" => is_list = true,
        _ => {}
    })?;
    (is_list && is_well_formed).then_some(page)
}

/// S3 `ListObjectsV2`: a page.
pub async fn keys(s3: &S3Bucket, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError> {
    let operation = "ListObjectsV2";
    let page = BUCKET_PAGE_MAX.to_string();
    let mut query = vec![("list-type", "2"), ("max-keys", page.as_str()), ("prefix", prefix)];
    query.extend(after.map(|after| ("start-after", after)));
    let response = send(s3, &Call { query: &query, ..Call::new(operation, Method::Get, "") }).await?;
    keys_page(&response.body).ok_or_else(|| malformed(operation))
}

fn keys_page(body: &[u8]) -> Option<KeysPage> {
    let (mut page, mut is_list) = (KeysPage::default(), false);
    xml::read(body, &mut |path, text| match path {
        "ListBucketResult/Contents/Key" => page.keys.push(text.to_owned()),
        "ListBucketResult/IsTruncated" => page.is_truncated = text.eq_ignore_ascii_case("true"),
        "ListBucketResult" => is_list = true,
        _ => {}
    })?;
    is_list.then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_uploads_are_read_as_services_send_them() {
        let aws = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket>\
            <KeyMarker></KeyMarker><NextKeyMarker>u/b &amp; c.pdf</NextKeyMarker><Prefix>u/</Prefix>\
            <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>\
            <Upload><Key>u/a.pdf</Key><UploadId>1~x</UploadId><Initiator><ID>i</ID></Initiator>\
            <Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass></Upload>\
            <Upload><UploadId>2</UploadId><Key>u/b &amp; c.pdf</Key></Upload></ListMultipartUploadsResult>";
        let upload = |key: &str, id: &str| ListedUpload { key: key.into(), id: id.into() };
        let uploads = vec![upload("u/a.pdf", "1~x"), upload("u/b & c.pdf", "2")];
        assert_eq!(uploads_page(aws.as_bytes()), Some(UploadsPage { uploads, is_truncated: true }));
        assert_eq!(uploads_page(b"<ListMultipartUploadsResult/>"), Some(UploadsPage::default()));
        for bad in [
            "",
            "<ListBucketResult/>",
            "<ListMultipartUploadsResult>",
            "<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>",
            "<ListMultipartUploadsResult><Upload><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>",
        ] {
            assert_eq!(uploads_page(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_read_as_services_send_them() {
        let aws = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>u/</Prefix>\
            <KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>t</NextContinuationToken>\
            <Contents><Key>u/a.pdf</Key><Size>5</Size><Owner><ID>o</ID></Owner></Contents>\
            <Contents><Key>u/ünï &lt;c&gt;.pdf</Key></Contents></ListBucketResult>";
        let keys = vec!["u/a.pdf".to_owned(), "u/ünï <c>.pdf".to_owned()];
        assert_eq!(keys_page(aws.as_bytes()), Some(KeysPage { keys, is_truncated: true }));
        let last = "<s3:ListBucketResult xmlns:s3='urn:x'><s3:IsTruncated>false</s3:IsTruncated></s3:ListBucketResult>";
        assert_eq!(keys_page(last.as_bytes()), Some(KeysPage::default()));
        for bad in ["", "<ListBucketResult>", "<html><body>Welcome</body></html>"] {
            assert_eq!(keys_page(bad.as_bytes()), None, "{bad}");
        }
    }
}
