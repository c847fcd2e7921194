//! Open multipart uploads of the embedded S3, which s3s-fs does not list. It has a file for each in its root:
//! `.bucket-<bucket>.object-<key>.upload-<id>.metadata.json`, with bucket and key in base64.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::dto::{ListMultipartUploadsInput, ListMultipartUploadsOutput, MultipartUpload};
use s3s::{S3Error, S3ErrorCode, S3Result};

/// Most uploads of a page.
const PAGE_MAX: usize = 1_000;

/// The uploads of a bucket whose keys begin with the prefix, by key and id: those after the markers, a page at most.
/// One with a key so long that it is kept under its hash is not found.
pub fn open_uploads(root: &Path, input: &ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    let failed = |error: std::io::Error| S3Error::with_source(S3ErrorCode::InternalError, error.into());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let upload = name.to_str().and_then(parse).filter(|(bucket, ..)| *bucket == input.bucket);
        found.extend(upload.map(|(_, key, id)| (key, id)));
    }
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref());
    let is_open = |id: &str| root.join(format!(".upload-{id}.json")).exists();
    found.retain(|(key, id)| key.starts_with(prefix) && is_after(key, id, after) && is_open(id));
    found.sort_unstable();
    let page = usize::try_from(input.max_uploads.unwrap_or(i32::MAX)).unwrap_or(0).min(PAGE_MAX);
    let is_truncated = found.len() > page;
    found.truncate(page);
    let last = found.last().cloned().filter(|_| is_truncated);
    let upload = |(key, id)| MultipartUpload { key: Some(key), upload_id: Some(id), ..MultipartUpload::default() };
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        is_truncated: Some(is_truncated),
        next_key_marker: last.as_ref().map(|(key, _)| key.clone()),
        next_upload_id_marker: last.map(|(_, id)| id),
        prefix: input.prefix.clone(),
        uploads: Some(found.into_iter().map(upload).collect()),
        ..ListMultipartUploadsOutput::default()
    })
}

/// Whether an upload comes after the markers: without that of an id, no upload of the marker's key does.
fn is_after(key: &str, id: &str, (marker, id_marker): (&str, Option<&str>)) -> bool {
    key > marker || (key == marker && id_marker.is_some_and(|id_marker| id > id_marker))
}

/// Bucket, key and id of the upload that a file of this name is of.
fn parse(name: &str) -> Option<(String, String, String)> {
    let (bucket, rest) = name.strip_prefix(".bucket-")?.strip_suffix(".metadata.json")?.split_once(".object-")?;
    let (key, id) = rest.split_once(".upload-")?;
    let decode = |text| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    Some((decode(bucket)?, decode(key)?, id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_read_from_the_name_of_its_file() {
        let encode = |text| BASE64_URL_SAFE_NO_PAD.encode(text);
        let file = format!(".bucket-{}.object-{}", encode("moc-uploads"), encode("uploads/a/b & c.pdf"));
        let upload = ("moc-uploads".to_owned(), "uploads/a/b & c.pdf".to_owned(), "1-2".to_owned());
        assert_eq!(parse(&format!("{file}.upload-1-2.metadata.json")), Some(upload));
        for other in [format!("{file}.metadata.json"), format!("{file}.internal.json"), ".upload-1-2.json".into()] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_marker_is_behind_its_upload() {
        let is_after = |key, id, marker| is_after(key, id, marker);
        assert!(is_after("a", "1", ("", None)) && is_after("b", "1", ("a", None)));
        assert!(!is_after("a", "2", ("a", None)) && is_after("a", "2", ("a", Some("1"))));
        assert!(!is_after("a", "1", ("a", Some("1"))) && !is_after("a", "1", ("b", Some("0"))));
    }
}
