//! Entity tags of parts and objects.

use std::fmt;

use crate::limits::ETAG_MAX_BYTES;

/// An ETag without its quotes. Only the bucket knows what it says about the bytes: here it is only compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

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

    /// The ETag that is a digest in hexadecimal digits.
    #[must_use]
    pub fn of_digest(digest: [u8; 16]) -> Self {
        Self(hex::encode(digest))
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
}
