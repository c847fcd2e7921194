//! Checksums of a body as its headers announce them: `Content-MD5` (RFC 1864) and
//! `Content-Digest` (RFC 9530).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moc_domain::checksum::Checksums;
use moc_domain::error::{ErrorKind, FieldError};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// Reads both headers. Algorithms of `Content-Digest` other than `md5` and `sha-256` are
/// ignored, as RFC 9530 allows.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a header cannot be read, or the two disagree.
pub fn parse(content_md5: Option<&str>, content_digest: Option<&str>) -> Result<Checksums, ErrorKind> {
    let mut checksums = Checksums::default();
    if let Some(text) = content_md5 {
        let bytes = BASE64_STANDARD.decode(text.trim()).ok();
        let md5 = bytes.and_then(|bytes| bytes.try_into().ok());
        checksums.md5 = Some(md5.ok_or_else(|| wrong("/content-md5", "must be 16 bytes in base64 (RFC 1864)"))?);
    }
    if let Some(text) = content_digest {
        let malformed = || wrong("/content-digest", "must be a dictionary, for example sha-256=:…: (RFC 9530)");
        let dictionary: Dictionary = Parser::new(text).parse().map_err(|_| malformed())?;
        for (algorithm, entry) in &dictionary {
            let ListEntry::Item(item) = entry else { return Err(malformed()) };
            let BareItem::ByteSequence(bytes) = &item.bare_item else { return Err(malformed()) };
            match algorithm.as_str() {
                "md5" => {
                    let md5 = bytes.as_slice().try_into().map_err(|_| malformed())?;
                    if checksums.md5.replace(md5).is_some_and(|other| other != md5) {
                        return Err(wrong("/content-digest", "must match Content-MD5"));
                    }
                }
                "sha-256" => checksums.sha256 = Some(bytes.as_slice().try_into().map_err(|_| malformed())?),
                _ => {}
            }
        }
    }
    Ok(checksums)
}

fn wrong(pointer: &str, message: &str) -> ErrorKind {
    ErrorKind::Invalid { errors: vec![FieldError::new(pointer, message)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
    const SHA: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn both_headers_are_read() {
        assert_eq!(parse(None, None), Ok(Checksums::default()));
        let md5 = parse(Some(MD5), None).map(|checksums| checksums.md5.map(hex::encode));
        assert_eq!(md5, Ok(Some("d41d8cd98f00b204e9800998ecf8427e".into())));
        let both = parse(Some(MD5), Some(&format!("sha-256=:{SHA}:, md5=:{MD5}:, sha-512=:YQ==:")));
        assert!(both.is_ok_and(|checksums| checksums.md5.is_some() && checksums.sha256.is_some()));
    }

    #[test]
    fn what_cannot_be_read_is_rejected() {
        let other = "AAAAAAAAAAAAAAAAAAAAAA==";
        for (md5, digest) in [
            (Some("x"), None),
            (Some("YQ=="), None),
            (None, Some("sha-256=abc")),
            (None, Some("sha-256=:YQ==:")),
            (None, Some("sha-256")),
            (None, Some("=")),
            (Some(other), Some("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:")),
        ] {
            assert!(matches!(parse(md5, digest), Err(ErrorKind::Invalid { .. })), "{md5:?} {digest:?}");
        }
    }
}
