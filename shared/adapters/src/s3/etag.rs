//! ETags as S3 makes them ([Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)): a part has the
//! MD5 of its bytes, and a multipart object the MD5 of its parts' MD5s with `-N`.

use md5::{Digest as _, Md5};
use moc_domain::etag::ETag;

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
}
