//! The headers that an object begins with.

use moc_config::{BucketSettings, Encryption, ObjectSettings, PartChecksum};

/// Headers of a request, sorted by name.
pub type Headers<'a> = Vec<(&'a str, &'a str)>;

/// Those of an object with this media type and disposition: of one whose parts follow, or of a whole one with this
/// `Content-MD5`.
pub fn of_object<'a>(
    settings: &'a BucketSettings,
    media_type: &'a str,
    disposition: &'a str,
    content_md5: Option<&'a str>,
    has_parts: bool,
) -> Headers<'a> {
    let ObjectSettings { cache_control, storage_class, encryption } = &settings.objects;
    let mut headers = Headers::new();
    headers.extend(cache_control.as_deref().map(|value| ("cache-control", value)));
    headers.push(("content-disposition", disposition));
    headers.extend(content_md5.map(|value| ("content-md5", value)));
    headers.push(("content-type", media_type));
    if has_parts && settings.checksum == PartChecksum::Crc64Nvme {
        // That of the whole object: then neither parts nor the completion have to name one.
        headers.extend([("x-amz-checksum-algorithm", "CRC64NVME"), ("x-amz-checksum-type", "FULL_OBJECT")]);
    }
    if let Some(Encryption { algorithm, kms_key_id }) = encryption {
        headers.push(("x-amz-server-side-encryption", algorithm));
        headers.extend(kms_key_id.as_deref().map(|id| ("x-amz-server-side-encryption-aws-kms-key-id", id)));
    }
    headers.extend(storage_class.as_deref().map(|value| ("x-amz-storage-class", value)));
    headers
}

#[cfg(test)]
mod tests {
    use moc_config::Values;

    use super::*;

    fn settings(pairs: &[(&'static str, &str)]) -> BucketSettings {
        let bucket = [
            ("s3_endpoint", "https://s3.example"),
            ("s3_bucket", "b"),
            ("s3_access_key_id", "i"),
            ("s3_secret_access_key", "s"),
        ];
        let values: Values = bucket.iter().chain(pairs).map(|(name, value)| (*name, (*value).to_owned())).collect();
        BucketSettings::parse(&values).unwrap()
    }

    #[test]
    fn an_object_has_its_type_and_disposition() {
        let settings = settings(&[]);
        let headers = of_object(&settings, "text/xml", "attachment", None, true);
        assert_eq!(headers, [("content-disposition", "attachment"), ("content-type", "text/xml")]);
    }

    #[test]
    fn everything_that_is_configured_is_sent_in_order() {
        let settings = settings(&[
            ("object_cache_control", "public, max-age=60"),
            ("s3_checksums", "crc64nvme"),
            ("s3_storage_class", "STANDARD_IA"),
            ("s3_server_side_encryption", "aws:kms"),
            ("s3_sse_kms_key_id", "alias/mocs"),
        ]);
        let headers = of_object(&settings, "image/png", "inline", None, true);
        let expected = [
            ("cache-control", "public, max-age=60"),
            ("content-disposition", "inline"),
            ("content-type", "image/png"),
            ("x-amz-checksum-algorithm", "CRC64NVME"),
            ("x-amz-checksum-type", "FULL_OBJECT"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "alias/mocs"),
            ("x-amz-storage-class", "STANDARD_IA"),
        ];
        assert_eq!(headers, expected);
        assert!(headers.is_sorted());
        let whole = of_object(&settings, "image/jpeg", "inline", Some("md5"), false);
        assert!(whole.is_sorted() && whole.contains(&("content-md5", "md5")));
        assert!(!whole.iter().any(|(name, _)| name.starts_with("x-amz-checksum")), "{whole:?}");
    }
}
