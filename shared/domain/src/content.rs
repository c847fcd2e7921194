//! Kinds of content: their media types, extensions, and how their first bytes look.

/// A kind of content that a MOC can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Portable Document Format (ISO 32000).
    Pdf,
    /// JPEG (ISO/IEC 10918).
    Jpeg,
    /// PNG (W3C Portable Network Graphics).
    Png,
    /// WebP (RFC 9649).
    WebP,
    /// GIF 87a or 89a.
    Gif,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Plain text.
    Text,
    /// JSON (RFC 8259).
    Json,
    /// XML 1.0.
    Xml,
}

impl Content {
    /// Every kind.
    pub const ALL: [Self; 9] =
        [Self::Pdf, Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Csv, Self::Text, Self::Json, Self::Xml];

    /// Whether it is a picture.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::WebP | Self::Gif)
    }

    /// The media type (IANA registry).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Csv => "text/csv",
            Self::Text => "text/plain",
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// Reads a media type, its parameters and its case aside; common aliases count.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "image/jpg" => Some(Self::Jpeg),
            "text/xml" => Some(Self::Xml),
            "application/csv" | "application/vnd.ms-excel" => Some(Self::Csv),
            "text/json" => Some(Self::Json),
            known => Self::ALL.into_iter().find(|content| content.media_type() == known),
        }
    }

    /// Reads a file name's extension, in lower case, without its dot.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension {
            "pdf" => Self::Pdf,
            "jpg" | "jpeg" => Self::Jpeg,
            "png" => Self::Png,
            "webp" => Self::WebP,
            "gif" => Self::Gif,
            "csv" => Self::Csv,
            "txt" => Self::Text,
            "json" => Self::Json,
            "xml" => Self::Xml,
            _ => return None,
        })
    }

    /// Whether a file whose first bytes are `start` can be of this kind. `whole` says that `start`
    /// is the whole file, so that a character cut at its end is an error.
    #[must_use]
    pub fn matches(self, start: &[u8], whole: bool) -> bool {
        match self {
            Self::Pdf => start.starts_with(b"%PDF-"),
            Self::Jpeg => start.starts_with(&[0xff, 0xd8, 0xff]),
            Self::Png => start.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::WebP => start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"),
            Self::Gif => start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a"),
            Self::Csv | Self::Text | Self::Json | Self::Xml => is_text(start, whole),
        }
    }
}

/// UTF-8 without control characters other than white space; not one of the binary kinds.
fn is_text(start: &[u8], whole: bool) -> bool {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character that the probe cut in two is not the file's fault.
        Err(error) if error.error_len().is_none() && !whole => {
            match start.get(..error.valid_up_to()).map(std::str::from_utf8) {
                Some(Ok(text)) => text,
                _ => return false,
            }
        }
        Err(_) => return false,
    };
    !text.starts_with("%PDF-") && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let webp = b"RIFF\x24\x00\x00\x00WEBPVP8 ";
        for (content, start) in [
            (Content::Pdf, b"%PDF-1.7\n".as_slice()),
            (Content::Jpeg, b"\xff\xd8\xff\xe0"),
            (Content::Png, b"\x89PNG\r\n\x1a\n...."),
            (Content::WebP, webp),
            (Content::Gif, b"GIF89a"),
        ] {
            for other in Content::ALL {
                let expected = other == content;
                let textual = matches!(other, Content::Csv | Content::Text | Content::Json | Content::Xml);
                // A GIF's six first bytes alone are text too; its dimensions are not.
                if !(textual && content == Content::Gif) {
                    assert_eq!(other.matches(start, true), expected, "{content:?} as {other:?}");
                }
            }
        }
        assert!(!Content::Pdf.matches(b"", true));
        assert!(!Content::WebP.matches(b"RIFF", true));
        assert!(!Content::Pdf.matches(b"MZ\x90\x00", true));
    }

    #[test]
    fn text_is_utf_8_without_control_characters() {
        assert!(Content::Csv.matches("part,count\nBrique 2×4,7\r\n".as_bytes(), true));
        assert!(Content::Json.matches("\u{feff}{\"a\":1}".as_bytes(), true));
        assert!(!Content::Text.matches(b"\xff\xfea\x00", true));
        assert!(!Content::Text.matches(b"MZ\x00\x01", true));
        let cut = &"×".as_bytes()[..1];
        assert!(Content::Text.matches(cut, false));
        assert!(!Content::Text.matches(cut, true));
    }

    #[test]
    fn media_types_are_read_without_case_and_parameters() {
        assert_eq!(Content::from_media_type("Text/CSV; charset=utf-8"), Some(Content::Csv));
        assert_eq!(Content::from_media_type("image/jpg"), Some(Content::Jpeg));
        assert_eq!(Content::from_media_type("application/x-msdownload"), None);
        for content in Content::ALL {
            assert_eq!(Content::from_media_type(content.media_type()), Some(content));
        }
    }
}
