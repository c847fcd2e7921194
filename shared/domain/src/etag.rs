//! Entity tags as S3 makes them.

use std::fmt;

use md5::{Digest, Md5};

/// An ETag without its quotes. S3 gives a single part the MD5 of its bytes, and a multipart
/// object the MD5 of the parts' MD5s with `-N`
/// ([Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

/// Longest ETag that is kept, in bytes.
const ETAG_MAX_BYTES: usize = 128;

impl ETag {
    /// Reads an ETag with or without quotes. `None` if it is empty, over 128 bytes, or holds
    /// anything but visible ASCII.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let fits = (1..=ETAG_MAX_BYTES).contains(&bare.len());
        let plain = bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        (fits && plain).then(|| Self(bare.to_owned()))
    }

    /// The ETag of a part whose bytes have this MD5.
    #[must_use]
    pub fn of_part(md5: [u8; 16]) -> Self {
        Self(hex::encode(md5))
    }

    /// The ETag of a multipart object, from its parts' ETags in order. `None` if one of them is
    /// not an MD5.
    #[must_use]
    pub fn of_multipart<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut hasher = Md5::new();
        let mut count = 0u32;
        for part in parts {
            let mut md5 = [0u8; 16];
            hex::decode_to_slice(&part.0, &mut md5).ok()?;
            hasher.update(md5);
            count = count.checked_add(1)?;
        }
        (count > 0).then(|| Self(format!("{}-{count}", hex::encode(hasher.finalize()))))
    }

    /// Without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With quotes, as S3 and the `ETag` header (RFC 9110, section 8.8.3) have it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// Without quotes.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_do_not_matter() {
        assert_eq!(ETag::parse("\"abc\""), ETag::parse("abc"));
        assert_eq!(ETag::parse("abc").map(|etag| etag.quoted()), Some("\"abc\"".into()));
        for bad in ["", "\"\"", "a b", "a\"b", "é", &"x".repeat(129)] {
            assert_eq!(ETag::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_composite_is_the_md5_of_md5s() {
        // printf 'a' | md5sum and 'b': the MD5 of the two binary digests, computed with md5sum.
        let parts = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"];
        let parts: Vec<ETag> = parts.iter().filter_map(|part| ETag::parse(part)).collect();
        let whole = ETag::of_multipart(&parts);
        assert_eq!(whole.map(|etag| etag.to_string()), Some("96e024ba2074fe77e8e965ba43a704be-2".to_owned()));
        assert_eq!(ETag::of_multipart([]), None);
        assert_eq!(ETag::of_multipart(ETag::parse("kms").iter()), None);
    }
}
