//! ETags as S3 makes them ([Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)): a part has the
//! MD5 of its bytes, and a multipart object the MD5 of its parts' MD5s with `-N`.

use md5::{Digest as _, Md5};
use moc_domain::etag::ETag;
use moc_domain::part::PartNumber;

/// The ETag of an object from its parts' ETags in order. `None` if one of them is not an MD5.
pub fn of_object(parts: &[ETag]) -> Option<ETag> {
    let mut hasher = Md5::new();
    for part in parts {
        let mut md5 = [0; 16];
        hex::decode_to_slice(part.as_str(), &mut md5).ok()?;
        hasher.update(md5);
    }
    if parts.is_empty() { None } else { ETag::parse(&format!("{}-{}", hex::encode(hasher.finalize()), parts.len())) }
}

/// Whether an ETag has the form of those that follow from bytes. Some services make up their own.
pub fn is_of_bytes(etag: &ETag) -> bool {
    let (digest, parts) = etag.as_str().split_once('-').unwrap_or((etag.as_str(), "1"));
    let is_md5 = digest.len() == 32 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_md5 && PartNumber::parse(parts).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_md5_of_md5s() {
        // printf 'a' | md5sum and 'b': the MD5 of the two binary digests, computed with md5sum.
        let parts = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"];
        let parts: Vec<ETag> = parts.iter().filter_map(|part| ETag::parse(part)).collect();
        assert_eq!(of_object(&parts), ETag::parse("96e024ba2074fe77e8e965ba43a704be-2"));
        assert_eq!(of_object(&[]), None);
        assert_eq!(of_object(&ETag::parse("kms").into_iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn etags_of_other_forms_say_nothing_about_bytes() {
        let is_of_bytes = |text: &str| is_of_bytes(&ETag::parse(text).unwrap());
        assert!(is_of_bytes("0cc175b9c0f1b6a831c399e269772661"));
        assert!(is_of_bytes("\"96e024ba2074fe77e8e965ba43a704be-10000\""));
        for other in [
            "CJDb8ZL3kYYDEAE=",
            "0x8DB1A2B3C4D5E6F",
            "0CC175B9C0F1B6A831C399E269772661",
            "0cc175b9c0f1b6a831c399e26977266",
            "0cc175b9c0f1b6a831c399e269772661-",
            "0cc175b9c0f1b6a831c399e269772661-x",
            "0cc175b9-c0f1-b6a8-31c3-99e269772661",
        ] {
            assert!(!is_of_bytes(other), "{other}");
        }
    }
}
