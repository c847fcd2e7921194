//! Kinds of content: their media types, extensions, and how their bytes look.

use crate::format::Format;
use crate::text::{Charset, TextCheck};

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

    /// Whether it is text, which every byte of a file decides.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Text | Self::Json | Self::Xml)
    }

    /// The table of what this kind is called: its media types (IANA registry, then aliases in use) and its extensions
    /// in lower case. The first of each is the one that the service itself writes.
    const fn names(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Pdf => (&["application/pdf", "application/x-pdf"], &["pdf"]),
            Self::Jpeg => {
                (&["image/jpeg", "image/jpg", "image/pjpeg"], &["jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp"])
            }
            Self::Png => (&["image/png", "image/x-png", "image/apng"], &["png", "apng"]),
            Self::WebP => (&["image/webp"], &["webp"]),
            Self::Gif => (&["image/gif"], &["gif"]),
            Self::Csv => (&["text/csv", "application/csv", "text/x-csv", "text/comma-separated-values"], &["csv"]),
            Self::Text => (&["text/plain"], &["txt"]),
            Self::Json => (&["application/json", "text/json"], &["json"]),
            Self::Xml => (&["application/xml", "text/xml"], &["xml"]),
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        let ([first, ..], _) = self.names() else { return "" };
        first
    }

    /// The media type that its object is stored with before its bytes are known: text as UTF-8, which is also the
    /// default of CSV (RFC 7111, section 5.1).
    #[must_use]
    pub const fn stored_type(self) -> &'static str {
        self.stored_type_in(Charset::Utf8)
    }

    /// The media type that its object is stored with, where its text is written in `charset`. JSON has no charset, and
    /// XML declares it.
    #[must_use]
    pub const fn stored_type_in(self, charset: Charset) -> &'static str {
        match (self, charset) {
            (Self::Csv, Charset::Utf8) => "text/csv; charset=utf-8",
            (Self::Csv, Charset::Utf16) => "text/csv; charset=utf-16",
            (Self::Text, Charset::Utf8) => "text/plain; charset=utf-8",
            (Self::Text, Charset::Utf16) => "text/plain; charset=utf-16",
            (Self::Xml, _) => "text/xml",
            _ => self.media_type(),
        }
    }

    /// Whether browsers may show it where its object is read. Everything else is saved to a file.
    #[must_use]
    pub const fn is_shown(self) -> bool {
        self.is_image() || matches!(self, Self::Pdf)
    }

    /// The extensions of such a file, in lower case, without their dot.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        self.names().1
    }

    /// Reads a media type, its parameters and its case aside; common aliases count.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let is_named = |content: &Self| content.names().0.iter().any(|name| name.eq_ignore_ascii_case(essence));
        Self::ALL.into_iter().find(is_named)
    }

    /// Reads a file name's extension, without its dot.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|content| content.has_extension(extension))
    }

    fn has_extension(self, extension: &str) -> bool {
        self.extensions().iter().any(|name| name.eq_ignore_ascii_case(extension))
    }

    /// `name` as a name that ends in an extension of this kind: its own one, or one that is appended. What is before
    /// it is truncated, so that the whole has at most `max_chars` characters.
    #[must_use]
    pub fn named(self, name: &str, max_chars: usize) -> String {
        self.named_within(name, max_chars, usize::MAX)
    }

    /// As [`Content::named`], in at most `max_bytes` bytes.
    #[must_use]
    pub fn named_within(self, name: &str, max_chars: usize, max_bytes: usize) -> String {
        let own = name.rsplit_once('.').filter(|(_, extension)| self.has_extension(extension));
        let appended = self.extensions().first().copied().unwrap_or_default();
        let (stem, extension) = own.unwrap_or((name, appended));
        let stem_bytes = max_bytes.saturating_sub(extension.len() + 1);
        let stem = stem.char_indices().take(max_chars.saturating_sub(extension.len() + 1));
        let stem = stem.take_while(|(at, character)| at + character.len_utf8() <= stem_bytes);
        stem.map(|(_, character)| character).chain(['.']).chain(extension.chars()).collect()
    }

    /// What the bytes of such a file have to be, as a sentence.
    #[must_use]
    pub const fn expectation(self) -> &'static str {
        match self {
            Self::Pdf => {
                "A PDF must have its header, %PDF-, within its first 1,024 bytes, and no other format before it."
            }
            Self::Jpeg | Self::Png | Self::WebP | Self::Gif => "A picture must be JPEG, PNG, WebP or GIF.",
            Self::Csv | Self::Text | Self::Json | Self::Xml => {
                "Text must be UTF-8, UTF-16 with a byte order mark, or an encoding of ASCII's extensions, \
                 without NUL and other control characters."
            }
        }
    }

    /// Whether a file whose first bytes are `start` can be of this kind. `whole` says that `start` is the whole file:
    /// text is judged by all of it (see [`TextCheck`]), the other kinds by their first bytes (see [`Format`]).
    #[must_use]
    pub fn matches(self, start: &[u8], whole: bool) -> bool {
        let format = Format::of(start);
        if !self.is_text() {
            return format.and_then(Format::content) == Some(self);
        }
        let is_other = match format {
            None | Some(Format::Html) => false,
            Some(Format::Pdf) => start.starts_with(b"%PDF-"),
            Some(_) => true,
        };
        let mut text = TextCheck::default();
        !is_other && text.push(start) && (!whole || text.finish().is_some())
    }
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
                assert_eq!(other.matches(start, true), other == content, "{content:?} as {other:?}");
            }
        }
        assert!(!Content::Pdf.matches(b"", true));
        assert!(!Content::WebP.matches(b"RIFF", true));
        assert!(!Content::Pdf.matches(b"MZ\x90\x00", true));
    }

    #[test]
    fn text_is_no_other_format() {
        for text in [
            "part,count\nBrique 2×4,7\r\n".as_bytes(),
            "\u{feff}{\"a\":1}".as_bytes(),
            b"Gr\xf6\xdfe;4\r\n\x1a",
            b"\xff\xfea\x00",
            b"<!doctype html><p>3001</p>",
            b"see %PDF-1.7",
        ] {
            assert!(Content::Csv.matches(text, true), "{text:?}");
        }
        // Without their NULs, some formats consist of bytes that text has.
        for binary in [b"%PDF-1.7".as_slice(), b"GIF89a", b"BZh91AY&SY", b"\x1f\x8b\x08", b"MZ\x00\x01", b"PK\x05\x06"]
        {
            assert!(!Content::Text.matches(binary, false), "{binary:?}");
        }
        let cut = b"\xff\xfea";
        assert!(Content::Text.matches(cut, false));
        assert!(!Content::Text.matches(cut, true));
    }

    #[test]
    fn media_types_are_read_without_case_and_parameters() {
        assert_eq!(Content::from_media_type("Text/CSV; charset=utf-8"), Some(Content::Csv));
        assert_eq!(Content::from_media_type("image/jpg"), Some(Content::Jpeg));
        for unknown in ["application/x-msdownload", "application/vnd.ms-excel", "*/*", "image/*", ""] {
            assert_eq!(Content::from_media_type(unknown), None);
        }
    }

    #[test]
    fn no_two_kinds_share_a_name() {
        for content in Content::ALL {
            let (media_types, extensions) = content.names();
            assert_eq!(media_types.first(), Some(&content.media_type()));
            for media_type in media_types {
                assert_eq!(Content::from_media_type(media_type), Some(content));
            }
            for extension in extensions {
                assert_eq!(Content::from_extension(extension), Some(content));
                assert_eq!(Content::from_extension(&extension.to_uppercase()), Some(content));
            }
            assert_eq!((media_types.is_empty(), extensions.is_empty()), (false, false));
        }
        assert_eq!((Content::from_extension(""), Content::from_extension("bat")), (None, None));
    }

    #[test]
    fn names_end_in_an_extension_of_the_kind() {
        for (content, name, named) in [
            (Content::Csv, "parts.csv", "parts.csv"),
            (Content::Csv, "parts.CSV", "parts.CSV"),
            (Content::Csv, "run-me.bat", "run-me.bat.csv"),
            (Content::Csv, "parts", "parts.csv"),
            (Content::Csv, "csv", "csv.csv"),
            (Content::Csv, "parts.", "parts..csv"),
            (Content::Jpeg, "photo.jpeg", "photo.jpeg"),
            (Content::Jpeg, "photo.png", "photo.png.jpg"),
            (Content::Pdf, "Schloß", "Schloß.pdf"),
        ] {
            assert_eq!(content.named(name, 255), named);
        }
        assert_eq!(Content::Csv.named(&"é".repeat(255), 255), format!("{}.csv", "é".repeat(251)));
        assert_eq!(Content::Csv.named_within(&"é".repeat(255), 255, 101), format!("{}.csv", "é".repeat(48)));
        assert_eq!(Content::Jpeg.named(&format!("{}.jpeg", "x".repeat(96)), 100).len(), 100);
    }
}
